"""Indexes of the toy cases, and a service over them on a real port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from benchmark.config import build_config
from benchmark.index.build import ALL_SPLITS, Target, build
from benchmark.index.searcher import open_searcher
from benchmark.interfaces import Split
from benchmark.registry import load_registry
from benchmark.serve.app import make_app
from benchmark.serve.desk import Desk
from tests.conftest import FAST, NARROW, TOY

SETTINGS = (*FAST[1::2], *NARROW[1::2], "proposed.width=16")


def build_toy(
    toy_page: Path,
    folder: Path,
    method: str = "proposed",
    kind: str = "faiss",
    uri: str = "",
    splits: Sequence[Split] = ALL_SPLITS,
) -> None:
    """Index the toy cases with weights of the runs that ``toy_page`` was made from."""
    runs = toy_page.parents[2]
    flags = {"methods": method, "dataset": "toy", "encoder": "mean-colour", "seeds": "0", "runs": runs}
    config = build_config({**flags, "cache": runs.parent / "cache", "plugins": str(TOY)}, None, options_of(method))
    build(config, load_registry(config.plugins), splits, Target(folder, kind, uri))


def options_of(method: str) -> tuple[str, ...]:
    """Return the settings of the run that concern ``method``."""
    return tuple(one for one in SETTINGS if one.startswith(("training.", f"{method}.")))


@contextmanager
def serving(folders: Sequence[Path], workers: int = 2, waiting: int = 16, token: str | None = None) -> Iterator[str]:
    """Serve indexes on a free port for a while; yield the address."""
    desk = Desk([open_searcher(folder) for folder in folders])

    async def served() -> None:
        app = make_app(desk, workers, waiting, token)
        server.append(uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False)))
        await server[0].serve()

    server: list[uvicorn.Server] = []
    thread = threading.Thread(target=lambda: asyncio.run(served()), daemon=True)
    thread.start()
    while not (server and server[0].started):
        assert thread.is_alive(), "the service did not start"
        thread.join(0.02)
    yield f"http://127.0.0.1:{server[0].servers[0].sockets[0].getsockname()[1]}"
    server[0].should_exit = True
    thread.join()
