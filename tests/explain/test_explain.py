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
from tests.conftest import FAST, TOY, Command
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


RUN = ("run", "--plugin", str(TOY), "--dataset", "toy", "--methods", "proposed", *FAST, "--set", "proposed.width=16")
ADAPTED = ("--plugin", str(TOY.parent / "toy_adaptive.py"), "--encoder", "nearest-colour")


def explained(benchmark: Command, run: tuple[str, ...], *asked: str) -> None:
    done = benchmark(*RUN, *run, "--seeds", "0", "--no-controls", "--quiet", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    plugins = ("--plugin", str(TOY), "--plugin", str(TOY.parent / "toy_adaptive.py"))
    done = benchmark("explain", *plugins, *asked, "--out", "seen", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    # The scores that are explained are those that were ranked by.
    scores = [one["score"] for one in said["candidates"]]
    assert scores == sorted(scores, reverse=True)


def test_a_run_of_modification_is_explained_by_its_own_composer(benchmark: Command) -> None:
    run = ("--encoder", "mean-colour", "--task", "modification")
    explained(benchmark, run, "--query", first_query(benchmark, run))


def first_query(benchmark: Command, run: tuple[str, ...]) -> str:
    """Return the id of a query that the run asks; a wrong one is answered with examples."""
    assert benchmark(*RUN, *run, "--seeds", "0", "--no-controls", "--quiet", "--jobs", "1").returncode == 0
    done = benchmark("explain", "--plugin", str(TOY), "--query", "none", "--out", "seen")
    return str(re.search(r"e\.g\. (\S+?),", " ".join(done.stderr.split()))[1])  # type: ignore[index]


def test_a_query_of_a_fold_is_seen_by_the_experts_of_that_fold(benchmark: Command) -> None:
    for query in ("toy-0", "toy-34"):
        explained(benchmark, (*ADAPTED, "--evaluate", "cv"), "--query", query)


def test_what_was_asked_without_its_picture_is_not_explained_with_it(benchmark: Command) -> None:
    run = (*RUN, "--encoder", "mean-colour", "--seeds", "0", "--no-controls", "--quiet", "--jobs", "1")
    assert benchmark(*run, "--without", "image").returncode == 0
    done = benchmark("explain", "--plugin", str(TOY), "--query", "toy-204", "--out", "seen")
    assert done.returncode == 2
    assert "no stored run of proposed asks it" in done.stderr


def test_experts_that_were_taught_without_excluded_cases_are_not_taught_anew_with_them(
    tmp_path: Path, benchmark: Command
) -> None:
    (tmp_path / "out.txt").write_text("toy-1\n")
    run = (*RUN, *ADAPTED, "--seeds", "0", "--no-controls", "--quiet", "--jobs", "1", "--exclude", "out.txt")
    assert benchmark(*run).returncode == 0
    plugins = ("--plugin", str(TOY), "--plugin", str(TOY.parent / "toy_adaptive.py"))
    done = benchmark("explain", *plugins, "--query", "toy-204", "--out", "seen")
    assert done.returncode == 2
    assert "take a run without --exclude" in done.stderr
