"""Explaining a stored run: the parts of a score, the overlays, where they may be written, and what is refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from baselines.cosine import CosineScorer
from benchmark.config import NoOptions
from benchmark.errors import UserError
from benchmark.explain.overlays import LINE, LOOKED, overlay
from benchmark.explain.parts import score_parts
from benchmark.explain.places import choose_folder
from benchmark.interfaces import FeatureSpec
from plugins.proposed.options import GlobalLocalOptions
from plugins.proposed.scorer import GlobalLocalScorer
from tests.conftest import TOY, Command
from tests.toy import CRITERIA

SPEC = FeatureSpec((3,), ((2, 2),), 3, 4, 2, CRITERIA)
WHOLE = (0.0, 0.0, 1.0, 1.0)


def representation(whole: list[float], *regions: list[float]) -> dict[str, torch.Tensor]:
    return {"global": torch.tensor([whole]), "local": torch.tensor([regions])}


def test_the_parts_of_a_score_are_its_weighted_cosines() -> None:
    # a = 0.6; the checklist weighs border 2 and spot 1, so w = 2/3, 1/3. Cosines: 1 globally, 0 and -1 locally.
    scorer = GlobalLocalScorer(SPEC, GlobalLocalOptions(a=0.6))
    query = representation([1.0, 0.0], [1.0, 0.0], [0.0, 2.0])
    found = score_parts(scorer, query, representation([3.0, 0.0], [0.0, 1.0], [0.0, -1.0]))
    assert found is not None
    assert found.whole.tolist() == pytest.approx([0.4])
    assert found.regions[0].tolist() == pytest.approx([0.0, -0.2], abs=1e-6)


def test_a_single_cosine_has_no_parts() -> None:
    one = representation([1.0, 0.0], [1.0, 0.0])
    assert score_parts(CosineScorer(SPEC, NoOptions()), one, one) is None


def test_an_overlay_is_green_where_the_mask_looks_and_rims_the_region() -> None:
    region = np.zeros((6, 6), np.bool_)
    region[:3] = True
    drawn = np.asarray(overlay(Image.new("RGB", (6, 6), "black"), np.array([[0.0, 1.0]]), WHOLE, region))
    assert tuple(drawn[4, 5]) == tuple(round(0.7 * value) for value in LOOKED)
    assert tuple(drawn[4, 0]) == (0, 0, 0)
    assert tuple(drawn[2, 3]) == LINE  # the last row of the region
    assert tuple(drawn[1, 3]) != LINE  # inside it


def test_overlays_are_never_written_into_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, outside = tmp_path / "repository", tmp_path / "outside"
    (repository / ".git").mkdir(parents=True)
    outside.mkdir()
    (outside / "link").symlink_to(repository)
    for folder in (repository, repository / "new" / "deeper", outside / "link" / "new"):
        with pytest.raises(UserError, match=r"lies in the git repository .*name a folder outside"):
            choose_folder(folder, None)
    monkeypatch.chdir(outside)
    assert choose_folder(None, tmp_path / "cache") == outside / "explain"
    monkeypatch.chdir(repository)
    assert choose_folder(None, tmp_path / "cache") == tmp_path / "cache" / "explain"


def test_a_query_of_a_stored_run_is_explained(tmp_path: Path, toy_page: Path, benchmark: Command) -> None:
    runs = toy_page.parents[2]
    asked = ("--query", "toy-204", "--seed", "0", "-k", "3", "--runs", str(runs), "--plugin", str(TOY))
    done = benchmark("explain", *asked, "--out", "seen", "--cache", str(runs.parent / "cache"), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["synthetic"]
    assert [one["rank"] for one in said["candidates"]] == [1, 2, 3]
    for one in said["candidates"]:
        assert set(one["parts"]) == {"global", "border", "spot"}
        assert sum(one["parts"].values()) == pytest.approx(one["score"], abs=1e-4)
    (folder,) = (tmp_path / "seen").iterdir()
    page = (folder / "index.html").read_text()
    linked = re.findall(r'src="([^"]+)"', page)
    assert len(linked) == 4 * 3  # the query and three candidates: as they are, and a mask a criterion
    assert all(Image.open(folder / name).size == (32, 32) for name in linked)
    assert "SYNTHETIC" in page
    rows = list(csv.DictReader((folder / "parts.csv").open()))
    assert [row["case"] for row in rows] == [one["case"] for one in said["candidates"]]
    assert {row["diagnosis"] for row in rows} <= {"red", "green", "blue"}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("--query", "toy-20"), "no stored run of proposed asks it; 24 queries are stored, e.g. toy-2"),
        (("--query", "toy-204", "--method", "proposd"), "Did you mean proposed"),
        (("--query", "toy-204", "--method", "tirg"), "has no masks, and its score is no sum"),
        (("--query", "toy-204", "--seed", "7"), "with seed 7 is stored. Seeds: 0, 2."),
        (("--query", "toy-204", "--dataset", "derm7pt"), "No run of proposed on derm7pt is stored"),
    ],
)
def test_what_can_t_be_explained_gets_a_sentence(
    toy_page: Path, benchmark: Command, asked: tuple[str, ...], sentence: str
) -> None:
    runs = toy_page.parents[2]
    cache = ("--cache", str(runs.parent / "cache"))
    done = benchmark("explain", *asked, "--runs", str(runs), "--plugin", str(TOY), "--out", "seen", *cache)
    assert done.returncode == 2
    assert sentence in done.stderr
