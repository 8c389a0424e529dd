"""What tests of a line's interfaces share: results, a line of a stub, free ports."""

import socket
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from serialread.line import LineContext, LineHealth, Outcome, Result, Trigger
from serialread.line.ports import StationHealth

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def result(
    text: str = "AB12", number: int = 1, outcome: Outcome = Outcome.PASS, trigger: str = "", **more: Any
) -> Result:
    """A result of the station ``press``."""
    record = {
        "text": text,
        "confidence": 0.987 if text else None,
        "quad": [[10, 20], [110, 20], [110, 50], [10, 50]],
    }
    values: dict[str, Any] = {
        "trigger": trigger or f"trigger-{number}",
        "station": "press",
        "number": number,
        "outcome": outcome,
        "reasons": (),
        "record": record,
        "expected": "",
        "distance": None,
        "source": "test",
        "accepted_at": AT,
        "finished_at": AT,
    }
    return Result(**(values | more))


class StubLine:
    """Accepts triggers as a service does; the test says when a result is there."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []
        self.futures: list[Future[Result]] = []
        self.refuses: Exception | None = None
        self.answers: str | None = None

    @property
    def context(self) -> LineContext:
        """What its sinks get."""
        return LineContext(
            ("press",), self.health, lambda: None, lambda trigger, frame: None, lambda sink, station: ()
        )

    def health(self) -> LineHealth:
        """Every trigger has its result."""
        return LineHealth(True, {"press": StationHealth(0, len(self.triggers), None)}, {})

    def accept(self, trigger: Trigger) -> "Future[Result]":
        """Remember a trigger."""
        if self.refuses:
            raise self.refuses
        self.triggers.append(trigger)
        future: Future[Result] = Future()
        self.futures.append(future)
        if self.answers is not None:
            future.set_result(self.result())
        return future

    def result(self, **more: Any) -> Result:
        """The result of the last trigger."""
        return result(self.answers or "", len(self.triggers), trigger=self.triggers[-1].id, **more)


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def certificate(folder: Path, name: str, uri: str = "urn:test") -> tuple[Path, Path]:
    """A self-signed certificate for the loopback and its key, in PEM files."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    places = [x509.IPAddress(ip_address("127.0.0.1")), x509.UniformResourceIdentifier(uri)]
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(places), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}-key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
