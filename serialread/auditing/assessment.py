"""The audit as a value: readings matched with their truths, judged and summed up; written on request."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from serialread import run_log
from serialread.auditing.batch_scores import (
    ConfidenceQuality,
    data_findings,
    judge,
    sequence_failures,
    sequence_findings,
)
from serialread.auditing.characters import character_tables
from serialread.auditing.input_tables import POINTS, group, read_batches, read_readings, readings_path
from serialread.auditing.matching import pair, without_truth
from serialread.auditing.releases import NOT_GUARANTEED, MisreadLimit
from serialread.auditing.report_files import FILES, WORKBOOK, write_audit
from serialread.auditing.rerunning import MAX_PICTURES, FailurePictures, read_failures
from serialread.auditing.sampling import SAMPLE
from serialread.auditing.sections import Assessment, build_tables
from serialread.auditing.sharded_audit import PLAN, SummedParts, Truths, is_sharded, parts_of
from serialread.auditing.trends import Trend, compute_trends, freeze_limits, read_limits, trend_findings
from serialread.auditing.truth_checks import folded_truths, truth_findings
from serialread.auditing.wording import Finding, by_severity, percent, rate_words, ratio, warning
from serialread.errors import RecordsError
from serialread.imaging import digest
from serialread.label_tables import TextTable, read_labels
from serialread.metrics.control_charts import ControlLimits
from serialread.reader.run_setups import find_setup
from serialread.storage import Storage
from serialread.weights import shipped_model

_NONE = "no reading was accepted without a person"


@dataclass(frozen=True, slots=True)
class AuditInput:
    """A table that was audited.

    Attributes:
        sha256: of its bytes.
        lines: its lines that count.
        url: where it is, if it is no file of this machine; "" otherwise.
    """

    path: Path
    sha256: str
    lines: int
    url: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What an audit found.

    Every table of the report is a pandas ``DataFrame`` and an attribute: ``releases``, ``batches``,
    ``fields``, ``groups``, ``trends``, ``errors``, ``waiting``, ``confusions``, ``characters``,
    ``positions``, ``lengths``, ``confidence``, ``coverage``, ``sampling``, ``unmatched``. docs/audit.md
    describes their columns.

    Attributes:
        inputs: readings.csv, then the truth table, the batch table and the baseline where they were given.
        judged: whether a truth was given.
        total: the line of ``batches`` for all images, by column.
        findings: the most serious first.
        tables: every table by its name.
        confidence_quality: Brier score, calibration error and area under the risk-coverage curve.
        control_charts: the measures that were charted, with their limits.
        models: ids of the models that read.
        stations: ids of the stations.
        read_at: first and last time of reading, as text.
        options: column of the batches (``by``) and number of images to label (``sample``).
        failures: pictures of the failures; none unless ``with_failure_pictures`` was called.
    """

    inputs: tuple[AuditInput, ...]
    judged: bool
    total: dict[str, Any]
    findings: tuple[Finding, ...]
    tables: dict[str, pd.DataFrame]
    confidence_quality: ConfidenceQuality
    control_charts: tuple[Trend, ...]
    models: tuple[str, ...]
    stations: tuple[str, ...]
    read_at: tuple[str, str]
    options: dict[str, Any]
    failures: FailurePictures = field(default_factory=FailurePictures)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """A table of the report."""
        if name == "tables" or name not in self.tables:
            raise AttributeError(f"an audit has no table {name!r}")
        return self.tables[name]

    def headline(self) -> list[tuple[str, str, str]]:
        """The main figures: name, figure, and the counts with their intervals."""
        total, known = self.total, self.total["right"] + self.total["wrong"]
        no_read = ("no-read rate", total["no_read"], total["images"])
        rates = [
            ("accuracy, strict", total["right"], known),
            ("accuracy, MPSC", total["mpsc_right"], known),
            ("misread rate of accepted images", total["misread"], total["accepted_known"]),
            no_read,
        ]
        shown = rates if self.judged else [no_read]
        figures = [(name, *rate_words(hits, of)) for name, hits, of in shown]
        if self.judged:
            cer = f"CER {percent(total['cer'])} %"
            edits = f"{total['edits']:,} edits in {total['truth_chars']:,} characters"
            figures.append(("characters", cer, f"{edits}; 1-NED {ratio(total['one_minus_ned'])}"))
            quality = {name: ratio(value) for name, value in self.confidence_quality.summary().items()}
            others = f"Brier {quality['brier']}, AURC {quality['aurc']}"
            images = f"{self.confidence_quality.images:,} images"
            figures.append(("confidence", f"ECE {quality['ece']}", f"{others}; {images}"))
        if not math.isnan(total["mark_grade_mean"]):
            counts = ", ".join(f"{grade} {total[f'mark_{grade}']:,}" for grade in POINTS)
            mean = f"{total['mark_grade_mean']:.2f} of 4"
            figures.append(("mean mark grade", mean, counts))
        if not math.isnan(total["elapsed_ms_p50"]):
            figures.append(("time per image", f"{total['elapsed_ms_p50']:.1f} ms", "median"))
        return figures

    def key_figures(self) -> list[tuple[str, str, str]]:
        """What the first screen says in figures: plain name, figure, and what it counts."""
        total, known = self.total, self.total["right"] + self.total["wrong"]
        figures = []
        if known:
            low, high = (percent(total[f"accuracy_{side}"]) for side in ("low", "high"))
            words = f"{total['right']:,} of {known:,} with a truth; 95 %: {low} to {high} %"
            figures.append(("read correctly", f"{percent(total['accuracy'])} %", words))
            accepted = total["accepted_known"]
            most = percent(total["misread_rate_exact_high"]) if accepted else ""
            words = f"of {accepted:,} accepted with a truth; rate at most {most} %" if accepted else _NONE
            figures.append(("accepted but wrong", f"{total['misread']:,}", words))
        decided = f"{total['accepted']:,} accepted, {total['review']:,} for review"
        waiting = f"of {total['images']:,} pictures; {decided}, {total['rejected']:,} rejected"
        figures.append(("wait for a person", f"{len(self.waiting):,}", waiting))
        figures.append(("not read", f"{percent(total['no_read_rate'])} %", f"{total['no_read']:,} pictures"))
        if not math.isnan(total["mark_grade_mean"]):
            counts = ", ".join(f"{grade} {total[f'mark_{grade}']:,}" for grade in POINTS)
            figures.append(("mark quality", f"{total['mark_grade_mean']:.1f} of 4", counts))
        return figures

    def write(self, out: str | Path, *, excel: bool = False) -> tuple[Path, ...]:
        """Write the tables, audit.json, audit.md and report.html into a folder, which is created.

        Args:
            out: the folder; files of these names are replaced.
            excel: write ``WORKBOOK``, too.

        Returns:
            Every file that was written.

        Raises:
            RecordsError: the folder cannot be written, an input would be replaced, or XlsxWriter is missing.
        """
        out = Path(out)
        return write_audit(self, out, excel=excel)

    def freeze(self, path: str | Path) -> None:
        """Write the control limits of these batches, as the baseline of later audits.

        Raises:
            RecordsError: too few batches, a name that a report uses, or a file that cannot be written.
        """
        path = Path(path)
        if path.name in (*FILES, WORKBOOK) or path.resolve() in [s.path.resolve() for s in self.inputs]:
            raise RecordsError(f"{path}: the audit reads or writes a file of this name. Name another file.")
        freeze_limits(self.control_charts, path)

    def with_failure_pictures(
        self, logs: Sequence[Path], shipped_model: Path, most: int = MAX_PICTURES
    ) -> "Audit":
        """Read the failures again for the report, as the log says that they were read.

        Args:
            logs: run logs that may hold the run; the first that has it is used.
            shipped_model: the model of runs that name none.
            most: failures to read: accepted images first, then the least confident readings that wait for a
                person, then by falling confidence.

        Returns:
            The same audit with pictures, or with the reason why there are none.
        """
        failures = read_failures(self.errors, self.waiting, self.inputs[0].path, logs, shipped_model, most)
        return replace(self, failures=failures)

    def log(self, log: Path, written: Sequence[Path], operator: str = "") -> str:
        """Append this audit to a run log; returns the hash of its line.

        Args:
            log: the log, which is created if it is missing.
            written: files that were written.
            operator: who ran the audit.

        Raises:
            RecordsError: the log cannot be written, or its last line is damaged.
        """
        about = {"models": self.models, "stations": self.stations, "images": self.total["images"]}
        options = {**self.options, "excel": any(path.name == WORKBOOK for path in written)}
        if urls := {source.url: source.sha256 for source in self.inputs if source.url}:
            about["inputs"] = urls
        inputs = tuple(source.path for source in self.inputs if not source.url)
        return run_log.append(
            log, run_log.LoggedRun("audit", options, about, inputs, tuple(written), operator)
        )


def audit(
    results: str | Path,
    truth: str | Path | None = None,
    *,
    batches: str | Path | None = None,
    by: str | None = None,
    baseline: str | Path | None = None,
    sample: int = SAMPLE,
    fold_lookalikes: bool = False,
    log: str | Path | None = None,
) -> Audit:
    """Compare readings with the truth and sum them up by batch; writes nothing.

    Args:
        results: readings.csv, or the folder that ``serialread read --out`` wrote.
        truth: table with the columns filename and text, and of the names of fields to count these; None
            counts the readings without judging them.
        batches: table with the column batch or filename, and other columns to sum up by.
        by: column whose values are the batches; None uses the folders of the pictures.
        baseline: control limits that ``Audit.freeze`` wrote; None computes them from these batches.
        sample: number of images without a truth to draw for labelling.
        fold_lookalikes: take characters of the truths that look like printable ASCII ones (Cyrillic and Greek
            letters, dashes, full-width digits) for these.
        log: run log that holds the run, and with it the misread guarantee of its station; by default the one
            beside the readings.

    Readings in shards (``serialread read --runner``) are audited part by part; their truths are matched by
    path alone, and ``batches`` and ``fold_lookalikes`` are not supported.

    Raises:
        RecordsError: inputs that are missing or damaged.
    """
    if is_sharded(results):
        if batches is not None or fold_lookalikes:
            option = "--batches" if batches is not None else "--fold-lookalikes"
            raise RecordsError(f"{option}: does not go with readings in shards. Leave it out.")
        return _audit_of_shards(str(results), truth, by, baseline, sample)
    readings = read_readings(Path(results))
    limits = None if baseline is None else read_limits(Path(baseline))
    done = audit_tables(
        readings,
        None if truth is None else read_labels(Path(truth), fields=True),
        batches=None if batches is None else read_batches(Path(batches)),
        by=by,
        limits=limits,
        sample=sample,
        fold_lookalikes=fold_lookalikes,
        allowed=_allowed(readings_path(Path(results)), log),
    )
    if baseline is None or limits is None:
        return done
    baseline = Path(baseline)
    return replace(done, inputs=(*done.inputs, AuditInput(baseline, digest(baseline), len(limits))))


def _allowed(readings: Path, log: str | Path | None) -> MisreadLimit:
    """The misread guarantee of the station that read; the default of none if nothing is known of it."""
    logs = [readings.with_name(run_log.LOG), *([Path(log)] if log else [])]
    try:
        made = find_setup(readings, logs, shipped_model())[0].station.calibration
    except RecordsError:
        made = None
    return MisreadLimit(made.misread, made.certainty, is_guaranteed=True) if made else NOT_GUARANTEED


def _audit_of_shards(
    results: str, truth: str | Path | None, by: str | None, baseline: str | Path | None, sample: int
) -> Audit:
    folder = Storage(results)
    plan = json.loads(folder.read(PLAN))
    stated = None if truth is None else read_labels(Path(truth), fields=True)
    limits = None if baseline is None else read_limits(Path(baseline))
    made = plan.get("guarantee")
    allowed = MisreadLimit(**made, is_guaranteed=True) if made else NOT_GUARANTEED
    truths = Truths(None if stated is None else stated.rows)
    summed = SummedParts(limits, sample, allowed)
    for rows in parts_of(folder, plan["fields"], by):
        summed.add(*truths.paired(rows))
    summed.add_unmatched(truths.unused())
    tables, trends, quality, findings = summed.result()
    findings = [*truths.findings(plan["fields"]), *findings]
    url = f"{folder.url}/{PLAN}" if "://" in results else ""
    made_by = hashlib.sha256(folder.read(PLAN)).hexdigest()
    inputs = [AuditInput(Path(results) / PLAN, made_by, summed.images, url)]
    if stated is not None:
        inputs.append(AuditInput(stated.path, stated.sha256, len(stated.rows)))
        findings += [warning(text) for text in stated.warnings]
    if baseline is not None and limits is not None:
        inputs.append(AuditInput(Path(baseline), digest(Path(baseline)), len(limits)))
    return Audit(
        inputs=tuple(inputs),
        judged=truths.given,
        total={str(name): cell for name, cell in tables["batches"].tail(1).to_dict("records")[0].items()},
        findings=by_severity(findings),
        tables=tables,
        confidence_quality=quality,
        control_charts=trends,
        models=tuple(summed.models),
        stations=tuple(summed.stations),
        read_at=summed.read_at,
        options={"by": by, "sample": sample, "fold_lookalikes": False},
    )


def audit_tables(
    readings: TextTable,
    truth: TextTable | None = None,
    *,
    batches: TextTable | None = None,
    by: str | None = None,
    limits: dict[str, ControlLimits] | None = None,
    sample: int = SAMPLE,
    fold_lookalikes: bool = False,
    allowed: MisreadLimit = NOT_GUARANTEED,
) -> Audit:
    """The same as ``audit``, from tables that were read before.

    Raises:
        RecordsError: there is no column ``by``.
    """
    grouping = group(readings.rows, batches, by)
    folded: tuple[Finding, ...] = ()
    if truth is None:
        pairing = without_truth(grouping.rows)
    else:
        stated, folded = folded_truths(truth.rows) if fold_lookalikes else (truth.rows, ())
        pairing = pair(grouping.rows, stated)
    judged = judge(pairing.rows)
    trends = compute_trends(judged, grouping.order, limits)
    quality = ConfidenceQuality.of(judged)
    characters, sequences = character_tables(judged), sequence_failures(judged)
    about, unmatched = grouping.about, pairing.unmatched
    tables = build_tables(
        Assessment(judged, about, unmatched, characters, quality, trends, sequences, sample, allowed)
    )
    sources = [source for source in (readings, truth, batches) if source is not None]
    findings = [
        *(warning(text) for source in sources for text in source.warnings),
        *grouping.findings,
        *pairing.findings,
        *folded,
        *truth_findings(judged),
        *data_findings(judged),
        *sequence_findings(sequences),
        *trend_findings(trends),
    ]
    return Audit(
        inputs=tuple(AuditInput(source.path, source.sha256, len(source.rows)) for source in sources),
        judged=truth is not None,
        total={str(name): cell for name, cell in tables["batches"].tail(1).to_dict("records")[0].items()},
        findings=by_severity(findings),
        tables=tables,
        confidence_quality=quality,
        control_charts=trends,
        models=tuple(judged["model_id"].unique()),
        stations=tuple(judged["station_id"].unique()),
        read_at=(judged["read_at"].min(), judged["read_at"].max()),
        options={"by": by, "sample": sample, "fold_lookalikes": fold_lookalikes},
    )
