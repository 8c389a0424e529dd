"""Each result is one POST request, signed, in order; anything but 2xx leaves it undelivered."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from interface_cases import free_port, result

from serialread.config.line_sinks import WebhookSinkConfig
from serialread.errors import RecipeError
from serialread.line import Result, SinkDown
from serialread.line.webhook import Webhook


class Receiver(ThreadingHTTPServer):
    """Remembers requests; answers with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.got = 200, list[tuple[str, dict[str, str], bytes]]()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.got.append((self.path, dict(self.headers), body))
        self.send_response(server.status)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Tests print nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one
        one.shutdown()


def hook(receiver: Receiver, **more: Any) -> Webhook:
    url = f"http://127.0.0.1:{receiver.server_address[1]}/results?line=1"
    return Webhook(WebhookSinkConfig(kind="webhook", name="mes", url=url, **more))


def test_results_are_posted_in_order_with_signature_and_token(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "secret")
    monkeypatch.setenv("HOOK_TOKEN", "token")
    one = hook(receiver, signing_key="env:HOOK_KEY", token="env:HOOK_TOKEN")
    made = [result("A", 1), result("B", 2)]
    one.deliver(made)
    one.close()
    assert [Result.of_json(json.loads(body)) for _, _, body in receiver.got] == made
    path, headers, body = receiver.got[0]
    assert path == "/results?line=1"
    assert headers["Idempotency-Key"] == "trigger-1"
    assert headers["Authorization"] == "Bearer token"
    assert (
        headers["X-Serialread-Signature"] == "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize("status", [302, 404, 500])
def test_other_answers_leave_the_result_undelivered(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with closing(hook(receiver)) as one:
        with pytest.raises(SinkDown, match=rf"/results\?line=1: answers {status} "):
            one.deliver([result()])
        receiver.status = 204
        one.deliver([result()])
    assert len(receiver.got) == 2, "redirects are not followed"


def test_without_a_receiver_results_wait() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(SinkDown) as caught:
        Webhook(WebhookSinkConfig(kind="webhook", name="mes", url=url)).deliver([result()])
    assert str(caught.value) == f"{url}: Connection refused"


def test_a_secret_that_is_not_set_is_an_error() -> None:
    with pytest.raises(RecipeError) as caught:
        Webhook(WebhookSinkConfig(kind="webhook", name="mes", url="http://a/", token="env:NO_SUCH_TOKEN"))
    message = "env:NO_SUCH_TOKEN: this environment variable is not set. Set it before the service starts."
    assert str(caught.value) == message


def test_a_missing_ca_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    ca = tmp_path / "none.pem"
    with pytest.raises(RecipeError) as caught:
        Webhook(WebhookSinkConfig(kind="webhook", name="mes", url="https://a/", ca=ca))
    assert str(caught.value) == f"ca: {ca}: no such file. Create it, or correct the path."
