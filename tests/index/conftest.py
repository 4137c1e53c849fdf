from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.index.searcher import Searcher, open_searcher
from tests.searching import build_toy, serving


@pytest.fixture(scope="session")
def toy_index(toy_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the toy cases, made with ``proposed``; tests do not change it."""
    folder = tmp_path_factory.mktemp("index") / "toy"
    build_toy(toy_page, folder)
    return folder


@pytest.fixture(scope="session")
def tirg_index(toy_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with ``tirg``, whose score is one whole."""
    folder = tmp_path_factory.mktemp("index") / "tirg"
    build_toy(toy_page, folder, "tirg")
    return folder


@pytest.fixture(scope="session")
def searcher(toy_index: Path) -> Searcher:
    return open_searcher(toy_index)


@pytest.fixture(scope="session")
def service(toy_index: Path, tirg_index: Path) -> Iterator[str]:
    """The address of a service over both indexes."""
    with serving((toy_index, tirg_index)) as address:
        yield address


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a Milvus server in a process of its own, here that of milvus-lite."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ("--data-dir", str(tmp_path_factory.mktemp("milvus") / "data"), "--host", "127.0.0.1", "--port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", "milvus_lite", "server", *where], env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    try:
        for _ in range(300):
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the server did not start"
            time.sleep(0.1)
        else:
            pytest.fail("the server did not answer in 30 s")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
