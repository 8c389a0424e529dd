"""Check the sequence of a batch's codes: duplicates, gaps, codes out of order, codes of an unusual form.

A station sees parts in the order of their numbers, or nearly. Nothing is configured: whether numbers
increase, by which step, and their pattern are learned from the codes before.
"""

import re
import string
from collections import Counter
from dataclasses import dataclass, field

KNOWN_AFTER = 3
"""A form or a step becomes the rule after this many occurrences, if these are more than half of all."""
LARGEST_GAP = 1000
"""Numbers further apart belong to different series."""

_FORMS = str.maketrans(dict.fromkeys(string.digits, "9") | dict.fromkeys(string.ascii_letters, "A"))
_SERIAL = re.compile(r"(.*?)([0-9]{2,15})([^0-9]*)$", re.ASCII | re.DOTALL)


def form_of(code: str) -> str:
    """A code with 9 for every digit and A for every letter."""
    if code.isascii():
        return code.translate(_FORMS)
    return "".join("9" if c.isdigit() else "A" if c.isalpha() else c for c in code)


@dataclass(slots=True)
class _Series:
    """The numbers of codes with the same prefix and suffix.

    Attributes:
        last: the last number that was in sequence.
        since: how many codes came after it.
        steps: how often each step between two successive numbers occurred.
    """

    newest: int
    code: str
    last: int
    since: int = 0
    steps: Counter[int] = field(default_factory=Counter)

    def take(self, number: int, code: str) -> str:
        """Check the next number; "" if it is in sequence.

        A number is in sequence if it is one step from its predecessor, or as many steps from the last number
        in sequence as codes came after that: a misread number causes no second finding.
        """
        step, ahead, since = self._step(), number - self.newest, self.since + 1
        in_sequence = not step or ahead == step or number - self.last == step * since
        finding = "" if in_sequence else self._finding(ahead, step)
        self.steps[ahead] += 1
        self.newest, self.code = number, code
        self.last, self.since = (number, 0) if in_sequence else (self.last, since)
        return finding

    def _step(self) -> int:
        """The usual step; 0 while it is unknown."""
        step, times = self.steps.most_common(1)[0] if self.steps else (0, 0)
        return step if times >= KNOWN_AFTER and 2 * times > self.steps.total() else 0

    def _finding(self, ahead: int, step: int) -> str:
        count, rest = divmod(ahead, step)
        if ahead == 0 or abs(count) > LARGEST_GAP:
            return ""
        if count < 0 or rest:
            return f"out of order after {self.code}"
        return f"{count - 1} missing after {self.code}"


@dataclass(slots=True)
class SequenceChecker:
    """Checks the codes of one batch, in the order of its pictures."""

    _first: dict[str, str] = field(default_factory=dict)
    _taken: int = 0
    _forms: Counter[str] = field(default_factory=Counter)
    _usual: str = ""
    _series: dict[tuple[str, int, str], _Series] = field(default_factory=dict)

    def check(self, code: str, image: str) -> tuple[str, ...]:
        """Check the next code against those before it; one sentence per finding, none for an empty code."""
        if not code:
            return ()
        findings = (self._duplicate(code, image), self._unusual_form(code), self._gap(code))
        self._taken += 1
        return tuple(filter(None, findings))

    def _duplicate(self, code: str, image: str) -> str:
        """Codes that are mostly equal number lots, not parts, and may repeat."""
        first = self._first.setdefault(code, image)
        numbered = 2 * len(self._first) > self._taken + 1
        return f"same code as {first}" if first != image and numbered else ""

    def _unusual_form(self, code: str) -> str:
        form, usual = form_of(code), self._usual
        times = self._forms[usual]
        ruled = times >= KNOWN_AFTER and 2 * times > self._taken
        self._forms[form] += 1
        if self._forms[form] > times:
            self._usual = form
        return f"has the form {form}, most have {usual}" if ruled and form != usual else ""

    def _gap(self, code: str) -> str:
        found = _SERIAL.match(code)
        if not found:
            return ""
        before, digits, after = found.groups()
        number, key = int(digits), (before, len(digits), after)
        if key in self._series:
            return self._series[key].take(number, code)
        self._series[key] = _Series(number, code, number)
        return ""
