"""Who may send which request to a line: host names, API keys with roles, and rates.

A key comes as ``Authorization: Bearer KEY`` or, from a browser, as the password of basic authentication.
"""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serialread.config import WebConfig, secret
from serialread.errors import RecipeError
from serialread.review.web import host_name, is_loopback

Role = Literal["read", "trigger", "admin"]

SHORTEST_KEY = 16
"""Characters of an API key at least."""
MAX_CLIENTS = 10_000
"""Clients whose rate is remembered; the one that was quiet for longest is forgotten first."""
OPEN_TO_ALL = ("/healthz", "/readyz")
"""Addresses that need no key."""
NEEDED_ROLES: dict[tuple[str, str], Role] = {
    ("POST", "/v1/read"): "trigger",
    ("POST", "/v1/reload"): "admin",
}
"""Roles of requests; all others need ``read``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the name of its key; "" without keys."""

    name: str
    roles: frozenset[str]


EVERYONE = Caller("", frozenset(("read", "trigger", "admin")))


class KeyRing:
    """The API keys of a line."""

    def __init__(self, web: WebConfig) -> None:
        """Read the keys from the environment.

        Raises:
            RecipeError: one is missing or too short, or there is none and the address is not the loopback.
        """
        if not web.keys and not is_loopback(web.host):
            raise RecipeError(f"web.keys: {web.host} is not the loopback and needs keys. Add a [[web.keys]].")
        self._callers: list[tuple[bytes, Caller]] = []
        for one in web.keys:
            key = secret(one.key)
            if len(key) < SHORTEST_KEY:
                raise RecipeError(f"{one.key}: shorter than {SHORTEST_KEY} characters. Make a longer key.")
            self._callers.append((_digest(key), Caller(one.name, frozenset(one.roles))))

    def caller(self, headers: Headers) -> Caller | None:
        """Who sent a request; None if its key is not known. Takes the same time for every key."""
        if not self._callers:
            return EVERYONE
        given = _digest(_key_in(headers.get("authorization", "")))
        found = None
        for digest, caller in self._callers:
            if hmac.compare_digest(digest, given):
                found = caller
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _key_in(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                return ""
        case _:
            return ""


class RateLimit:
    """A token bucket per client."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._burst = per_s, 2 * per_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str, now: float) -> bool:
        """Whether a client may send a request now, in seconds of a monotonic clock."""
        left, at = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        allowed = left >= 1
        self._buckets[client] = (left - allowed, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return allowed


class LineGuard:
    """Lets requests through that may be answered, and notes who sent them."""

    def __init__(self, web: WebConfig) -> None:
        """Make the guard of an interface.

        Raises:
            RecipeError: the keys cannot be used.
        """
        self._keys, self._rate = KeyRing(web), RateLimit(web.requests_per_s)
        local = {"localhost", "127.0.0.1", "[::1]"} if is_loopback(web.host) else set()
        self._hosts = {web.host, *web.names, *local} if local or web.names else set()

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request that may not pass; None to one that may."""
        host, client = request.headers.get("host", ""), request.client
        if self._hosts and host_name(host) not in self._hosts:
            return _error("this address is not served", 421)
        if not self._rate.allows(client.host if client else "", monotonic()):
            return _error("too many requests: send fewer", 429, {"retry-after": "1"})
        path, method = request.url.path, request.method
        if path in OPEN_TO_ALL:
            return None
        origin = request.headers.get("origin")
        if method == "POST" and origin is not None and origin.partition("://")[2] != host:
            return _error("posts from other sites are refused", 403)
        caller = self._keys.caller(request.headers)
        if caller is None:
            scheme = {"www-authenticate": 'Basic realm="serialread", charset="UTF-8"'}
            return _error("send an API key: Authorization: Bearer KEY", 401, scheme)
        if (role := NEEDED_ROLES.get((method, path), "read")) not in caller.roles:
            return _error(f"the key {caller.name} has no role {role}", 403)
        request.scope["caller"] = caller.name
        return None


def _error(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": f"{message}."}, status, headers)
