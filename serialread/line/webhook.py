"""Results as HTTP requests to an address of the plant."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import create_default_context
from urllib.parse import urlsplit

from serialread.config import secret
from serialread.config.line_sinks import WebhookSinkConfig
from serialread.line.events import Result
from serialread.line.ports import SinkDown, require_files

PATIENCE_S = 5.0
"""So long may the receiver take to answer."""
MAX_ANSWER = 65_536
"""Bytes of an answer that are read; after a longer one, the connection is made anew."""


class Webhook:
    """Sink that sends each result as the JSON body of a POST request, in order, over one connection.

    A result is delivered when the answer is 2xx. Redirects are not followed.

    Attributes:
        name: of the sink.
    """

    def __init__(self, settings: WebhookSinkConfig) -> None:
        """Check the settings; the first delivery connects.

        Raises:
            RecipeError: an environment variable of a secret is not set, or the file ``ca`` is missing.
        """
        require_files(settings, "ca")
        self.name = settings.name
        self._settings = settings
        self._key = secret(settings.signing_key).encode() if settings.signing_key else b""
        self._token = secret(settings.token) if settings.token else ""
        self._connection: HTTPConnection | None = None

    def deliver(self, results: Sequence[Result]) -> None:
        """Send one request per result."""
        try:
            for result in results:
                self._send(result)
        except (OSError, HTTPException, SinkDown) as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise SinkDown(f"{self._settings.url}: {reason}") from None

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _send(self, result: Result) -> None:
        body = json.dumps(result.to_json()).encode()
        parts = urlsplit(self._settings.url)
        connection = self._connection = self._connection or self._connect()
        target = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        connection.request("POST", target, body, self._headers(result, body))
        response = connection.getresponse()
        response.read(MAX_ANSWER)
        if not response.isclosed():
            self.close()
        if not 200 <= response.status < 300:
            raise SinkDown(f"answers {response.status} {response.reason}")

    def _connect(self) -> HTTPConnection:
        parts = urlsplit(self._settings.url)
        host, port = str(parts.hostname), parts.port
        if parts.scheme == "http":
            return HTTPConnection(host, port, timeout=PATIENCE_S)
        ca = self._settings.ca
        return HTTPSConnection(
            host, port, timeout=PATIENCE_S, context=create_default_context(cafile=str(ca) if ca else None)
        )

    def _headers(self, result: Result, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": result.trigger}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._key:
            headers["X-Serialread-Signature"] = (
                "sha256=" + hmac.new(self._key, body, hashlib.sha256).hexdigest()
            )
        return headers
