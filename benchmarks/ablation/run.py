"""The ablation of the family and the realism study of the generator, unattended and resumable.

    python benchmarks/ablation/run.py table STORE --unseen STORE --seen STORE --real FOLDER --out DIR
    python benchmarks/ablation/run.py realism STORE --unseen STORE --real FOLDER --out DIR

``table`` first trains the common trunk by CTC (``--trunk-crops``), then every row from it with the same
crops, steps and seed; ``--start`` takes the weights of a file instead, ``--from-nothing`` does without. The
rows of the second generation start from ``--start recipes/weights/siga-aligned.safetensors --rows lean-ctc
lean-glimpse lean-glan lean-acfm lean-sec``; rows with glyphs are also measured with these zeroed.

``realism`` trains one row on the whole store and without one process family after the other
(``--leave-out``), all from a trunk that has seen none of these families. ``--at-once`` rows learn side by
side, each on a core of its own; the trunk takes all these cores. Each row writes one JSON; rows that have
theirs are passed over, a stopped one goes on. ``--minutes`` cuts a row short, and the table says so. Tables
are drawn again after each row; seeds of a row against each other tell what chance does.
"""

import argparse
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import tables
import torch
from rowing import ROWS, Budget, Grounds, learned, processes, recipe_of, row, without

from serialread.datasets import SampleStore
from serialread.records import Sample

ORDER = (
    "ctc", "parallel", "parallel-sec", "aligned", "glan", "siga-two-means", "siga-relief", "siga-rendered",
    "siga-dense", "siga-recurrent", "rnn", "rnn-sec", "transformer", "transformer-sec", "sweep-threshold-low",
    "sweep-threshold-high", "sweep-slope-low", "sweep-slope-high", "lean-ctc", "lean-glimpse", "lean-glan",
    "lean-acfm", "lean-sec",
)  # fmt: skip
ENDS = ("ctc", "parallel", "siga-two-means", "siga-dense", "lean-ctc", "lean-acfm")
"""Rows with two seeds."""
PAIRS = (
    ("parallel", "ctc"), ("parallel-sec", "parallel"), ("aligned", "parallel"), ("glan", "aligned"),
    ("siga-two-means", "glan"), ("siga-two-means", "parallel"), ("siga-relief", "siga-two-means"),
    ("siga-rendered", "siga-relief"), ("siga-dense", "siga-rendered"), ("siga-recurrent", "siga-two-means"),
    ("rnn-sec", "rnn"), ("transformer-sec", "transformer"), ("sweep-threshold-low", "siga-two-means"),
    ("sweep-threshold-high", "siga-two-means"), ("sweep-slope-low", "siga-two-means"),
    ("sweep-slope-high", "siga-two-means"), ("lean-glimpse", "lean-ctc"), ("lean-glan", "lean-glimpse"),
    ("lean-acfm", "lean-glan"), ("lean-sec", "lean-acfm"), ("lean-acfm", "lean-ctc"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A row that is to learn: its recipe's name, what it is called in the tables, its seed, its data."""

    name: str
    label: str
    seed: int
    data: Sequence[Sample]


def trunk(args: argparse.Namespace, data: Sequence[Sample], row: str = "trunk") -> Path:
    """The common start, trained once."""
    folder = args.out / "runs" / "trunk"
    budget = Budget(args.trunk_crops, args.trunk_minutes, args.batch, args.at_once)
    learned(budget.given_to(recipe_of(row), 1), data, folder, None, args.trunk_minutes)
    return folder / "last.pt"


def table(args: argparse.Namespace) -> Iterator[str]:
    """All rows of the ablation, the first seed of each before the second of the ends."""
    data = _data(args)
    start = args.start or (None if args.from_nothing else trunk(args, data))
    wanted = args.rows or [name for name in ORDER if (ROWS / f"{name}.toml").is_file()]
    suffix = "-from-nothing" if args.from_nothing else ""
    turns = [
        Turn(name, name + suffix, seed, data)
        for seed in args.seeds
        for name in wanted
        if seed == args.seeds[0] or name in ENDS
    ]
    order = [name + suffix for name in ORDER]
    pairs = [(first + suffix, second + suffix) for first, second in PAIRS]
    yield from _taken(turns, args, start, args.out / "table.md", order, pairs)


def realism(args: argparse.Namespace) -> Iterator[str]:
    """The store as it is, then without each process family, as many seeds of each."""
    data = _data(args)
    made_by = processes(data, args.out / "processes.json")
    families = {f"without-{name}": parts.split("+") for name, parts in map(_family, args.leave_out)}
    every = {process for parts in families.values() for process in parts}
    start = trunk(args, without(data, made_by, every), args.row)
    names = ["everything", *families]
    turns = [
        Turn(args.row, name, seed, without(data, made_by, families.get(name, ())))
        for seed in args.seeds
        for name in names
    ]
    pairs = [("everything", other) for other in names[1:]]
    yield from _taken(turns, args, start, args.out / "realism.md", names, pairs)


def _taken(
    turns: Sequence[Turn], args: argparse.Namespace, start: Path | None, page: Path, order: Sequence[str],
    pairs: Sequence[tuple[str, str]],
) -> Iterator[str]:  # fmt: skip
    """All turns, ``args.at_once`` of them side by side; the page is written again after each."""
    budget = Budget(args.crops, args.minutes, args.batch, replicas=1)
    grounds = Grounds.of(args.seen, args.unseen, args.real)
    spawning = multiprocessing.get_context("spawn")
    cores = spawning.Queue()
    for core in sorted(os.sched_getaffinity(0))[: args.at_once]:
        cores.put(core)
    pool = ProcessPoolExecutor(args.at_once, spawning, _pinned, (cores,))
    try:
        waiting = {
            pool.submit(
                row, turn.label, budget.given_to(recipe_of(turn.name), turn.seed), turn.data, args.out,
                start, budget, grounds,
            ): turn
            for turn in turns
        }  # fmt: skip
        for done in as_completed(waiting):
            done.result()
            page.write_text(_page(tables.rows(args.out), order, pairs), encoding="utf-8")
            yield f"{waiting[done].label}, seed {waiting[done].seed}: done"
    finally:  # a stop or a failure waits only for the rows under way
        pool.shutdown(cancel_futures=True)


def _page(found: Sequence[tables.Row], order: Sequence[str], pairs: Sequence[tuple[str, str]]) -> str:
    parts = (
        tables.drawn(found, order),
        tables.compared(found, pairs),
        tables.noise(found, order),
        tables.by_process(found, order, "unseen"),
    )
    return "\n\n".join(parts) + "\n"


def _pinned(cores: "multiprocessing.Queue[int]") -> None:
    """Keep this process, and the threads that torch makes in it, on one core."""
    os.sched_setaffinity(0, {cores.get()})
    torch.set_num_threads(1)


def _family(option: str) -> tuple[str, str]:
    """``relief=stamped+engraved`` as a name and its processes; a bare process names itself."""
    name, _, parts = option.partition("=")
    return name, parts or name


def _data(args: argparse.Namespace) -> SampleStore:
    args.out.mkdir(parents=True, exist_ok=True)
    return SampleStore(args.data)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("study", choices=["table", "realism"])
    made.add_argument("data", type=Path, help="store to learn from")
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--unseen", type=Path, help="held-out store, typefaces that never train")
    made.add_argument("--seen", type=Path, help="held-out store, typefaces that train")
    made.add_argument("--real", type=Path, help="folder of labelled sets, as benchmarks/measure reads it")
    made.add_argument("--crops", type=int, default=180_000, help="crops a row learns from")
    made.add_argument("--minutes", type=float, default=25, help="after which a row is cut short")
    made.add_argument("--trunk-crops", type=int, default=180_000)
    made.add_argument("--trunk-minutes", type=float, default=40)
    made.add_argument("--batch", type=int, help="crops a step, instead of the rows' own")
    made.add_argument("--at-once", type=int, default=2, help="rows that learn side by side, a core each")
    made.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    made.add_argument("--rows", nargs="+", help="only these rows of the table")
    made.add_argument("--start", type=Path, help="weights that all rows start from, instead of a trunk")
    made.add_argument("--from-nothing", action="store_true", help="without the common trunk")
    made.add_argument("--leave-out", nargs="+", default=["dot_peen", "stamped", "engraved", "laser"],
                      help="process families of the realism study: PROCESS, or NAME=A+B")  # fmt: skip
    made.add_argument("--row", default="siga-dense", help="row that the realism study trains")
    return made


def main() -> None:
    args = parser().parse_args()
    if not 1 <= args.at_once <= len(os.sched_getaffinity(0)):
        parser().error(f"--at-once {args.at_once}: a row takes a core, and there are {os.cpu_count()}")
    for line in table(args) if args.study == "table" else realism(args):
        print(line, flush=True)


if __name__ == "__main__":
    main()
