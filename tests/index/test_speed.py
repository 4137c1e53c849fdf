"""What ``speed`` measures, small: that the figures mean what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.index.searcher import Searcher, open_searcher
from benchmark.interfaces import Block, Blocks
from benchmark.speed import load, scale
from benchmark.speed.command import markdown
from benchmark.speed.latency import case_pictures, example_text, measure_latency
from tests.index.test_service import ask
from tests.searching import serving

LAYOUT = Blocks((Block("global", 8, 1.0), Block("a", 8, 1.0, True)), 0.75)
BASE = np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32)


def test_candidates_are_unit_blocks_and_queries_are_weighted() -> None:
    sample = scale.Sample(BASE, LAYOUT)
    made = sample.draw(0, 120)
    assert np.linalg.norm(made.reshape(120, 2, 8), axis=2) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(made, sample.draw(0, 120))  # the same in every run
    assert not np.array_equal(made[:50], made[50:100])  # perturbed, not repeated
    lengths = np.linalg.norm(sample.queries().reshape(-1, 2, 8), axis=2)
    assert lengths == pytest.approx(np.tile([0.25, 0.75], (scale.QUERIES, 1)), abs=1e-5)


def test_numpy_and_exact_faiss_agree_and_the_approximate_index_reaches_its_recall(tmp_path: Path) -> None:
    said: list[str] = []
    rows = scale.measure_scale(scale.Sample(BASE, LAYOUT), tmp_path, 10_000, said.append)
    assert said == ["10,000 vectors"]
    numpy, float32, halves, cells = rows
    assert (numpy["recall@10"], numpy["bytes a vector"], numpy["speed-up"]) == (1, 32, 1)
    assert float32["recall@10"] >= 0.99 and halves["recall@10"] >= 0.99  # equal scores may change places
    assert cells["search"].startswith("faiss, 256 cells, halves, ")  # type: ignore[union-attr]
    assert cells["recall@10"] >= 0.9  # type: ignore[operator]
    assert [row["bytes a vector"] for row in (float32, halves)] == [64, 32]


def test_recall_by_hand() -> None:
    assert scale.recall(np.array([[1, 2], [3, 4]]), np.array([[2, 1], [4, 5]])) == 0.75


def test_latency_is_measured_on_real_queries(searcher: Searcher) -> None:
    whole, again, alone = measure_latency(searcher)
    assert whole["cases"] == 72 and whole["median ms"] > again["median ms"] >= 0  # type: ignore[operator]
    assert alone["store"] == "faiss"
    assert example_text(searcher) == "thin border, none spot"


def test_many_clients_are_counted(toy_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searcher = open_searcher(toy_index)
    with serving((toy_index,), workers=1, waiting=0) as address:
        port = int(address.rsplit(":", 1)[1])
        asked = [json.dumps({"text": "thick border"}), json.dumps({"text": "x", "k": 0})]
        tally = load._ask_for(port, asked, clients=4, s=1.0)
        assert ask(f"{address}/health")[0] == 200
    assert set(tally.statuses) <= {"200", "422", "429"} and tally.statuses["200"] == len(tally.seconds) > 0
    assert case_pictures(searcher, 3) and load.memory_mib(1) > 0


def test_the_command_serves_in_a_process_of_its_own(
    toy_index: Path, searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "WARM_UP_S", 0.5)
    row = load.measure_load(["--index", str(toy_index)], case_pictures(searcher, 3), "thick border", 4, 1.0)
    assert row["errors"] == "none" and row["answers"] > 0  # type: ignore[operator]
    assert 0 < row["p50 ms"] <= row["p95 ms"] <= row["p99 ms"]  # type: ignore[operator]


def test_the_page_has_a_table_a_step() -> None:
    page = markdown({"latency": [{"what": "a", "median ms": 1.5}]}, {"processor": "p, 2 cores"})
    assert "- processor: p, 2 cores" in page and "## One answer at a time" in page
    assert "| a      | 1.5         |" in page
