"""What ``serve`` checks and starts."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError
from benchmark.flags import out
from benchmark.index.commands import NOTICE
from benchmark.index.extras import require
from benchmark.index.searcher import open_searcher
from benchmark.serve.guard import LOOPBACK

SHORTEST_TOKEN = 12
SPARE_CONNECTIONS = 64
"""Connections beside those that are answered or wait, for pages and for those who are refused."""


@dataclass(frozen=True)
class ServeRequest:
    """What the user asked of ``serve``."""

    folders: tuple[Path, ...]
    host: str
    port: int
    token: str | None
    workers: int
    waiting: int
    plugins: tuple[str, ...]
    cache: Path | None


def serve_command(request: ServeRequest) -> None:
    """Open the indexes, say where the page is, and serve until stopped."""
    uvicorn = require("uvicorn")
    require("fastapi")
    refuse_exposure(request.host, request.token)
    from benchmark.serve.app import make_app
    from benchmark.serve.desk import Desk

    desk = Desk([open_searcher(folder, request.plugins, request.cache) for folder in request.folders])
    desk.warm()
    listening = _listen(request.host, request.port)
    host, port = listening.getsockname()[:2]
    logging.basicConfig(level=logging.WARNING)
    config = uvicorn.Config(
        make_app(desk, request.workers, request.waiting, request.token),
        log_level="warning",
        access_log=False,  # what is asked is nobody's business
        server_header=False,
        timeout_keep_alive=5,
        limit_concurrency=request.workers + request.waiting + SPARE_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    address = f"[{host}]" if ":" in host else host
    out.print(f"http://{address}:{port}  (Ctrl-C ends it)", markup=False, highlight=False, soft_wrap=True)
    out.print(NOTICE, style="dim", markup=False)
    uvicorn.Server(config).run(sockets=[listening])


def refuse_exposure(host: str, token: str | None) -> None:
    """Raise ``UserError`` where others could ask without a token that is hard to guess."""
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UserError(f"--token has {len(token)} characters; use at least {SHORTEST_TOKEN}, drawn at random.")
    if token is None and host not in LOOPBACK:
        raise UserError(
            f"--host {host} lets other machines ask. Set a token (--token or DERMCIR_TOKEN), or leave --host out; put "
            "a proxy with TLS in front, since the token and the pictures travel as they are."
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UserError(f"Can't listen at {host}:{port}: {error.strerror}. Choose another --port (0: any).") from error
    return listening
