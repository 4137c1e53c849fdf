"""Who is answered and how much of a request is read, before any route sees it. An ASGI middleware.

Without a token only this machine may ask: the Host header must name it, so that a page elsewhere can't reach the
service through a name that it lets point here. With a token, every request to the API must bring it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SCRIPTS = ("page.js", "cards.js", "overlay.js", "query.js", "service.js")
OPEN = frozenset({"/", "/page.css", "/health", *(f"/{name}" for name in SCRIPTS)})
"""What is answered without a token: the page itself, which holds no data."""
READ_S = 30.0
"""A body that takes longer than this to arrive is given up."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refused(Exception):
    """A body that is too long or too slow."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


@dataclass(frozen=True)
class Guard:
    """Wraps ``app``; reads at most ``most_bytes`` of a body."""

    app: App
    token: str | None
    most_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        guarded = _with_headers(send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is None:
            try:
                most = 0 if scope["path"] in OPEN else self.most_bytes  # a page is asked for without a body
                body = await asyncio.wait_for(self._read(receive, headers, most), READ_S)
                await self.app(scope, _replay(body, receive), guarded)
            except TimeoutError:
                refusal = 408, "The request took too long to arrive."
            except Refused as refused:
                refusal = refused.status, refused.sentence
        if refusal is not None:
            await _answer(guarded, *refusal)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = _split(f"//{headers.get('host', '')}").hostname
        if self.token is None and host not in LOOPBACK:
            return 403, "This service answers this machine alone; open it as http://127.0.0.1."
        origin = headers.get("origin")
        if origin is not None and _split(origin).netloc != headers.get("host"):
            return 403, "This service answers its own page alone."
        if self.token is not None and scope["path"] not in OPEN:
            given = headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                return 401, "A token is needed: send the header Authorization: Bearer TOKEN."
        return None

    async def _read(self, receive: Receive, headers: dict[str, str], most: int) -> bytes:
        """Return the whole body of at most so many bytes, in memory."""
        sentence = f"The request has more than {most // 1_000_000} MB; send a smaller picture."
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            raise Refused(413, sentence)
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "The request was cut off.")
            body += message.get("body", b"")
            if len(body) > most:
                raise Refused(413, sentence)
            more = message.get("more_body", False)
        return bytes(body)


def _split(address: str) -> SplitResult:
    """Split an address; one that is none has no host and is so refused."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives ``body`` once, then what comes after it."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            added = [(n.lower().encode(), v.encode()) for n, v in HEADERS.items() if n.lower().encode() not in there]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sent


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
