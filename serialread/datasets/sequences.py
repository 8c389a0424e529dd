"""Samples numbered from 0, wherever they come from."""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import overload

from serialread.records import Sample


class Samples(Sequence[Sample]):
    """Samples that are made or read when asked for; slices and numbers from the end come with it."""

    @abstractmethod
    def _sample(self, number: int) -> Sample:
        """Sample ``number``, 0 to length - 1."""

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        numbers = range(len(self))[index]
        if isinstance(numbers, range):
            return [self._sample(number) for number in numbers]
        return self._sample(numbers)


class Joined(Samples):
    """Several sequences of samples as one."""

    def __init__(self, parts: Sequence[Sequence[Sample]]) -> None:
        self.parts = tuple(parts)
        self.ends = list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def _sample(self, number: int) -> Sample:
        part = bisect_right(self.ends, number)
        return self.parts[part][number - (self.ends[part] - len(self.parts[part]))]
