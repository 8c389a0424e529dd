"""Programs of a plant that tests start: on the loopback, for a bounded time, ended with the test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from interface_cases import free_port

MAX_S = 120
"""No program runs for longer."""
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Where Debian installs the programs of PostgreSQL."""


def program(name: str, folders: Sequence[Path] = ()) -> str:
    """The path of a program; without it, the test is skipped, and says so."""
    path = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", *map(str, folders)]))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


class Program:
    """A program that runs; it ends with this process, or after ``MAX_S``."""

    def __init__(self, *command: str, user: int = 0) -> None:
        ends_with_us = ["setpriv", "--pdeathsig", "KILL"]
        if user:
            ends_with_us += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        self.process = subprocess.Popen(
            [*ends_with_us, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        self._timer = threading.Timer(MAX_S, self.process.kill)
        self._timer.daemon = True
        self._timer.start()

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        self._timer.cancel()
        self.process.send_signal(how)
        self.process.wait(30)


class Mosquitto:
    """An MQTT broker whose persistent sessions survive a kill."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._command = [program("mosquitto"), "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser {pwd.getpwuid(os.getuid()).pw_name}\n"
            f"allow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "autosave_interval 1\nautosave_on_changes true\n"
            "max_inflight_messages 0\nmax_queued_messages 0\n"
        )
        self.start()

    def start(self) -> None:
        """Start it, again after a kill."""
        self._program = Program(*self._command)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._program.end(signal.SIGKILL)


@contextmanager
def mosquitto(folder: Path) -> Iterator[Mosquitto]:
    """A broker."""
    broker = Mosquitto(folder)
    try:
        yield broker
    finally:
        broker.kill()


class Postgres:
    """A PostgreSQL server with an empty cluster; it refuses to run as root, and then runs as another user."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._user = 0 if os.getuid() else pwd.getpwnam("nobody").pw_uid
        self._folder = folder / "cluster"
        if self._user:
            os.chown(folder, self._user, self._user)
        initdb = program("initdb", POSTGRES)
        made = Program(
            *(initdb, "-D", str(self._folder), "-U", "plant", "-A", "trust", "--no-sync", "-E", "UTF8"),
            user=self._user,
        )
        assert made.process.wait(MAX_S) == 0, "initdb fails"
        self.start()

    @property
    def conninfo(self) -> str:
        """Where clients find it."""
        return f"postgresql://plant@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, again after a kill, and wait until it answers."""
        self._program = Program(
            program("postgres", POSTGRES),
            *("-D", str(self._folder), "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            user=self._user,
        )
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.conninfo, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < end, "PostgreSQL does not start"
                time.sleep(0.1)

    def kill(self) -> None:
        """End it without a checkpoint; the next start recovers from the log."""
        self._program.end(signal.SIGQUIT)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A database server."""
    folder = Path(tempfile.mkdtemp(prefix="plant-"))
    try:
        server = Postgres(folder)
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(*command: str) -> Iterator[Program]:
    """Any other program, by its name and arguments."""
    one = Program(program(command[0]), *command[1:])
    try:
        yield one
    finally:
        one.end(signal.SIGTERM)
