"""Measure a running line: load, bursts, kills at random moments, hostile requests, a hot folder.

    python -m benchmarks.line_service load OUT [--per-s 20] [--seconds 600] [--model FILE]
    python -m benchmarks.line_service burst OUT [--count 500] [--model FILE]
    python -m benchmarks.line_service kill OUT [--times 50] [--model FILE]
    python -m benchmarks.line_service hostile OUT [--count 5000] [--model FILE]
    python -m benchmarks.line_service folder OUT [--count 1000] [--model FILE]

Each starts `serialread line` on the loopback with a fresh folder, with crops of sample_images. Prints a JSON
object; exit code 1 if a trigger was lost, repeated or out of order, or a hostile request did harm.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
READY_S = 300.0
"""Time in which the service must be ready, on a busy machine."""
LINE = """
folder = "spool"
{model}
[retention]
pictures = "none"
[[stations]]
name = "press"
[[sources]]
kind = "folder"
station = "press"
path = "in"
settle_s = 0.1
[[sinks]]
kind = "jsonl"
name = "lines"
folder = "results"
[[sinks]]
kind = "csv"
name = "table"
folder = "results"
[[sinks]]
kind = "sqlite"
name = "database"
path = "results/line.sqlite"
[web]
port = {port}
requests_per_s = 100000
connections = 2000
body_timeout_s = 2
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sample_crops() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "sample_images").rglob("*.jpg"))]


@dataclass
class RunningLine:
    """A line in a process of its own, in a folder."""

    folder: Path
    model: Path | None = None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        model = f'model = "{self.model.resolve()}"' if self.model else ""
        (self.folder / "LINE.toml").write_text(LINE.format(model=model, port=self.port))
        (self.folder / "in").mkdir(exist_ok=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "serialread", "line", str(self.folder / "LINE.toml")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def wait_ready(self) -> None:
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            try:
                if httpx2.get(f"{self.address}/healthz", timeout=5).status_code == 200:
                    return
            except httpx2.TransportError:
                if self.process is None or self.process.poll() is not None:
                    raise AssertionError(f"ended: {self.log()}") from None
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def memory_mb(self) -> float:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_s(self) -> float:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        assert self.process is not None
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def log(self) -> str:
        return (self.folder / "log.jsonl").read_text()[-2000:]

    def get(self, path: str) -> Any:
        return httpx2.get(f"{self.address}{path}", timeout=30).json()

    def drain(self, seconds: float = 300) -> None:
        """Wait until nothing waits."""
        end = time.monotonic() + seconds
        while any(one["waiting"] for one in self.get("/v1/stations")["stations"]):
            assert time.monotonic() < end, "the queue does not drain"
            time.sleep(0.1)

    def results(self) -> list[dict[str, Any]]:
        """All results, oldest first, as REST lists them."""
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": 0}
        while page["next"] is not None:
            before = f"&before={page['next']}" if page["next"] else ""
            page = self.get(f"/v1/readings?limit=1000{before}")
            found += page["readings"]
        return found[::-1]

    def written(self) -> list[dict[str, Any]]:
        """All lines of the JSON lines files; a torn one is an error."""
        files = sorted((self.folder / "results").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


@contextmanager
def running_line(folder: Path, model: Path | None) -> Iterator[RunningLine]:
    line = RunningLine(folder, model)
    line.start()
    try:
        line.wait_ready()
        yield line
    finally:
        if line.process is not None and line.process.poll() is None:
            line.stop()


def warm_up(line: RunningLine, crops: Sequence[bytes]) -> None:
    """Read some crops, so that the model has all the memory that it needs."""
    for crop in crops[:20]:
        httpx2.post(f"{line.address}/v1/read", content=crop, timeout=60)


def faults(line: RunningLine, accepted: Sequence[str]) -> list[str]:
    """What is wrong with the results of a stopped line: lost, repeated, out of order, half written."""
    written = line.written()
    triggers = Counter(one["trigger"] for one in written)
    lost, repeated = set(accepted) - set(triggers), [t for t, count in triggers.items() if count > 1]
    numbers = [one["number"] for one in written]
    found = [f"{len(lost)} lost"] if lost else []
    found += [f"{len(repeated)} repeated"] if repeated else []
    found += ["numbers have gaps"] if numbers != list(range(1, len(numbers) + 1)) else []
    for path in (line.folder / "results").glob("*.csv"):
        rows = path.read_bytes()
        found += ["half a row"] if not rows.endswith(b"\n") else []
        found += ["rows differ"] if rows.count(b"\n") != len(numbers) + 1 else []
    return found


@dataclass(frozen=True)
class Load:
    """``latency_s`` from the request to its answer; memory at a tenth of the time and at the end."""

    sent: int
    answered: int
    p50_s: float
    p99_s: float
    worst_s: float
    memory_mb: tuple[float, float]
    cpu_s_per_trigger: float
    faults: list[str]


def load(folder: Path, model: Path | None, per_s: float = 20, seconds: float = 600) -> Load:
    """Send triggers at a steady rate, each waiting for its result."""
    crops = sample_crops()
    with running_line(folder, model) as line:
        warm_up(line, crops)
        sent, latencies, memory, cpu = asyncio.run(_steady(line, crops, per_s, seconds))
        line.drain()
    answered = len(latencies)
    p50, p99 = np.quantile(latencies, (0.5, 0.99))
    found = faults(line, sent)
    found += [f"{len(sent) - answered} not answered"] if answered != len(sent) else []
    return Load(len(sent), answered, p50, p99, max(latencies), memory, cpu / max(answered, 1), found)


async def _steady(
    line: RunningLine, crops: Sequence[bytes], per_s: float, seconds: float
) -> tuple[list[str], list[float], tuple[float, float], float]:
    sent, latencies, cpu = list[str](), list[float](), line.cpu_s()
    first_mb = 0.0
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(base_url=line.address, timeout=60, limits=limits) as client:

        async def send(number: int) -> None:
            trigger, begun = uuid4().hex, time.perf_counter()
            sent.append(trigger)
            with suppress(httpx2.HTTPError):  # what is not answered is missing from the latencies
                answer = await client.post(
                    "/v1/read", content=crops[number % len(crops)], params={"id": trigger}
                )
                if answer.status_code == 200:
                    latencies.append(time.perf_counter() - begun)

        tasks, begun = [], time.perf_counter()
        for number in range(round(per_s * seconds)):
            await asyncio.sleep(max(0.0, begun + number / per_s - time.perf_counter()))
            tasks.append(asyncio.create_task(send(number)))
            if number == round(per_s * seconds / 10):
                first_mb = line.memory_mb()
        await asyncio.gather(*tasks)
    return sent, latencies, (round(first_mb, 1), round(line.memory_mb(), 1)), line.cpu_s() - cpu


@dataclass(frozen=True)
class Burst:
    """``accepted_s``: until all are durable; ``drained_s``: until all have a result."""

    sent: int
    accepted_s: float
    drained_s: float
    faults: list[str]


def burst(folder: Path, model: Path | None, count: int = 500) -> Burst:
    """Send many triggers at once, without waiting for results."""
    crops = sample_crops()
    with running_line(folder, model) as line, httpx2.Client(base_url=line.address, timeout=60) as client:
        sent, begun = [], time.perf_counter()
        for number in range(count):
            params = {"id": uuid4().hex, "wait": "0"}
            answer = client.post("/v1/read", content=crops[number % len(crops)], params=params)
            assert answer.status_code in (200, 202), answer.text
            sent.append(params["id"])
        accepted = time.perf_counter() - begun
        line.drain(900)
        drained = time.perf_counter() - begun
    return Burst(len(sent), round(accepted, 2), round(drained, 2), faults(line, sent))


@dataclass(frozen=True)
class Kills:
    """Triggers that were acknowledged before a kill, by REST and by the hot folder."""

    kills: int
    by_rest: int
    by_folder: int
    results: int
    faults: list[str]


def kill(folder: Path, model: Path | None, times: int = 50, seed: int = 0) -> Kills:
    """Kill the process at random moments while triggers arrive; then let it finish."""
    rng, crops = random.Random(seed), sample_crops()
    line, accepted, dropped = RunningLine(folder, model), list[str](), 0
    client = httpx2.Client(base_url=line.address, timeout=5)
    for _ in range(times):
        line.start()
        end = None
        while end is None or time.monotonic() < end:
            trigger = uuid4().hex
            try:
                params = {"id": trigger, "wait": "0"}
                answer = client.post("/v1/read", content=rng.choice(crops), params=params)
                accepted += [trigger] if answer.status_code in (200, 202) else []
                end = end or time.monotonic() + rng.uniform(0, 1.5)
            except httpx2.TransportError:
                time.sleep(0.1)
            if rng.random() < 0.1:
                (folder / "in" / f"{dropped}.jpg").write_bytes(rng.choice(crops))
                dropped += 1
        line.stop(signal.SIGKILL)
    client.close()
    line.start()
    line.wait_ready()
    _until(lambda: not any(names for _, _, names in os.walk(folder / "in")), 120)
    line.drain(900)
    total = line.get("/v1/stations")["stations"][0]["results"]
    line.stop()
    found = faults(line, accepted)
    done = len(_files(folder / "done"))
    found += [f"{dropped - done} pictures of the folder lost"] if done != dropped else []
    found += ["more results than triggers"] if total > len(accepted) + dropped + times else []
    return Kills(times, len(accepted), dropped, total, found)


def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "does not hold in time"
        time.sleep(0.1)


@dataclass(frozen=True)
class Hostile:
    """Answers by status (0: the connection was closed); memory and open files before and after."""

    requests: int
    statuses: dict[int, int]
    memory_mb: tuple[float, float]
    open_files: tuple[int, int]
    faults: list[str]


def hostile(folder: Path, model: Path | None, count: int = 5000, seed: int = 0) -> Hostile:
    """Send broken, oversized, slow and forged requests; then a good one."""
    rng, crops = random.Random(seed), sample_crops()
    outside = set(folder.rglob("*"))
    statuses: Counter[int] = Counter()
    slow: list[socket.socket] = []
    with running_line(folder, model) as line:
        warm_up(line, crops)
        for _ in range(min(200, count // 5)):
            statuses[_sent(line.port, _attack(rng, crops))] += 1
        before = line.memory_mb(), line.open_files()
        for number in range(count):
            if number % 50 == 0:  # never finished: a header or a body that stops in the middle
                slow.append(socket.create_connection(("127.0.0.1", line.port)))
                slow[-1].sendall(rng.choice((b"GET / HT", b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n")))
            statuses[_sent(line.port, _attack(rng, crops))] += 1
        closed = sum(_is_closed(one) for one in slow)
        line.drain()
        good = httpx2.post(f"{line.address}/v1/read", content=crops[0], timeout=30)
        after = line.memory_mb(), line.open_files()
    found = ["no result after the attacks"] if good.status_code != 200 else []
    found += [f"{statuses[500]} internal errors"] if statuses[500] else []
    found += [f"{len(slow) - closed} slow connections stay open"] if closed != len(slow) else []
    known = ("spool", "results", "in", "LINE.toml", "log.jsonl", "done", "failed")
    odd = [p for p in folder.rglob("*") if p not in outside and p.relative_to(folder).parts[0] not in known]
    found += [f"files outside: {odd}"] if odd else []
    found += ["tracebacks in the log"] if "traceback" in (folder / "log.jsonl").read_text() else []
    memory, files = zip(before, after, strict=True)
    return Hostile(count, dict(sorted(statuses.items())), memory, files, found)


@dataclass(frozen=True)
class Dropped:
    """``versions`` counts the pictures, and what some of them held before they were overwritten."""

    pictures: int
    versions: int
    results: int
    faults: list[str]


def dropped(folder: Path, model: Path | None, count: int = 1000) -> Dropped:
    """Drop pictures into the hot folder: written slowly, renamed, overwritten, by eight writers at once.

    Each version has bytes of its own. The last version of each picture must have one result; one that was
    overwritten may have been read before, once; no other bytes may have been read.
    """
    crops, place = sample_crops(), folder / "in"
    with running_line(folder, model) as line, ThreadPoolExecutor(8) as writers:
        versions = list(writers.map(lambda number: _drop(place, number, crops), range(count)))
        _until(lambda: not any(names for _, _, names in os.walk(place)), 3600)
        line.drain()
    found, written = faults(line, []), Counter(one["record"]["sha256"] for one in line.written())
    last, before = {one[-1] for one in versions}, {one for made in versions for one in made[:-1]}
    found += [f"{len(last - written.keys())} lost"] if last - written.keys() else []
    found += ["a version was read twice"] if max(written.values(), default=1) > 1 else []
    found += ["half a picture was read"] if written.keys() - last - before else []
    found += ["not every picture is done"] if len(_files(folder / "done")) != written.total() else []
    return Dropped(count, len(last | before), written.total(), found)


def _drop(place: Path, number: int, crops: Sequence[bytes]) -> list[str]:
    """Write one picture in one of six ways; the hashes of its versions."""
    rng = random.Random(number)
    name = place / str(number % 10) / f"{number}.jpg"
    name.parent.mkdir(exist_ok=True)
    versions = [_noted(rng.choice(crops), f"{number} {version}") for version in range(2)]
    way = rng.choice(("at once", "slowly", "as a part", "renamed", "overwritten", "replaced"))
    if way in ("overwritten", "replaced"):
        name.write_bytes(versions[0])
        time.sleep(rng.uniform(0, 0.5))
    else:
        del versions[0]
    hidden = {"as a part": ".part", "replaced": ".part", "renamed": ".first.jpg"}.get(way, name.suffix)
    with name.with_suffix(hidden).open("wb") as file:
        pieces = 1 if way == "at once" else 3
        for piece in range(pieces):
            size = len(versions[-1]) // pieces + 1
            file.write(versions[-1][piece * size : (piece + 1) * size])
            file.flush()
            time.sleep(rng.choice((0.001, 0.05, 0.3)) if pieces > 1 else 0)
    with suppress(FileNotFoundError):  # what has a picture's name may be taken already
        name.with_suffix(hidden).rename(name)
    return [hashlib.sha256(version).hexdigest() for version in versions]


def _noted(jpeg: bytes, note: str) -> bytes:
    """The same picture with other bytes: with a comment."""
    return jpeg[:2] + b"\xff\xfe" + (len(note) + 2).to_bytes(2) + note.encode() + jpeg[2:]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _attack(rng: random.Random, crops: Sequence[bytes]) -> bytes:
    """One hostile request."""
    crop = rng.choice(crops)
    path = rng.choice(
        (
            *("/v1/read", "/v1/readings", "/v1/pictures/../../etc/passwd/0", "/files/..%2f..%2fLINE.toml"),
            *(
                "/files/%2e%2e/%2e%2e/LINE.toml",
                "/v1/pictures/x/99999999999999999999",
                "//etc/passwd",
                "/%00",
            ),
            *(
                "/v1/readings?since=0001-01-01T00:00:00%2B23:59",
                "/v1/readings?before=-9e9",
                "/v1/readings/%ff",
            ),
            f"/v1/read?station={'../' * rng.randint(1, 40)}etc/passwd",
            f"/v1/read?format={rng.choice(('(' * 50, '#{99999}', '{a|b', 'A' * 500, '%F0%9F%92%A3'))}",
            f"/v1/read?expected={'A' * rng.randint(0, 4000)}&wait=0",
            f"/v1/readings?text={'%27%20OR%201=1--'}&limit=10",
        )
    )
    method = rng.choice(("POST", "POST", "POST", "GET", "PUT", "DELETE", "TRACE", "\x00", "G" * 300))
    host = rng.choice(("localhost", "127.0.0.1", "evil.example", "", "localhost:99999", "[::1]"))
    key = "".join(rng.choices("abcdef0123456789", k=32))
    headers = [f"Host: {host}", f"Authorization: {rng.choice(('Bearer ', 'Basic ', '', 'Digest '))}{key}"]
    body = rng.choice(
        (b"", crop, crop[: len(crop) // 2], rng.randbytes(2000), _bomb(), _fuzzed_form(rng, crop))
    )
    headers += rng.choice(
        (
            [f"Content-Length: {len(body)}"],
            [f"Content-Length: {len(body)}"],
            ["Content-Length: 99999999999"],
            ["Content-Length: -5"],
            ["Content-Length: 5", "Content-Length: 6"],
            ["Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", f"Content-Length: {len(body)}"],
        )
    )
    headers += rng.choice(
        (
            ["Content-Type: multipart/form-data; boundary=xxx"],
            ["Content-Type: multipart/form-data"],
            ["Content-Type: multipart/form-data; boundary=" + "b" * 500],
            ["Content-Type: multipart/form-data; boundary=xxx; charset=rot13"],
            ["Content-Type: image/jpeg"],
            ["X-Large: " + "x" * rng.choice((100, 20_000, 200_000))],
            ["Origin: http://evil.example"],
            ["Expect: 100-continue"],
            ["Upgrade: websocket", "Connection: Upgrade"],
            [f"X-{n}: {n}" for n in range(500)],
            ["Bad header without colon"],
        )
    )
    head = f"{method} {path} HTTP/{rng.choice(('1.1', '1.1', '1.1', '1.0', '9.9'))}\r\n" + "\r\n".join(
        headers
    )
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _bomb() -> bytes:
    """The header of a PNG of 60,000 x 60,000 px."""
    import zlib

    chunk = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + zlib.crc32(chunk).to_bytes(4, "big")


def _fuzzed_form(rng: random.Random, crop: bytes) -> bytes:
    name = rng.choice(
        ("../../x.png", "/etc/passwd", "a\x00b.png", "x" * 5000, "..", "C:\\x.png", "\udcff.png")
    )
    form = b"".join(
        b'--xxx\r\nContent-Disposition: form-data; name="picture"; filename="'
        + name.encode("utf-8", "surrogateescape")
        + b'"\r\n\r\n'
        + crop
        + b"\r\n"
        for _ in range(rng.choice((1, 2, 40)))
    )
    data = bytearray(form + b"--xxx--\r\n")
    for _ in range(rng.choice((0, 1, 20))):
        data[rng.randrange(min(len(data), 400))] = rng.randrange(256)
    return bytes(data)


def _sent(port: int, request: bytes) -> int:
    """Status of the answer to raw bytes; 0 if the connection was closed without one."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65536)
    except OSError:
        return 0
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _is_closed(connection: socket.socket, seconds: float = 30) -> bool:
    """Whether the server closes a connection."""
    with connection:
        connection.settimeout(seconds)
        try:
            while connection.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("load", "burst", "kill", "hostile", "folder"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--per-s", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--times", type=int, default=50)
    given = parser.parse_args()
    measured: Load | Burst | Kills | Hostile | Dropped
    match given.what:
        case "load":
            measured = load(given.out, given.model, given.per_s, given.seconds)
        case "burst":
            measured = burst(given.out, given.model, given.count or 500)
        case "kill":
            measured = kill(given.out, given.model, given.times)
        case "folder":
            measured = dropped(given.out, given.model, given.count or 1000)
        case _:
            measured = hostile(given.out, given.model, given.count or 5000)
    print(json.dumps(asdict(measured), default=float))
    sys.exit(bool(measured.faults))


if __name__ == "__main__":
    main()
