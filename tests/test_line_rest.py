"""The REST interface answers with results, and refuses what it must."""

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from line_cases import picture, served, settings
from test_docs import DOCS, blocks

from serialread.errors import RecipeError
from serialread.line import Result, Trigger
from serialread.line.station_readers import StationReaders
from serialread.records import Record

KEYS = {"viewer": ["read"], "camera": ["trigger"], "boss": ["read", "trigger", "admin"]}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Any]:
    with served(settings(tmp_path, web={"port": 0, "requests_per_s": 500})) as (client, _):
        yield client


def test_a_picture_is_read_as_form_and_as_raw_body(client: Any) -> None:
    form = client.post("/v1/read", files={"picture": ("a/../b.png", picture(5))}, data={"expected": "57"})
    assert form.status_code == 200, form.text
    result = form.json()
    assert (result["outcome"], result["text"], result["distance"], result["number"]) == ("PASS", "57", 0, 1)
    assert result["record"]["image"] == "b.png"
    raw = client.post("/v1/read", content=picture(9), params={"expected": "57"}).json()
    assert (raw["outcome"], raw["text"], raw["reasons"]) == (
        "FAIL",
        "97",
        ["expected 57, read 97: distance 1"],
    )


def test_a_repeated_id_is_the_same_trigger(client: Any) -> None:
    first = client.post("/v1/read", content=picture(5), params={"id": "part 1"}).json()
    again = client.post("/v1/read", content=picture(9), params={"id": "part 1"}).json()
    assert again == first
    assert client.get("/v1/readings/part 1").json() == first
    assert client.get("/v1/readings/part 2").status_code == 404


def test_several_pictures_of_a_part_are_fused(client: Any) -> None:
    def fused(*digits: int) -> tuple[str, str, list[str]]:
        files = [("picture", (f"{n}.png", picture(digit))) for n, digit in enumerate(digits)]
        result = client.post("/v1/read", files=[*files, ("picture", ("torn.png", b"torn"))]).json()
        return result["outcome"], result["text"], result["reasons"]

    assert fused(5, 5) == ("PASS", "57", [])
    assert fused(5, 9, 5) == ("REVIEW", "57", ["another frame reads 97"])


def test_a_request_that_waits_while_the_service_stops_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serialread.line.web_server.STOP_TIMEOUT_S", 1)
    begun, answered, read = threading.Event(), threading.Event(), StationReaders.read

    def slow(readers: StationReaders, trigger: Trigger, interruptions: int) -> tuple[Result, Record]:
        begun.set()
        answered.wait(20)
        return read(readers, trigger, interruptions)

    monkeypatch.setattr(StationReaders, "read", slow)
    config = settings(tmp_path, web={"port": 0})
    with ThreadPoolExecutor() as pool, served(config) as (client, _):
        address = f"{client.base_url}v1/read?id=part 1"
        answer = pool.submit(httpx2.post, address, content=picture(5), timeout=60)
        answer.add_done_callback(lambda _: answered.set())
        assert begun.wait(20)
    assert (answer.result().status_code, answer.result().json()) == (202, {"trigger": "part 1"})
    with served(config) as (client, _):
        assert client.get("/v1/readings/part 1").json()["text"] == "57"


def test_readings_are_listed_page_by_page(client: Any) -> None:
    made = [client.post("/v1/read", content=picture(4 + n)).json() for n in range(5)]
    page = client.get("/v1/readings", params={"limit": 3}).json()
    rest = client.get("/v1/readings", params={"limit": 3, "before": page["next"]}).json()
    assert [*page["readings"], *rest["readings"]] == made[::-1]
    assert rest["next"] is None
    found = client.get("/v1/readings", params={"text": "57", "outcome": "PASS", "station": "press"}).json()
    assert found["readings"] == [made[1]]
    for wrong in ({"limit": "0"}, {"limit": "x"}, {"since": "yesterday"}, {"colour": "red"}):
        assert client.get("/v1/readings", params=wrong).status_code == 422


def test_a_broken_picture_fails_with_its_reason(client: Any) -> None:
    result = client.post("/v1/read", content=b"not a picture").json()
    assert (result["outcome"], result["text"]) == ("FAIL", "")
    assert result["reasons"] == ["not a picture of a known format. Give a JPEG, PNG, TIFF, BMP or WebP."]
    assert client.get(f"/v1/pictures/{result['trigger']}/0").content == b"not a picture"
    for number in ("1", "-1", "x", "9" * 20, "\u0663"):
        answer = client.get(f"/v1/pictures/{result['trigger']}/{number}")
        assert (answer.status_code, answer.json()["error"]) == (404, "this picture is not kept.")


@pytest.mark.parametrize(
    ("params", "body", "status", "error"),
    [
        ({"station": "mill"}, True, 422, "station mill: not known. Use press."),
        ({}, False, 422, "station press: has no camera. Send a picture with the trigger."),
        ({"format": "no-such-format-("}, True, 422, None),
        ({"expected": "A B"}, True, 422, None),
        ({"id": "x" * 129}, True, 422, None),
        ({"wait": "-1"}, True, 422, None),
        ({"path": "/etc/passwd"}, True, 422, None),
    ],
)
def test_a_wrong_trigger_is_refused(
    client: Any, params: dict[str, str], body: bool, status: int, error: str | None
) -> None:
    answer = client.post("/v1/read", params=params, content=picture() if body else b"")
    assert answer.status_code == status, answer.text
    assert error in (None, answer.json()["error"])
    assert client.get("/v1/readings").json()["readings"] == []


def test_keys_have_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(f"KEY_{name}", f"{name}-0123456789abcdef")
    keys = [{"name": name, "key": f"env:KEY_{name}", "roles": roles} for name, roles in KEYS.items()]
    with served(settings(tmp_path, web={"port": 0, "keys": keys})) as (client, _):
        requests = {
            "read": ("GET", "/v1/readings", b""),
            "trigger": ("POST", "/v1/read", picture()),
            "admin": ("POST", "/v1/reload", b""),
        }
        for name, roles in KEYS.items():
            for role, (method, path, body) in requests.items():
                headers = {"authorization": f"Bearer {name}-0123456789abcdef"}
                answer = client.request(method, path, content=body, headers=headers)
                assert answer.status_code == (200 if role in roles else 403), answer.text
        assert client.get("/", auth=("anyone", "viewer-0123456789abcdef")).status_code == 200
        assert client.get("/healthz").status_code == 200
        for wrong in ("", "Bearer viewer", "Bearer viewer-0123456789abcdeF", "Basic !", "Basic dmlld2Vy"):
            answer = client.get("/v1/readings", headers={"authorization": wrong})
            assert (answer.status_code, answer.json()["error"]) == (
                401,
                "send an API key: Authorization: Bearer KEY.",
            )


def test_the_pages_need_nothing_from_elsewhere(client: Any) -> None:
    client.post("/v1/read", content=picture(5))
    for path in ("/", "/docs", "/files/live.js", "/files/live.css", "/files/tokens.css"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "://" not in answer.text.replace("http://127.0.0.1:8401", "")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    live = client.get("/live").json()
    assert live["last"]["press"]["text"] == live["readings"][0]["text"] == "57"
    assert live["stations"][0]["shift"]["PASS"] == 1
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            known = client.request(method, path.replace("{trigger}", "x").replace("{number}", "0"))
            assert known.status_code not in (405, 500)


def test_metrics_count_what_happened(client: Any) -> None:
    for digit in (5, 5, 9):
        client.post("/v1/read", content=picture(digit), params={"expected": "57"})
    lines = client.get("/metrics").text.splitlines()
    assert 'serialread_results_total{outcome="PASS",station="press"} 2.0' in lines
    assert 'serialread_results_total{outcome="FAIL",station="press"} 1.0' in lines
    assert 'serialread_queue{station="press"} 0.0' in lines
    assert any(line.startswith('serialread_mark_grade_recent{station="press"}') for line in lines)


def test_requests_have_limits(tmp_path: Path) -> None:
    web = {"port": 0, "max_body_mb": 0.01, "max_pictures": 2, "requests_per_s": 5, "body_timeout_s": 0.3}
    with served(settings(tmp_path, web=web)) as (client, _):
        large = client.post("/v1/read", content=b"x" * 20_000)
        assert (large.status_code, large.json()["error"]) == (413, "larger than 0.01 MB.")
        many = client.post("/v1/read", files=[("picture", ("a.png", b"x"))] * 3)
        assert (many.status_code, many.json()["error"]) == (
            400,
            "no valid form: Too many files. Maximum number of files is 2.",
        )
        with socket.create_connection((client.base_url.host, client.base_url.port)) as slow:
            slow.sendall(b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc")
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
        answers = [client.get("/healthz").status_code for _ in range(30)]
        assert {200, 429} == set(answers)


def test_other_hosts_and_other_sites_are_refused(client: Any) -> None:
    foreign = client.get("/v1/stations", headers={"host": "evil.example"})
    assert (foreign.status_code, foreign.json()["error"]) == (421, "this address is not served.")
    forged = client.post("/v1/reload", headers={"origin": "http://evil.example"})
    assert (forged.status_code, forged.json()["error"]) == (403, "posts from other sites are refused.")


def test_tls_files_are_used_and_broken_ones_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    chain = made.add_extension(names, False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "chain.pem").write_bytes(chain)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    web = {"port": 0, "certificate": "chain.pem", "private_key": "key.pem"}
    context = ssl.create_default_context(cadata=chain.decode())
    with served(settings(tmp_path, web=web), verify=context) as (client, _):
        assert client.base_url.scheme == "https"
        assert client.get("/healthz").status_code == 200
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(RecipeError) as caught, served(settings(tmp_path, web=web)):
        pass
    assert str(caught.value).startswith(f"web.certificate: {tmp_path / 'chain.pem'} cannot be used: ")


@pytest.mark.parametrize(
    ("web", "message"),
    [
        (
            {"host": "0.0.0.0"},
            "web.keys: 0.0.0.0 is not the loopback and needs keys. Add a [[web.keys]].",
        ),
        (
            {"keys": [{"name": "a", "key": "env:NO_SUCH_KEY"}]},
            "env:NO_SUCH_KEY: this environment variable is not set. Set it before the service starts.",
        ),
        (
            {"keys": [{"name": "a", "key": "env:HOME_KEY"}]},
            "env:HOME_KEY: shorter than 16 characters. Make a longer key.",
        ),
    ],
)
def test_keys_that_do_not_protect_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv("HOME_KEY", "short")
    with pytest.raises(RecipeError) as caught, served(settings(tmp_path, web={"port": 0, **web})):
        pass
    assert str(caught.value) == message


def test_the_example_client_reads_a_part(tmp_path: Path) -> None:
    (code,) = blocks(DOCS / "line" / "rest.md", "python")
    (tmp_path / "part.png").write_bytes(picture(5))
    with served(settings(tmp_path, web={"port": 0})) as (client, _):
        command = [sys.executable, "-c", code, str(client.base_url).rstrip("/"), str(tmp_path / "part.png")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "PASS 57\n"), done.stderr
