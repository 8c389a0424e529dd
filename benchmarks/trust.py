"""What formats and calibrated thresholds gain on photographs of real marks.

    python benchmarks/trust.py FOLDER [--model FILE] [--misread 0.05] [--halves 100] [--protocol mpsc]
    python benchmarks/trust.py --rendered RECIPE --count 12000 --misread 0.001 --protocol strict [--format F]

FOLDER holds sets of labelled crops (<set>/images, <set>/labels.csv with filename,text). Three tables: reading
with and without a format; the time that a format takes; the misread guarantee, calibrated on one random
half of the pooled marks and checked on the other, alone and with --second-reader. With --rendered it is
checked on rendered pictures.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import cv2
import numpy as np

from serialread.calibration import LabelledPictures, ProtocolName, fit_acceptance, load_labelled
from serialread.codes import format_of
from serialread.config import Code, DataRecipe, Station, StationView, load
from serialread.config.station import EvidenceWeights, SecondReading
from serialread.errors import CalibrationError
from serialread.imaging import load_image, normalize, to_array
from serialread.inference import FormatSearch, decode
from serialread.inference.session import Engine
from serialread.metrics import clopper_pearson, mpsc, strict, wilson
from serialread.metrics.risk import Reliability, RiskCoverage
from serialread.reader import Picture, Reader, decide, log_odds, trust
from serialread.records import Decision, Floats, Record, Verdict
from serialread.synth import make_sample
from serialread.weights import shipped_model

SEED = 5
MARKS = ("atomhack_marking", "chip_74ls", "metal_stamp", "container_plate")
CONTAINER_PARTS = r"(?iso6346:[A-Z]{3}[UJZ]\d{7}) | [A-Z]{3}[UJZ](\d{6})? | \d{6} | [1-4L-P]\d[A-Z]\d"
FORMATS = (
    ("metal_stamp", "digits"),
    ("meter_lcd", r"\d+[.]?\d*"),
    ("vin_plate", "vin"),
    ("container_code", CONTAINER_PARTS),
)
COSTS = (*FORMATS, ("vin_plate", "vin-checked"), ("metal_stamp", "imei"), ("vin_plate", "gs1-128"))


def shown(pattern: str) -> str:
    return "codes in parts" if pattern == CONTAINER_PARTS else pattern


def text_of(record: Record) -> str:
    return record.reading.text if record.reading else ""


def formats_table(model: Path, folder: Path) -> None:
    print("| set | format | labels | matching | strict, free % | with format % | likely misprints |")
    print("|---|---|---|---|---|---|---|")
    for name, pattern in FORMATS:
        known, wanted = load_labelled(folder / name), format_of(pattern)
        matching = [wanted.matches(truth) for truth in known.truths]
        shares, misprints = [], 0
        for code in (Code(), Code(format=pattern)):
            records = list(Reader(model, Station(code=code)).read_many(known.pictures))
            read = zip(records, known.truths, matching, strict=True)
            right = sum(text_of(record) == truth for record, truth, matches in read if matches)
            shares.append(f"{100 * right / sum(matching):.1f} ({right})")
            misprints = sum(record.verdict is Verdict.MISPRINT for record in records)
        print(
            f"| {name} | {shown(pattern)} | {len(matching)} | {sum(matching)} | {shares[0]} | {shares[1]} "
            f"| {misprints} |",
            flush=True,
        )


def scores_of(engine: Engine, known: LabelledPictures) -> tuple[list[tuple[Floats, Floats]], float]:
    """Scores and attention of each crop as it is, and the network's ms a crop, one at a time."""
    found, seconds = [], 0.0
    for picture in known.pictures:
        crop = normalize(load_image(picture.path), StationView(find_lines=False))
        batch = to_array(crop.pixels, engine.card.geometry)[None]
        started = process_time()
        scores, attention = engine.run(batch)
        seconds += process_time() - started
        found.append((scores[0], attention[0]))
    return found, 1000 * seconds / len(found)


def decoding_ms(scores: list[tuple[Floats, Floats]], engine: Engine, search: FormatSearch | None) -> float:
    rounds = []
    for _ in range(20):
        started = process_time()
        for one, attention in scores:
            decode(one, engine.card.alphabet, attention, search=search)
        rounds.append(1000 * (process_time() - started) / len(scores))
    return min(rounds)


def cost_table(model: Path, folder: Path) -> None:
    engine = Engine(model, threads=1)
    print("\n| set | format | not matching % | network ms | decoding ms | with format ms | increase, % |")
    print("|---|---|---|---|---|---|---|")
    for name, pattern in COSTS:
        scores, network = scores_of(engine, load_labelled(folder / name))
        search = FormatSearch(format_of(pattern), engine.card.alphabet)
        free, fitted = decoding_ms(scores, engine, None), decoding_ms(scores, engine, search)
        made = [decode(one, engine.card.alphabet, search=search).free is not None for one, _ in scores]
        print(
            f"| {name} | {shown(pattern)} | {100 * np.mean(made):.0f} | {network:.2f} "
            f"| {free:.3f} | {fitted:.3f} | {100 * (fitted - free) / network:.1f} |",
            flush=True,
        )


@dataclass(frozen=True, slots=True)
class HalfSplit:
    """The station calibrated on one half, applied to the other.

    Attributes:
        pictures: of the other half.
        accepted: of these.
        wrong: of the accepted.
        errors: calibration error before and after.
    """

    pictures: int
    accepted: int
    wrong: int
    errors: tuple[float, float]


def part(known: LabelledPictures, chosen: Sequence[int]) -> LabelledPictures:
    pictures = tuple(known.pictures[i] for i in chosen)
    return LabelledPictures(known.folder, pictures, tuple(known.truths[i] for i in chosen), 0)


def checked(records: Sequence[Record], right: Sequence[bool], station: Station) -> HalfSplit:
    accepted = wrong = 0
    outcomes: list[tuple[float, float, bool]] = []
    for record, good in zip(records, right, strict=True):
        if record.reading is None:
            continue
        trusted = trust(record.reading, station.calibration, record.second)
        decision, _ = decide(record.reading, trusted, record.doubts, station.limits)
        accepted += decision is Decision.ACCEPT
        wrong += decision is Decision.ACCEPT and not good
        outcomes.append((record.reading.confidence, trusted, good))
    before, after, good_ones = (np.array(column) for column in zip(*outcomes, strict=True))
    errors = (Reliability.of(before, good_ones).ece, Reliability.of(after, good_ones).ece)
    return HalfSplit(len(records), accepted, wrong, errors)


def pooled(folder: Path, names: Sequence[str]) -> LabelledPictures:
    """The pictures of several sets as one."""
    sets = [load_labelled(folder / name) for name in names]
    pictures, truths = (tuple(x for s in sets for x in getattr(s, part)) for part in ("pictures", "truths"))
    return LabelledPictures(folder, pictures, truths, 0)


def without_second(record: Record) -> Record:
    """The record if the second reader had not been asked."""
    doubts = tuple(doubt for doubt in record.doubts if not doubt.startswith("second reader:"))
    return replace(record, second=None, doubts=doubts)


def confirmed_below(record: Record, below: float) -> Record:
    """The record if the second reader were asked only about a lower network confidence."""
    asked = record.reading is not None and record.reading.confidence < below
    return record if asked else without_second(record)


def rendered(recipe: DataRecipe, count: int, folder: Path) -> LabelledPictures:
    """Pictures rendered from a recipe."""
    pictures, truths = [], []
    for number in range(count):
        sample = make_sample(recipe, SEED, number)
        path = folder / f"{number:06}.png"
        cv2.imwrite(str(path), sample.pixels)
        pictures.append(Picture(path, path.name))
        truths.append(sample.text)
    return LabelledPictures(folder, tuple(pictures), tuple(truths), 0)


def guarantee_table(
    records: Sequence[Record],
    known: LabelledPictures,
    station: Station,
    misread: float,
    halves: int,
    protocol: ProtocolName,
) -> None:
    """Calibrate on random halves, and count on the others."""
    truths, same = known.truths, {"strict": strict, "mpsc": mpsc}[protocol]
    right = [same(text_of(r)) == same(t) for r, t in zip(records, truths, strict=True)]
    trials, with_evidence = [], 0
    rng = np.random.default_rng(1)
    for _ in range(halves):
        order = rng.permutation(len(records)).tolist()
        one, other = order[: len(order) // 2], order[len(order) // 2 :]
        try:
            made = fit_acceptance(
                [records[i] for i in one], part(known, one), station, misread, protocol=protocol
            )
        except CalibrationError:
            continue
        weighed = made.calibration.evidence if made.calibration else EvidenceWeights()
        with_evidence += weighed.model_copy(update={"length": 0.0}) != EvidenceWeights()
        trials.append(checked([records[i] for i in other], [right[i] for i in other], made))
    broken = sum(t.wrong > misread * t.accepted for t in trials)
    print(f"guarantee {misread:.1%}: {halves} halves, {halves - len(trials)} refused, {broken} broken")
    if trials:
        coverage = float(np.mean([t.accepted / t.pictures for t in trials]))
        before, after = np.mean([t.errors for t in trials], axis=0)
        accepted, wrong = sum(t.accepted for t in trials), sum(t.wrong for t in trials)
        overall = coverage * len(trials) / halves
        print(f"accepted {coverage:.1%} where not refused, {overall:.1%} over all")
        print(f"misread among accepted {wrong / max(accepted, 1):.2%}")
        print(f"calibration error {before:.3f} before, {after:.3f} after")
        print(f"further evidence weighed in {with_evidence} halves", flush=True)


def curve_table(records: Sequence[Record], known: LabelledPictures, protocol: ProtocolName) -> None:
    """Right readings, and wrong ones among the most confident."""
    same = {"strict": strict, "mpsc": mpsc}[protocol]
    right = [same(text_of(r)) == same(t) for r, t in zip(records, known.truths, strict=True)]
    low, high = wilson(sum(right), len(right))
    share = 100 * sum(right) / len(right)
    print(f"\n{len(right)} marks, {share:.1f} % right ({100 * low:.1f}-{100 * high:.1f}), {protocol}")
    log_odds_ = np.array([log_odds(r.reading) if r.reading else math.nan for r in records])
    curve = RiskCoverage.of(log_odds_, np.array(right))
    print(f"AURC {curve.aurc:.4f}")
    step = max(len(right) // 8, 1)
    for count in range(step, len(right) + 1, step):
        at = int(np.searchsorted(curve.kept, count).clip(0, len(curve.kept) - 1))
        kept, wrong = int(curve.kept[at]), int(curve.wrong[at])
        least, most = clopper_pearson(wrong, kept)
        print(f"  {kept} most confident: {wrong} wrong, {100 * least:.1f}-{100 * most:.1f} %")


def guarantee_tables(
    model: Path,
    known: LabelledPictures,
    code: Code,
    second_reader: str,
    below: Sequence[float],
    wanted: tuple[float, int, ProtocolName],
) -> None:
    """The guarantee alone, and with a second reader that is asked about all or about doubtful readings."""
    _, _, protocol = wanted
    second = SecondReading(use=second_reader, compare=protocol)
    alone = Station(code=code, view=StationView(retry_below=1.0))  # as a calibration reads
    confirmed = alone.model_copy(update={"second_reader": second})
    records = list(Reader(model, confirmed).read_many(known.pictures))
    curve_table(records, known, protocol)
    print("\nalone")
    guarantee_table(list(map(without_second, records)), known, alone, *wanted)
    for limit in below if second_reader else ():
        station = confirmed.with_second_reader("", limit)
        print(f"\n{station.second_reader}")
        asked = records if limit == 1 else [confirmed_below(record, limit) for record in records]
        agreed = [(r, t) for r, t in zip(asked, known.truths, strict=True) if r.reading and not r.doubts]
        wrong = sum(mpsc(r.text) != mpsc(t) for r, t in agreed)
        print(f"{len(agreed)} without a doubt, {wrong} of them wrong")
        guarantee_table(asked, known, station, *wanted)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rendered", type=Path, help="recipe of pictures instead of a folder of real ones")
    parser.add_argument("--count", type=int, default=12_000, help="of rendered pictures")
    parser.add_argument("--format", default="", help="that rendered codes obey")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--misread", type=float, default=0.05)
    parser.add_argument("--halves", type=int, default=100)
    parser.add_argument("--protocol", choices=("strict", "mpsc"), default="mpsc")
    parser.add_argument("--sets", nargs="*", default=MARKS, help="of the folder, pooled")
    parser.add_argument("--second-reader", default="", help="rapidocr or module:function")
    parser.add_argument(
        "--below", type=float, nargs="*", default=(1.0, 0.8), help="see --second-reader-below"
    )
    parser.add_argument("--tables", nargs="*", default=("formats", "cost", "guarantee"))
    args = parser.parse_args()
    model = args.model or shipped_model()
    wanted = args.misread, args.halves, args.protocol
    if args.rendered:
        with TemporaryDirectory() as folder:
            known = rendered(load(args.rendered, DataRecipe), args.count, Path(folder))
            guarantee_tables(model, known, Code(format=args.format), args.second_reader, args.below, wanted)
        return
    if args.folder is None:
        parser.error("name a folder of labelled sets, or a recipe with --rendered")
    if "formats" in args.tables:
        formats_table(model, args.folder)
    if "cost" in args.tables:
        cost_table(model, args.folder)
    if "guarantee" in args.tables:
        known = pooled(args.folder, args.sets)
        guarantee_tables(model, known, Code(), args.second_reader, args.below, wanted)


if __name__ == "__main__":
    main()
