"""What codes say of one another: the same twice, one missing, out of order, of another form than the rest.

A station sees parts in the order in which they were numbered, or nearly. Nothing is known beforehand: that
numbers count on, by how much, and what a code looks like is learnt from those that came before.
"""

import re
import string
from collections import Counter
from dataclasses import dataclass, field

KNOWN_AFTER = 3
"""So many codes in one form, or steps of one width, and more than half of all, make a rule."""
LARGEST_GAP = 1000
"""Numbers that lie further apart belong to two series."""

_FORMS = str.maketrans(dict.fromkeys(string.digits, "9") | dict.fromkeys(string.ascii_letters, "A"))
_SERIAL = re.compile(r"(.*?)([0-9]{2,15})([^0-9]*)$", re.ASCII | re.DOTALL)


def form_of(code: str) -> str:
    """A code with 9 for every digit and A for every letter: what codes of one format have in common."""
    if code.isascii():
        return code.translate(_FORMS)
    return "".join("9" if c.isdigit() else "A" if c.isalpha() else c for c in code)


@dataclass(slots=True)
class _Series:
    """Numbers between the same beginning and end.

    Attributes:
        newest: the last number.
        code: its code.
        last: the last number that followed from those before.
        since: how many codes came since.
        steps: how often each step between two neighbours was seen.
    """

    newest: int
    code: str
    last: int
    since: int = 0
    steps: Counter[int] = field(default_factory=Counter)

    def take(self, number: int, code: str) -> str:
        """What is odd about the next number.

        A number follows if it is a step from its neighbour, or as many steps from the last that followed as
        codes came since: one that was misread makes no second one odd.
        """
        step, ahead, since = self._step(), number - self.newest, self.since + 1
        follows = not step or ahead == step or number - self.last == step * since
        odd = "" if follows else self._told(ahead, step)
        self.steps[ahead] += 1
        self.newest, self.code = number, code
        self.last, self.since = (number, 0) if follows else (self.last, since)
        return odd

    def _step(self) -> int:
        """By how much the numbers count on; 0 while that is not known."""
        step, times = self.steps.most_common(1)[0] if self.steps else (0, 0)
        return step if times >= KNOWN_AFTER and 2 * times > self.steps.total() else 0

    def _told(self, ahead: int, step: int) -> str:
        count, rest = divmod(ahead, step)
        if ahead == 0 or abs(count) > LARGEST_GAP:
            return ""
        if count < 0 or rest:
            return f"out of order after {self.code}"
        return f"{count - 1} missing after {self.code}"


@dataclass(slots=True)
class Serials:
    """The codes of one batch, in the order of its pictures."""

    _first: dict[str, str] = field(default_factory=dict)
    _taken: int = 0
    _forms: Counter[str] = field(default_factory=Counter)
    _usual: str = ""
    _series: dict[tuple[str, int, str], _Series] = field(default_factory=dict)

    def take(self, code: str, image: str) -> tuple[str, ...]:
        """What is odd about the next code beside those before it, in plain words; nothing of an empty one."""
        if not code:
            return ()
        odd = (self._twice(code, image), self._other_form(code), self._out_of_line(code))
        self._taken += 1
        return tuple(filter(None, odd))

    def _twice(self, code: str, image: str) -> str:
        """Codes that are mostly the same number lots, not parts; they may come twice."""
        first = self._first.setdefault(code, image)
        numbered = 2 * len(self._first) > self._taken + 1
        return f"same code as {first}" if first != image and numbered else ""

    def _other_form(self, code: str) -> str:
        form, usual = form_of(code), self._usual
        times = self._forms[usual]
        ruled = times >= KNOWN_AFTER and 2 * times > self._taken
        self._forms[form] += 1
        if self._forms[form] > times:
            self._usual = form
        return f"is {form} among {usual}" if ruled and form != usual else ""

    def _out_of_line(self, code: str) -> str:
        found = _SERIAL.match(code)
        if not found:
            return ""
        before, digits, after = found.groups()
        number, key = int(digits), (before, len(digits), after)
        if key in self._series:
            return self._series[key].take(number, code)
        self._series[key] = _Series(number, code, number)
        return ""
