"""Kill commands at random moments, resume them, and compare the results with those of whole runs.

    python benchmarks/interruptions.py OUT [--kills 40] [--seed 0] [--commands read audit ...]

Every command runs once from start to end. Then it is killed (SIGKILL) after a random share of that time,
resumed, or begun again where it has no --resume, and its results are compared: those of `read` without the
time of reading, those of `generate-synth` sample by sample, those of `train` tensor by tensor, the files of
`station confidence` and `audit` byte by byte. Prints a table; exit code 1 if any result differs.
"""

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "sample_images"
VOLATILE = ("read_at", "elapsed_ms")
TINY = f"""
extends = "{ROOT / "recipes/train/siga-tiny.toml"}"
[optimization]
crops = 80
batch = 8
validate_crops = 16
"""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A command that is killed.

    Attributes:
        arguments: of serialread, without the folder of the results.
        resumes: what shows that there is something to resume; None if the command begins again.
        digest: of its results.
    """

    arguments: tuple[str, ...]
    resumes: Callable[[Path], bool] | None
    digest: Callable[[Path], str]

    def command(self, out: Path) -> list[str]:
        resume = ["--resume"] if self.resumes and self.resumes(out) else []
        return [sys.executable, "-m", "serialread", *self.arguments, "--out", str(out), *resume, "-q"]


def readings(out: Path) -> str:
    lines = [json.loads(line) for line in (out / "readings.jsonl").read_bytes().splitlines()]
    kept = [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()


def samples(out: Path) -> str:
    from serialread.datasets import SampleStore

    store, digest = SampleStore(out), hashlib.sha256()
    for number in range(len(store)):
        sample = store[number]
        digest.update(sample.pixels.tobytes() + sample.text.encode())
    return f"{len(store)} {digest.hexdigest()}"


def weights(out: Path) -> str:
    import torch

    digest = hashlib.sha256()
    for tensor in tensors(torch.load(out / "last.pt", weights_only=False)):
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def tensors(value: object) -> Iterator:
    import torch

    if isinstance(value, torch.Tensor):
        yield value.detach().cpu()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors(value[key])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors(one)


def files(out: Path) -> str:
    """Bytes of a file, or of all files of a folder but its log of runs."""
    digest = hashlib.sha256()
    for path in sorted(out.rglob("*")) if out.is_dir() else [out]:
        if path.is_file() and path.suffix not in (".log", ".lock"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def finish(one: Interrupted, out: Path) -> str:
    """Run to the end; "" or what it says on standard error."""
    done = subprocess.run(one.command(out), cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def killed(one: Interrupted, out: Path, seconds: float) -> bool:
    """Start, and kill after so many seconds; whether it was still running."""
    run = subprocess.Popen(one.command(out), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGKILL)
        run.wait()
        return True
    return False


def commands(folder: Path) -> dict[str, Interrupted]:
    recipe = folder / "tiny.toml"
    recipe.write_text(TINY, encoding="utf-8")
    store, read = folder / "store", folder / "read"
    marks = str(ROOT / "recipes/data/marks.toml")
    labelled = folder / "labelled"
    shutil.copytree(SAMPLES, labelled, dirs_exist_ok=True)
    synth = ("generate-synth", marks, "--seed", "1", "--count")
    made = {
        "generate-synth": Interrupted((*synth, "40"), Path.exists, samples),
        "read": Interrupted(("read", str(SAMPLES)), lambda out: (out / "readings.jsonl").exists(), readings),
        "audit": Interrupted(("audit", str(read), "--truth", str(SAMPLES / "labels.csv")), None, files),
        "station confidence": Interrupted(
            ("station", "confidence", str(labelled), "--misread", "0.3"), None, files
        ),
        "train": Interrupted(
            ("train", str(recipe), "--data", str(store)), lambda out: (out / "last.pt").exists(), weights
        ),
    }
    for one, out in ((made["generate-synth"], store), (made["read"], read)):
        if not out.exists() and (problem := finish(one, out)):
            raise SystemExit(problem)
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=40, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="*")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rng, failed = random.Random(args.seed), 0
    print("| command | seconds | killed while running | same results | other |\n|---|---|---|---|---|")
    for name, one in commands(args.out).items():
        if args.commands and name not in args.commands:
            continue
        work, started = args.out / "work", time.perf_counter()
        remove(work)
        if problem := finish(one, work):
            raise SystemExit(f"{name}: {problem}")
        seconds, expected = time.perf_counter() - started, one.digest(work)
        running, same, others = 0, 0, []
        for _ in range(args.kills):
            remove(work)
            running += killed(one, work, rng.uniform(0, seconds))
            whole = name == "station confidence" and work.exists()  # complete or not at all
            problem = "" if whole else finish(one, work)
            equal = not problem and one.digest(work) == expected
            same += equal
            others += [] if equal else [problem or "differs"]
        failed += args.kills - same
        print(
            f"| {name} | {seconds:.1f} | {running} | {same} of {args.kills} | {'; '.join(others)} |",
            flush=True,
        )
    return 1 if failed else 0


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
