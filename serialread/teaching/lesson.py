"""A lesson: labelled pictures in; a better model with station and card out, or a refusal with its reasons."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serialread import metrics, run_log
from serialread.auditing import GOLDEN, validate
from serialread.calibration import (
    LABELS,
    CalibratedStation,
    LabelledPictures,
    ProtocolName,
    fit_acceptance,
    save_station,
)
from serialread.calibration.confidence import guarantee_of
from serialread.config import Station, load, recipe_id
from serialread.datasets import SampleStore, generate, write_store
from serialread.errors import CalibrationError, CheckpointError, RecordsError, writing_errors
from serialread.evaluation import evaluate_model, labelled_samples, quantize
from serialread.imaging import digest
from serialread.inference.quantization import ranges_path
from serialread.inference.session import Engine
from serialread.reader import Reader
from serialread.records import Record, Sample
from serialread.teaching.labelled_lines import LabelledLine, LabelSource, LineCutter, code_of, held_out_texts
from serialread.teaching.model_versions import CARD, LESSON, MODEL, STATION, WEIGHTS, ModelVersions
from serialread.teaching.promotion_gate import PairedCounts, PromotionGate
from serialread.teaching.selection import Selection, count_selected
from serialread.teaching.trials import Candidate, Chooser, Curriculum, Trial, replay_recipe, run_trial
from serialread.training import export, save_trainable
from serialread.training.checkpoint import Checkpoint, load as load_checkpoint, save
from serialread.weights import shipped_model, shipped_weights

MISREAD = 0.01
"""Misread rate of the new station, unless the old one is calibrated for another."""
REPLAY_SEED, GOLDEN_SEED = 101, 102
COMPARED = {"strict": "every character", "mpsc": "letters and digits, in any case"}
"""What is compared with the labels, by protocol."""
WORK = "work"
"""Folder of a lesson that is not finished."""
LEARNED = "learned"
"""Store of labelled crops there, by which the taught network is quantized, too."""
START = "start.pt"
"""The network there that trials go on from, without its parent."""


@dataclass(frozen=True, slots=True)
class LessonProgress:
    """How far a lesson is.

    Attributes:
        stage: what it does.
        done: of this stage.
        total: of this stage.
        right: held-out labels read right so far, at best; None before the first trial.
        held_out: held-out labels.
    """

    stage: str
    done: int
    total: int
    right: int | None = None
    held_out: int = 0


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Held-out labels read right after learning none, half and all of the labels.

    Attributes:
        learned: labels that were learned.
        held_out: labels that were not.
        right: read right, of these, at each point.
    """

    learned: tuple[int, int, int]
    held_out: int
    right: tuple[int, int, int]

    def forecast(self) -> int:
        """Held-out labels read right with twice as many: the last halving of the labels, repeated."""
        half, whole = (self.held_out - right + 0.5 for right in self.right[1:])
        return round(self.held_out - min(whole * min(whole / half, 1.0), whole))

    def to_text(self) -> str:
        """In a line."""
        points = ", ".join(f"{n} labels {r}" for n, r in zip(self.learned, self.right, strict=True))
        more = self.forecast()
        advice = f"{2 * self.learned[2]} would give about {more}"
        if more <= self.right[2]:
            advice = "more of the same would add little"
        return f"learning curve, right of {self.held_out} held-out: {points}; {advice}"


@dataclass(frozen=True, slots=True)
class SelectedCrops:
    """How many crops of a kind the taught network reads; the parent reads the others.

    Attributes:
        name: what they are.
        selected: read by the taught network.
        crops: all of them.
    """

    name: str
    selected: int
    crops: int

    def __str__(self) -> str:
        """As part of a sentence."""
        return f"{self.selected} of {self.crops} {self.name}"


@dataclass(frozen=True, slots=True)
class LessonOutcome:
    """What came of a lesson.

    Attributes:
        folder: where its files are.
        model_id: of the taught model.
        parent_id: of the model that was taught.
        gate: both tables.
        curve: what labels were worth.
        chosen: rate, mix and length.
        selected: crops that the taught network reads, by kind.
        int8: what came of int8, in a line.
        station: the calibration of the new station, in a line.
        left_out: labels that were not used, by reason.
    """

    folder: Path
    model_id: str
    parent_id: str
    gate: PromotionGate
    curve: LearningCurve
    chosen: Trial
    selected: tuple[SelectedCrops, ...]
    int8: str
    station: str
    left_out: Counter[str]

    @property
    def ok(self) -> bool:
        """Whether the taught model is live."""
        return self.gate.ok

    def summary(self) -> str:
        """The verdict, both tables and the learning curve."""
        verdict = (
            f"{self.model_id} replaces {self.parent_id}" if self.ok else f"refused: {self.parent_id} stays"
        )
        left = [f"left out: {count}, {reason}" for reason, count in self.left_out.most_common()]
        lines = [f"{self.folder}: {verdict}", *self.gate.problems, self.gate.to_text(), self.curve.to_text()]
        selected = f"read by the taught network: {', '.join(map(str, self.selected))}"
        return "\n".join([*lines, selected, self.int8, self.station, *left])


@dataclass(slots=True)
class Lesson:
    """A lesson, ready to be given: iterate it. ``outcome`` is set when it has ended."""

    source: Path
    out: Path
    start: Path
    station: Station
    station_file: Path | None
    labels: LabelSource
    confirmed: LabelSource | None
    golden: Path | None
    protocol: ProtocolName
    curriculum: Curriculum
    device: str
    log: Path
    operator: str
    outcome: LessonOutcome | None = field(default=None)

    def __iter__(self) -> Iterator[LessonProgress]:
        """Teach; yields the progress.

        Raises:
            StoreError: too few labels can be used.
            SerialreadError: a file cannot be read or written.
        """
        versions, work = ModelVersions(self.out), self.out / WORK
        live = versions.live
        parent = versions.path(live["version"]) if live else self._first_version(versions)
        self.start = parent / WEIGHTS
        cutter = LineCutter(self._reader(parent / MODEL), load_checkpoint(self.start).recipe, self.protocol)
        lines = list(cutter.cut(self.labels))
        kept = held_out_texts(
            [line.code for line in lines],
            frozenset(map(code_of, live.get("learned", ()))),
            place=self.labels.table,
            note="".join(f"; {count} left out: {reason}" for reason, count in cutter.left_out.items()),
        )
        held = [line for line in lines if line.code in kept]
        confirmed = cutter.cut(self.confirmed) if self.confirmed else ()
        learned = [line for line in (*lines, *confirmed) if line.code not in kept]
        self._resume(work, learned, held)
        yield from self._rendered(work)
        before, crops = load_checkpoint(self.start), [line.sample for line in learned]
        save(before.part("taught"), work / START)
        yield LessonProgress("selection", 0, 1)
        replay, unseen = self._replay(work)
        chooser = Chooser(Selection.of(before, replay, unseen), [line.sample for line in held], self.protocol)
        yield LessonProgress("selection", 1, 1)
        found = list[Candidate]()
        for number, trial in enumerate(self.curriculum.trials, start=1):
            stage = f"trial {number} of {len(self.curriculum.trials)}"
            yield from self._trial(trial, learned, held, work / f"trial-{number}", stage)
            found.append(chooser.candidate(trial, work / f"trial-{number}", crops))
        chosen = max(found, key=lambda one: (one.right, -one.edits))
        half = sorted(learned, key=lambda line: line.sha256)[: len(learned) // 2]
        short = Trial(chosen.trial.rate, chosen.trial.real, chosen.trial.crops // 2)
        yield from self._trial(short, half, held, work / "half", "learning curve")
        halfway = chooser.candidate(short, work / "half", [line.sample for line in half])
        curve = LearningCurve(
            (0, len(half), len(learned)),
            len(held),
            (chooser.score(before)[0], halfway.right, chosen.right),
        )
        yield LessonProgress("gate", 0, 1, chosen.right, len(held))
        self._finish(versions, parent, chosen, curve, cutter.left_out, (learned, held))
        yield LessonProgress("gate", 1, 1, chosen.right, len(held))

    # --------------------------------------------------------------------------------------------- before it

    def _reader(self, model: Path) -> Reader:
        return Reader(model, self.station.uncalibrated())

    def _first_version(self, versions: ModelVersions) -> Path:
        """Version 0: the parent as it is, with its station."""
        path = versions.path(0)
        with writing_errors(self.out, RecordsError, "Name another folder."):
            path.mkdir(parents=True, exist_ok=True)
            save_trainable(self.start, path / WEIGHTS)
        model_id, shipped = load_checkpoint(self.start).model_id, shipped_model()
        if Engine(shipped, precision="half").card.model_id == model_id:
            shutil.copyfile(shipped, path / MODEL)
            if ranges_path(shipped).is_file():
                shutil.copyfile(ranges_path(shipped), ranges_path(path / MODEL))
        else:
            export(self.start, path / MODEL)
        save_station(self.station, path / STATION)
        (path / CARD).write_text(f"# {model_id}\n\nThe model that was taught first.\n", encoding="utf-8")
        lesson: dict[str, Any] = {
            "version": 0,
            "parent": None,
            "model_id": Engine(path / MODEL).card.model_id,
            "learned": [],
        }
        _write_json(path / LESSON, lesson)
        versions.go_live(0)
        return path

    def _resume(self, work: Path, learned: Sequence[LabelledLine], held: Sequence[LabelledLine]) -> None:
        """Begin the work, or check that what was begun is this lesson."""
        about = {
            "parent": load_checkpoint(self.start).model_id,
            "learned": sorted([line.sha256, line.text] for line in learned),
            "held_out": sorted([line.sha256, line.text] for line in held),
            "protocol": self.protocol,
            "curriculum": asdict(self.curriculum),
        }
        path = work / "about.json"
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != json.loads(json.dumps(about)):
            raise CheckpointError(
                f"{work}: a lesson with other labels or another model was begun there. Delete it, or name "
                "another folder."
            )
        work.mkdir(exist_ok=True)
        if not path.is_file():
            shutil.rmtree(work / LEARNED, ignore_errors=True)
            write_store(work / LEARNED, (line.sample for line in learned), about={})
        _write_json(path, about)

    # ---------------------------------------------------------------------------------------------- during it

    def _rendered(self, work: Path) -> Iterator[LessonProgress]:
        size, recipe = self.curriculum, replay_recipe(load_checkpoint(self.start).recipe)
        stores = [("replay", size.replay + size.unseen, REPLAY_SEED), ("golden", size.golden, GOLDEN_SEED)]
        for name, count, seed in stores:
            made = generate(
                recipe, work / name, count, seed=seed, workers=size.workers, resume=(work / name).exists()
            )
            for written in made:
                yield LessonProgress(f"rendering {name}", written, count)

    def _replay(self, work: Path) -> tuple[Sequence[Sample], Sequence[Sample]]:
        """Replay crops, and rendered crops that no trial learns."""
        crops, count = SampleStore(work / "replay"), self.curriculum.replay
        return crops[:count], crops[count:]

    def _trial(
        self,
        trial: Trial,
        learned: Sequence[LabelledLine],
        held: Sequence[LabelledLine],
        out: Path,
        stage: str,
    ) -> Iterator[LessonProgress]:
        start, (replay, _) = self.out / WORK / START, self._replay(self.out / WORK)
        crops, known = [line.sample for line in learned], [line.sample for line in held]
        for step in run_trial(trial, start, crops, replay, known, out, self.device, self.protocol):
            right = None if step.best < 0 else round(step.best * len(held))
            yield LessonProgress(stage, step.step, step.steps, right, len(held))

    # ----------------------------------------------------------------------------------------------- after it

    def _finish(
        self,
        versions: ModelVersions,
        parent: Path,
        chosen: Candidate,
        curve: LearningCurve,
        left_out: Counter[str],
        labels: tuple[list[LabelledLine], list[LabelledLine]],
    ) -> None:
        """Export, measure, decide, and put the version in its place."""
        work, (learned, held) = self.out / WORK, labels
        fresh, golden = work / "version", self.golden or work / "golden"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        save(chosen.checkpoint, work / "chosen.pt")
        save_trainable(work / "chosen.pt", fresh / WEIGHTS)
        model = export(work / "chosen.pt", fresh / MODEL)
        int8 = _int8(model, parent / MODEL, work)
        pictures = [line.picture for line in held]
        before, after = (list(self._reader(one).read_many(pictures)) for one in (parent / MODEL, model))
        truths = [line.text for line in held]
        fitted = self._calibrated(after, held)
        save_station(fitted.station, fresh / STATION)
        gate = PromotionGate(
            PairedCounts.of("held-out labels", self._right(before, truths), self._right(after, truths)),
            # rendered crops have their separators in the labels
            _on_golden_set(parent / MODEL, model, golden, self.protocol if self.golden else "strict"),
            self._job_failures(fitted.station, model),
        )
        model_id, parent_id = after[0].model_id, before[0].model_id
        number = versions.next()
        folder = versions.path(number) if gate.ok else self.out / "refused"
        self.outcome = LessonOutcome(
            folder,
            model_id,
            parent_id,
            gate,
            curve,
            chosen.trial,
            _selected(chosen.checkpoint, held, golden),
            int8,
            fitted.summary,
            left_out,
        )
        lesson = self._described(number, parent, learned, held, golden)
        _write_json(fresh / LESSON, lesson)
        (fresh / CARD).write_text(self._card(lesson), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        if gate.ok:
            fresh.rename(folder)
            versions.go_live(number)
            written = versions.files(number)
        else:
            folder.mkdir()
            written = tuple((fresh / name).rename(folder / name) for name in (CARD, LESSON))
        about = {key: lesson[key] for key in ("version", "model_id", "parent_id", "accepted", "gate")}
        files = (self.labels.table, *((self.station_file,) if self.station_file else ()))
        options = {
            "source": run_log.named(self.source, self.log),
            "unlabelled": self.confirmed is not None,
            "protocol": self.protocol,
        }
        run_log.append(self.log, run_log.LoggedRun("teach", options, about, files, written, self.operator))
        shutil.rmtree(work)

    def _right(self, records: Sequence[Record], truths: Sequence[str]) -> list[bool]:
        same = metrics.strict if self.protocol == "strict" else metrics.mpsc
        return [same(r.text) == same(t) for r, t in zip(records, truths, strict=True)]

    def _calibrated(self, records: Sequence[Record], held: Sequence[LabelledLine]) -> CalibratedStation:
        """The station with the taught model's limits, on labels that it has not learned from."""
        before = self.station.calibration
        pictures = LabelledPictures(
            self.labels.table.parent, tuple(one.picture for one in held), tuple(one.text for one in held), 0
        )
        plain = self.station.uncalibrated()
        try:
            fitted = fit_acceptance(
                records,
                pictures,
                plain,
                before.misread if before else MISREAD,
                protocol=self.protocol,
                certainty=before.certainty if before else 0.95,
            )
        except CalibrationError as error:
            named = plain.model_copy(update={"model_id": records[0].model_id})
            return CalibratedStation(named, f"every reading stays REVIEW: {error}")
        return CalibratedStation(fitted, guarantee_of(fitted))

    def _job_failures(self, station: Station, model: Path) -> tuple[str, ...]:
        """Failures of the golden pictures beside the station file, if there are any."""
        folder = self.station_file.parent / GOLDEN if self.station_file else None
        if folder is None or not (folder / LABELS).is_file():
            return ()
        done = validate(station, folder, model=model)
        return tuple(f"{result.image}: {result.problem}" for result in done.failed)

    def _described(
        self,
        number: int,
        parent: Path,
        learned: Sequence[LabelledLine],
        held: Sequence[LabelledLine],
        golden: Path,
    ) -> dict[str, Any]:
        """All about the lesson, JSON by construction."""
        outcome = self.outcome
        assert outcome is not None
        start, before = load_checkpoint(self.start), ModelVersions(self.out).live
        return {
            "version": number,
            "parent": int(parent.name),
            "model_id": outcome.model_id,
            "parent_id": outcome.parent_id,
            "accepted": outcome.ok,
            "problems": list(outcome.gate.problems),
            "gate": {"held_out": asdict(outcome.gate.held_out), "golden": asdict(outcome.gate.golden)},
            "curve": asdict(outcome.curve),
            "trial": asdict(outcome.chosen),
            "selected": [asdict(kind) for kind in outcome.selected],
            "int8": outcome.int8,
            "station": outcome.station,
            "operator": self.operator,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "labels": {
                "table": self.labels.table.name,
                "sha256": digest(self.labels.table),
                "protocol": self.protocol,
                "learned": len(learned),
                "held_out": len(held),
                "confirmed": self.confirmed is not None,
                "left_out": dict(outcome.left_out),
                "pictures_sha256": run_log.pictures_digest(
                    (one.picture.image, one.sha256) for one in [*learned, *held]
                ),
            },
            "replay": {
                "recipe_id": recipe_id(replay_recipe(start.recipe)),
                "seed": REPLAY_SEED,
                "crops": self.curriculum.replay,
            },
            "golden": {"seed": GOLDEN_SEED} if self.golden is None else {"folder": str(golden)},
            "learned": sorted({one.text for one in learned}.union(before.get("learned", ()))),
        }

    def _card(self, lesson: dict[str, Any]) -> str:
        """The card: where the model comes from, on what it was taught, what it reads."""
        outcome, labels, replay = self.outcome, lesson["labels"], lesson["replay"]
        assert outcome is not None
        verdict = "Accepted." if outcome.ok else "Refused: " + " ".join(outcome.gate.problems)
        trial = outcome.chosen
        who = f" by {self.operator}" if self.operator else ""
        return f"""# {outcome.model_id}

Taught from {outcome.parent_id} on {lesson["at"]}{who}. {verdict}

{outcome.gate.to_text()}

{outcome.curve.to_text()}

| | |
|---|---|
| parent | {outcome.parent_id}, version {lesson["parent"]} |
| labels | {labels["table"]}, SHA-256 {labels["sha256"]}; pictures {labels["pictures_sha256"]} |
| compared | {COMPARED[self.protocol]} |
| learned, held out | {labels["learned"]}, {labels["held_out"]} pictures, divided by text |
| confirmed readings learned, without labels | {"yes" if labels["confirmed"] else "no"} |
| replay | {replay["crops"]} rendered crops, recipe {replay["recipe_id"]}, seed {replay["seed"]} |
| training | AdamW, rate {trial.rate:g}, {trial.crops} crops, {trial.real:.0%} of them labelled ones |
| read by the taught network | {", ".join(map(str, outcome.selected))}; the parent reads all other crops |
| int8 | {outcome.int8} |
| station | {outcome.station} |
"""


def _int8(model: Path, parent: Path, work: Path) -> str:
    """Quantize if int8 reads as well; what came of it, in a line."""
    try:
        return quantize(model, [work / "golden", work / LEARNED], 200, parent=parent).to_text()
    except CheckpointError as error:
        return f"16 bits: {error}"


def _selected(
    checkpoint: Checkpoint, held: Sequence[LabelledLine], golden: Path
) -> tuple[SelectedCrops, ...]:
    """What the taught network reads of the held-out labels and of the golden set."""
    kinds = {"held-out labels": [line.sample for line in held], "golden crops": labelled_samples(golden)[0]}
    return tuple(
        SelectedCrops(name, count_selected(checkpoint, crops), len(crops)) for name, crops in kinds.items()
    )


def _on_golden_set(before: Path, after: Path, golden: Path, protocol: ProtocolName) -> PairedCounts:
    """Both models on a golden set of crops, each as it will read."""
    first, second = (evaluate_model(Engine(model), [golden]) for model in (before, after))
    found = {crop.crop_id: crop.is_right(protocol) for crop in second.crops}
    pairs = [(crop.is_right(protocol), found[crop.crop_id]) for crop in first.crops]
    return PairedCounts.of("golden set", [a for a, _ in pairs], [b for _, b in pairs])


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def teach(
    source: str | Path,
    out: str | Path,
    *,
    start_from: str | Path | None = None,
    station: str | Path | None = None,
    golden: str | Path | None = None,
    unlabelled: bool = False,
    protocol: ProtocolName | None = None,
    curriculum: Curriculum | None = None,
    device: str = "auto",
    resume: bool = False,
    log: str | Path | None = None,
    operator: str = "",
) -> Lesson:
    """Prepare to teach a model its mistakes, from pictures with corrections.

    Args:
        source: a folder that ``read`` wrote, with ``labels.csv`` beside the readings; or a folder of pictures
            with ``labels.csv``.
        out: the folder of the model's versions; the last lesson there is what this one goes on from.
        start_from: weights of the model to teach: a run's folder, a .pt or a .safetensors file; by default
            the live version in ``out``, or else the shipped model.
        station: station file where the pictures come from; by default that of the results, or none.
        golden: a folder of labelled crops that must not get worse; by default 1,000 rendered ones.
        unlabelled: also learn readings that nobody labelled, if a check character, a barcode or a second
            reader confirms them.
        protocol: what the labels say: ``strict``, every character; ``mpsc``, letters and digits only, in any
            case: symbols are learned as the parent reads them, and not compared. By default that of the
            station's calibration, or strict.
        curriculum: how much is rendered and tried.
        device: ``cpu``, ``cuda``, or ``auto``: the GPU if there is one.
        resume: continue a lesson that was stopped.
        log: the run log; by default ``runs.log`` in ``out``.
        operator: who teaches, for card and log.

    Returns:
        The lesson. Nothing is learned before it is iterated; then ``outcome`` says what came of it.

    Raises:
        StoreError: too few labels, or too few different texts.
        RecordsError: no usable labels, or pictures of the results are gone.
        CalibrationError: a picture of a labelled folder is missing, or a picture has two codes.
        CheckpointError: no weights, or a lesson was stopped there and ``resume`` is not set.
        RecipeError: the station file is not valid.

    Example:
        >>> lesson = teach("results/", "taught/")
        >>> for progress in lesson:
        ...     print(progress.stage, progress.right, progress.held_out)
        >>> lesson.outcome.ok
    """
    source, out = Path(source), Path(out)
    if (out / WORK).exists() and not resume:
        raise CheckpointError(
            f"{out}: holds a lesson that was stopped. Continue it with --resume, or delete {out / WORK}."
        )
    labels, live = LabelSource.of(source), out / WEIGHTS
    held_out_texts([code_of(text) for text in labels.texts], place=labels.table)
    if start_from and live.is_file():
        raise CheckpointError(
            f"{out}: holds a taught model. Teach it without --from, or name another folder for {start_from}."
        )
    start = Path(start_from) if start_from else live if live.is_file() else shipped_weights()
    load_checkpoint(start)
    file = Path(station) if station else None
    place = load(file, Station) if file else labels.station or Station()
    return Lesson(
        source,
        out,
        start,
        place,
        file,
        labels,
        LabelSource.confirmed_by(source, labels) if unlabelled else None,
        Path(golden) if golden else None,
        protocol or (place.calibration.protocol if place.calibration else "strict"),
        curriculum or Curriculum(),
        device,
        Path(log) if log else out / run_log.LOG,
        operator,
    )
