"""Programs of a plant that tests start: on the loopback, for a bounded time, ended with the test."""

import base64
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

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
    """An MQTT broker whose persistent sessions survive a kill.

    ``more`` is what else its settings say, such as certificates.
    """

    def __init__(self, folder: Path, more: str = "allow_anonymous true") -> None:
        self.port = free_port()
        self._command = [program("mosquitto"), "-c", str(folder / "mosquitto.conf")]
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser {pwd.getpwuid(os.getuid()).pw_name}\n"
            f"{more}\npersistence true\npersistence_location {folder}/\n"
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
def mosquitto(folder: Path, *more: str) -> Iterator[Mosquitto]:
    """A broker."""
    broker = Mosquitto(folder, *more)
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


class RtspCamera:
    """A network camera: an RTSP server that hands on, over the client's connection, the packets of ffmpeg.

    ``login`` is the user and password that it wants, as ``user:password``; "" for none.
    """

    def __init__(self, folder: Path, picture: str, login: str = "") -> None:
        self._description = folder / "stream.sdp"
        self._login = login
        self._packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._packets.bind(("127.0.0.1", 0))
        target = f"rtp://127.0.0.1:{self._packets.getsockname()[1]}"
        self._ffmpeg = Program(
            *(program("ffmpeg"), "-loglevel", "error", "-re", "-f", "lavfi", "-i", picture),
            *(
                "-c:v",
                "mpeg4",
                "-q:v",
                "2",
                "-g",
                "1",
                "-f",
                "rtp",
                "-sdp_file",
                str(self._description),
                target,
            ),
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/live"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Switch it off."""
        self._ffmpeg.end(signal.SIGTERM)
        self._listener.close()
        self._packets.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                with connection, connection.makefile("rb") as requests, suppress(OSError):
                    while self._answer(connection, requests):
                        pass

    def _answer(self, connection: socket.socket, requests: IO[bytes]) -> bool:
        """Answer one request; PLAY sends packets until the client hangs up."""
        first, headers = requests.readline().decode().split(), {}
        while (line := requests.readline().decode().strip()) != "":
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if not first:
            return False
        more, body = "", b""
        status = "200 OK"
        wanted = "Basic " + base64.b64encode(self._login.encode()).decode()
        if self._login and headers.get("authorization") != wanted:
            status, more = "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"\r\n'
        elif first[0] == "DESCRIBE":
            text = self._description.read_text().replace("SDP:\n", "") + "a=control:track\r\n"
            body, more = text.encode(), f"Content-Type: application/sdp\r\nContent-Length: {len(text)}\r\n"
        elif first[0] == "SETUP":
            more = "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        connection.sendall(
            f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', 0)}\r\n{more}\r\n".encode() + body
        )
        while first[0] == "PLAY":
            packet = self._packets.recv(65_536)
            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        return True
