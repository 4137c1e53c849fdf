from __future__ import annotations

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
