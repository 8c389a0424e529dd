"""Statistics of the answers of several readers to the same crops, as Markdown tables. Reads no files."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.measure.crops import BOLD, LabelledCrop
from benchmarks.measure.readers import GENERAL, ONE_VIEW, Answer, Answers, odds_of
from serialread.calibration.confidence import fit_platt
from serialread.metrics import mcnemar, mpsc, paired_difference, ratio, strict, wilson
from serialread.metrics.accuracy import Edits
from serialread.metrics.risk import Reliability, RiskCoverage
from serialread.reader import calibrated

RISK = 0.05
"""Share of wrong ones among the accepted readings."""
Bools = np.ndarray


def right(
    crops: Sequence[LabelledCrop], answers: Sequence[Answer], protocol: Callable[[str], str] = mpsc
) -> Bools:
    """Which answers agree with the truth, [N]."""
    pairs = zip(crops, answers, strict=True)
    return np.array([protocol(answer.text) == protocol(crop.truth) for crop, answer in pairs], bool)


def right_by_36(crops: Sequence[LabelledCrop], answers: Sequence[Answer]) -> Bools:
    """The same by 36 characters: the two cases of a letter are one class where the reader can say so."""
    pairs = zip(crops, answers, strict=True)
    return np.array([mpsc(a.caseless or a.text) == mpsc(crop.truth) for crop, a in pairs], bool)


def places(crops: Sequence[LabelledCrop], grounds: Iterable[str]) -> list[int]:
    """Numbers of the crops of some grounds."""
    wanted = set(grounds)
    return [number for number, crop in enumerate(crops) if crop.ground in wanted]


def grounds_of(crops: Sequence[LabelledCrop]) -> list[str]:
    """All grounds, marks on parts first."""
    found = dict.fromkeys(crop.ground for crop in crops)
    return [*(name for name in BOLD if name in found), *(name for name in found if name not in BOLD)]


# ------------------------------------------------------------------------------------------ accuracy


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Right answers of one reader on some crops; ``reported`` are those that nothing was chosen on."""

    right: int
    crops: int
    reported_right: int
    reported: int
    strict: int

    @classmethod
    def of(cls, crops: Sequence[LabelledCrop], answers: Sequence[Answer]) -> "Accuracy":
        good = right(crops, answers)
        kept = np.array([not crop.is_for_choosing for crop in crops], bool)
        return cls(
            int(good.sum()),
            len(good),
            int((good & kept).sum()),
            int(kept.sum()),
            int(right(crops, answers, strict).sum()),
        )

    @property
    def percent(self) -> float:
        return 100 * ratio(self.right, self.crops)

    @property
    def reported_percent(self) -> float:
        return 100 * ratio(self.reported_right, self.reported)

    @property
    def strict_percent(self) -> float:
        return 100 * ratio(self.strict, self.crops)


def with_interval(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{100 * ratio(hits, total):.1f} ({100 * low:.0f}-{100 * high:.0f})"


def accuracies(crops: Sequence[LabelledCrop], answers: Answers) -> dict[str, dict[str, Accuracy]]:
    """Accuracy of every reader on every ground: by reader, by ground."""
    members = {ground: places(crops, [ground]) for ground in grounds_of(crops)}
    return {
        reader: {
            ground: Accuracy.of([crops[i] for i in numbers], [given[i] for i in numbers])
            for ground, numbers in members.items()
        }
        for reader, given in answers.items()
    }


def bold_mean(by_ground: dict[str, Accuracy], *, reported: bool = False) -> float:
    """Mean of the four sets of marks on parts, %; nan if one is missing."""
    if not set(BOLD) <= set(by_ground):
        return float("nan")
    sets = [by_ground[name] for name in BOLD]
    return float(np.mean([s.reported_percent if reported else s.percent for s in sets]))


def accuracy_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """Whole sets, with 95 % Wilson intervals; the bold sets' mean; all pooled."""
    found = accuracies(crops, answers)
    means = [f"**{bold_mean(by_ground):.1f}**" for by_ground in found.values()]
    return _by_set(crops, answers, found, lambda a: with_interval(a.right, a.crops), means)


def halves_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """The half of every set on which nothing is chosen; in brackets the whole set, strict."""
    found = accuracies(crops, answers)
    means = [f"**{bold_mean(by_ground, reported=True):.1f}**" for by_ground in found.values()]
    return _by_set(
        crops, answers, found, lambda a: f"{a.reported_percent:.1f} ({a.strict_percent:.1f})", means
    )


def _by_set(
    crops: Sequence[LabelledCrop],
    answers: Answers,
    found: dict[str, dict[str, Accuracy]],
    cell: Callable[[Accuracy], str],
    means: Sequence[str],
) -> str:
    """Sets downwards, readers across."""
    rows: list[list[object]] = []
    for ground in grounds_of(crops):
        name = f"**{ground}**" if ground in BOLD else ground
        cells = [cell(by_ground[ground]) for by_ground in found.values()]
        rows.append([name, len(places(crops, [ground])), *cells])
    rows.append(["mean of the bold sets", len(places(crops, BOLD)), *means])
    rows.append(["all pooled", len(crops), *(cell(Accuracy.of(crops, g)) for g in answers.values())])
    return table(["set", "crops", *answers], rows)


def edits_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """Insertions, deletions and substitutions per 100 characters of the truth, marks and other sets apart."""
    rows = []
    groups = {"marks": [c.ground in BOLD for c in crops], "other sets": [c.ground not in BOLD for c in crops]}
    for name, member in groups.items():
        numbers = [i for i, inside in enumerate(member) if inside]
        truths = [mpsc(crops[i].truth) for i in numbers]
        for reader, given in answers.items() if numbers else ():
            rows.append([name, reader, *edit_rates([mpsc(given[i].text) for i in numbers], truths)])
    return table(["crops", "reader", "inserted", "deleted", "substituted"], rows)


def edit_rates(reads: Sequence[str], truths: Sequence[str]) -> list[str]:
    """Inserted, deleted and substituted characters per 100 of the truth."""
    found, chars = Edits.of(reads, truths), sum(map(len, truths))
    inserted, deleted = int((found.truth == "").sum()), int((found.read == "").sum())
    counts = (inserted, deleted, len(found.pair) - inserted - deleted)
    return [f"{100 * ratio(count, chars):.2f}" for count in counts]


# ------------------------------------------------------------------------------------------ two readers


@dataclass(frozen=True, slots=True)
class Pair:
    """Two readers on the same crops: right for one alone; exact McNemar p; 95 % interval of the gain."""

    only_first: int
    only_second: int
    crops: int
    p: float

    @classmethod
    def of(cls, first: Bools, second: Bools) -> "Pair":
        only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
        return cls(only_first, only_second, len(first), mcnemar(first, second))

    @property
    def gain(self) -> float:
        """Accuracy of the first minus that of the second, points."""
        return 100 * ratio(self.only_first - self.only_second, self.crops)

    def cells(self) -> list[str]:
        low, high = paired_difference(self.only_second, self.only_first, self.crops)
        return [
            str(self.crops),
            str(self.only_first),
            str(self.only_second),
            f"{self.gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})",
            f"{self.p:.4f}",
        ]


def pairs_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """McNemar of every two readers on the pooled marks and on all sets, whole and reported half."""
    marks, half = [c.ground in BOLD for c in crops], [not c.is_for_choosing for c in crops]
    every = np.ones(len(crops), bool)
    groups = {
        "marks": np.array(marks, bool),
        "marks, reported half": np.array(marks, bool) & np.array(half, bool),
        "all sets": every,
        "all sets, reported half": np.array(half, bool),
    }
    outcomes = {reader: right(crops, given) for reader, given in answers.items()}
    names, rows = list(outcomes), []
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            alike = first.endswith(ONE_VIEW) == second.endswith(ONE_VIEW)
            for group, member in groups.items() if alike or GENERAL in (first, second) else ():
                pair = Pair.of(outcomes[first][member], outcomes[second][member])
                rows.append([f"{first} - {second}", group, *pair.cells()])
    heads = ["readers", "crops of", "crops", "only first", "only second", "difference, points (95 %)", "p"]
    return table(heads, rows)


# ------------------------------------------------------------------------------------------ confidence


@dataclass(frozen=True, slots=True)
class Confidence:
    """Whether the confidence of a reader ranks and predicts its errors.

    The logistic curve and the threshold come from the half for choosing; all figures from the other half.

    Attributes:
        aurc: area under the risk-coverage curve.
        ece_raw: expected calibration error of the reader's own confidence.
        ece: the same, calibrated.
        coverage: share of the readings that is accepted by the threshold of at most ``RISK``.
        risk: share of wrong ones among these.
    """

    aurc: float
    ece_raw: float
    ece: float
    coverage: float
    risk: float

    @classmethod
    def of(cls, odds: np.ndarray, good: Bools, for_choosing: Bools) -> "Confidence":
        odds = np.nan_to_num(odds, neginf=-27.0)
        chosen, rest = for_choosing, ~for_choosing
        slope, offset = fit_platt(odds[chosen].tolist(), good[chosen].tolist())
        fitted = np.array([calibrated(x, slope, offset) for x in odds[rest].tolist()])
        raw = np.array([calibrated(x, 1.0, 0.0) for x in odds[rest].tolist()])
        kept = odds[rest] >= threshold(odds[chosen], good[chosen])
        return cls(
            RiskCoverage.of(odds[rest], good[rest]).aurc,
            Reliability.of(raw, good[rest]).ece,
            Reliability.of(fitted, good[rest]).ece,
            float(kept.mean()),
            ratio(int((kept & ~good[rest]).sum()), int(kept.sum())),
        )

    def cells(self) -> list[str]:
        return [
            f"{self.aurc:.4f}",
            f"{self.ece_raw:.3f}",
            f"{self.ece:.3f}",
            f"{100 * self.coverage:.1f}",
            f"{100 * self.risk:.1f}",
        ]


def threshold(odds: np.ndarray, good: Bools, risk: float = RISK) -> float:
    """The lowest log-odds above which at most ``risk`` of the readings are wrong; inf if there are none."""
    curve = RiskCoverage.of(odds, good)
    allowed = np.flatnonzero(curve.wrong <= risk * curve.kept)
    return float(curve.threshold[allowed[-1]]) if len(allowed) else float("inf")


def confidence_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """``Confidence`` of every reader, on the pooled marks and on all sets."""
    rows = []
    groups = {"marks": places(crops, BOLD), "all sets": list(range(len(crops)))}
    for name, numbers in groups.items():
        some = [crops[i] for i in numbers]
        for reader, given in answers.items() if numbers else ():
            mine = [given[i] for i in numbers]
            chosen = np.array([crop.is_for_choosing for crop in some], bool)
            found = Confidence.of(odds_of(mine), right(some, mine), chosen)
            rows.append([name, reader, *found.cells()])
    heads = ["crops", "reader", "AURC", "ECE", "ECE, calibrated", f"accepted at {RISK:.0%} risk, %"]
    return table([*heads, "wrong of these, %"], rows)


# ------------------------------------------------------------------------------------------ rendered crops


def process_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """Rendered crops by marking process; the last column is the share that no reader reads."""
    outcomes = {reader: right(crops, given) for reader, given in answers.items()}
    groups: dict[str, list[int]] = {}
    for number, crop in enumerate(crops):
        groups.setdefault(crop.process, []).append(number)
    groups["all"] = list(range(len(crops)))
    rows = []
    for name, numbers in groups.items():
        shares = [with_interval(int(good[numbers].sum()), len(numbers)) for good in outcomes.values()]
        unread = ~np.any([good[numbers] for good in outcomes.values()], axis=0)
        rows.append([name, len(numbers), *shares, f"{100 * unread.mean():.1f}"])
    return table(["process", "crops", *(f"{reader}, %" for reader in outcomes), "unread by all, %"], rows)


def gap_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """The same codes without and with one wide gap: further errors, and of which kind."""
    even, gap = places(crops, ["even"]), places(crops, ["gap"])
    rows = []
    for reader, given in answers.items():
        good = right(crops, given)
        pair = Pair.of(good[gap], good[even])
        rates = [
            edit_rates([mpsc(given[i].text) for i in group], [mpsc(crops[i].truth) for i in group])
            for group in (even, gap)
        ]
        more = [f"{float(after) - float(before):+.2f}" for before, after in zip(*rates, strict=True)]
        errors = [int((~good[group]).sum()) for group in (even, gap)]
        rows.append([reader, len(even), *errors, f"{0 - pair.gain:+.1f}", f"{pair.p:.4f}", *more])
    heads = ["reader", "codes", "errors without", "errors with", "more errors, % of the codes", "p"]
    kinds = ("inserted", "deleted", "substituted")
    return table([*heads, *(f"more {kind}, per 100 characters" for kind in kinds)], rows)


def arbitrary_table(crops: Sequence[LabelledCrop], answers: Answers) -> str:
    """Arbitrary sequences, after ArbitText: by 36 characters and exactly."""
    rows = []
    for reader, given in answers.items():
        hits = (right_by_36(crops, given), right(crops, given, strict))
        rows.append([reader, len(crops), *(with_interval(int(good.sum()), len(good)) for good in hits)])
    return table(["reader", "crops", "36 characters, %", "exactly, %"], rows)


# ------------------------------------------------------------------------------------------ targets


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a model must reach before it ships."""

    name: str
    wanted: str
    found: str
    is_met: bool


def accuracy_targets(
    crops: Sequence[LabelledCrop], answers: Answers, reader: str, shipped: str | None
) -> list[Target]:
    """Targets of a reader on the real sets, also against the general reader and the shipped model."""
    found, good = accuracies(crops, answers), right(crops, answers[reader])
    mean = bold_mean(found[reader])
    made = [Target("mean of the bold sets", "at least 91 %", f"{mean:.1f}", mean >= 91)]
    if GENERAL in answers and reader != GENERAL:
        behind = [
            name
            for name, accuracy in found[reader].items()
            if name != "cute80" and accuracy.right < found[GENERAL][name].right
        ]
        wanted = f"each set but cute80 level with {GENERAL}"
        made.append(Target(wanted, "none behind", ", ".join(behind) or "none", not behind))
    marks = np.array([crop.ground in BOLD for crop in crops], bool)
    for other in filter(None, (GENERAL if GENERAL in answers else None, shipped)):
        if other == reader:
            continue
        theirs = right(crops, answers[other])
        for name, member in (("marks", marks), ("all sets", np.ones(len(crops), bool))):
            pair = Pair.of(good[member], theirs[member])
            says = f"{pair.gain:+.1f} points, p {pair.p:.4f}"
            made.append(Target(f"{name}, against {other}", "not behind", says, pair.gain >= 0))
    return made


def targets_table(by_reader: dict[str, list[Target]]) -> str:
    """Every target of every reader, and whether it is met."""
    rows = [
        [reader, t.name, t.wanted, t.found, "yes" if t.is_met else "**no**"]
        for reader, targets in by_reader.items()
        for t in targets
    ]
    return table(["reader", "target", "wanted", "found", "met"], rows)


def table(heads: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
