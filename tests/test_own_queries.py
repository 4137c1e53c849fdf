"""Own queries: the file, its judgments, and whole runs with and without relevant ids."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.errors import UserError
from benchmark.interfaces import DatasetContext
from benchmark.own_queries import judge_own, read_queries
from tests.conftest import FAST, TOY_RUN, Command
from tests.toy import ToyDataset

RUN = (*TOY_RUN, *FAST, "--methods", "late-fusion,text-only", "--no-controls", "--seeds", "0")


def picture(path: Path, colour: tuple[int, int, int]) -> str:
    Image.new("RGB", (40, 30), colour).save(path)
    return path.name


def written(folder: Path, *lines: object) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def query(folder: Path, name: str, *relevant: str, text: str = "thick border, dark spot") -> dict[str, object]:
    image = picture(folder / f"{name}.png", (200, 40, len(name)))
    return {"id": name, "image": image, "text": text} | ({"relevant": list(relevant)} if relevant else {})


def toy(tmp_path: Path) -> ToyDataset:
    return ToyDataset(DatasetContext(None, tmp_path), None)  # type: ignore[arg-type]


def test_a_query_is_judged_by_what_its_line_calls_relevant(tmp_path: Path) -> None:
    own = read_queries(written(tmp_path, query(tmp_path, "q1", "toy-201", "toy-203"), "", query(tmp_path, "q22")))
    judged = judge_own(own, toy(tmp_path), toy(tmp_path).cases("test"))
    assert judged.query_ids == ("q1", "q22")
    assert np.flatnonzero(judged.gains[0]).tolist() == [1, 3]  # the test cases start at toy-200
    assert judged.gains[1].sum() == 0
    assert (judged.excluded == -1).all()
    assert judged.stratum_names == ("queries",)


def test_a_picture_of_the_gallery_is_not_its_own_candidate(tmp_path: Path) -> None:
    case = toy(tmp_path).cases("test")[5]
    line = {"id": "again", "image": str(case.images["dermoscopic"]), "text": "thin border", "relevant": [case.id]}
    gallery = toy(tmp_path).cases("test")
    judged = judge_own(read_queries(written(tmp_path, line)), toy(tmp_path), gallery)
    assert judged.excluded.tolist() == [5]
    assert judged.gains.sum() == 0
    with pytest.raises(
        UserError, match=r"1 of 2 queries are pictures of the gallery \(first 'again', which is case toy-205"
    ):
        judge_own(read_queries(written(tmp_path, query(tmp_path, "new"), line)), toy(tmp_path), gallery)


def test_the_name_of_a_list_follows_its_content(tmp_path: Path) -> None:
    first = read_queries(written(tmp_path, query(tmp_path, "q1"))).label
    assert first.startswith("1 query, list ")
    assert read_queries(written(tmp_path, query(tmp_path, "q1"))).label == first
    assert read_queries(written(tmp_path, query(tmp_path, "q1", text="thin border"))).label != first
    picture(tmp_path / "q1.png", (0, 0, 0))
    changed = {"id": "q1", "image": "q1.png", "text": "thick border, dark spot"}
    assert read_queries(written(tmp_path, changed)).label != first


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'id': 1}", "line 2: not a whole JSON object on one line"),
        ('{"id": "b", "text": "thin"}', "line 2: the key 'image' is missing"),
        ('{"id": "b", "image": "a.png", "text": " "}', "line 2: the text is blank"),
        ('{"id": "b c", "image": "a.png", "text": "thin"}', "line 2: the id holds a space"),
        ('{"id": "b", "image": "a.png", "txt": "thin", "text": "x"}', "unknown key 'txt'. Did you mean text"),
        ('{"id": "b", "image": "gone.png", "text": "thin"}', "there is no picture"),
        ('{"id": "a", "image": "a.png", "text": "thin"}', "the id 'a' occurs twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_queries(written(tmp_path, query(tmp_path, "a"), line))
    assert words in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_queries(tmp_path / "gone.jsonl")
    with pytest.raises(UserError, match="holds no query"):
        read_queries(written(tmp_path, "", " "))
    with pytest.raises(UserError, match="'toy-20l' is none of the gallery's 24 cases, which have ids such as toy-2"):
        own = read_queries(written(tmp_path, query(tmp_path, "q", "toy-20l")))
        judge_own(own, toy(tmp_path), toy(tmp_path).cases("test"))


def test_own_queries_have_a_table_and_trec_files(tmp_path: Path, benchmark: Command) -> None:
    reds = [f"toy-{number}" for number in range(201, 224, 3)]
    path = written(tmp_path, query(tmp_path, "q1", *reds), query(tmp_path, "q22", *reds), query(tmp_path, "q333"))
    done = benchmark(*RUN, "--queries", str(path))
    assert done.returncode == 0, done.stderr
    assert "Asked: 3 queries, list" in done.stderr
    (board,) = (tmp_path / "runs/report/toy/case-search").glob("*/leaderboard.md")
    assert "queries=3-queries-list" in board.parent.name
    assert "groups queries 3" in board.read_text()
    (qrels,) = (tmp_path / "runs/report/trec").glob("*/qrels*")
    assert len(qrels.read_text().splitlines()) == 2 * len(reds)
    runs = list((tmp_path / "runs/report/trec").glob("*/*.run"))
    assert len(runs) == 2
    assert len(runs[0].read_text().splitlines()) == 3 * 24
    found = list(csv.DictReader((board.parent / "found.csv").open()))
    assert len(found) == 2 * 3 * 10, "two methods, three queries, the first ten"
    assert str(board.parent / "found.csv") in str(tmp_path / done.stderr.rpartition("every query: ")[2].split()[0])
    first = [row for row in found if row["method"] == "late-fusion" and row["query"] == "q1"]
    ranked = [line.split() for line in next(p for p in runs if "late-fusion" in p.name).read_text().splitlines()]
    assert [row["case"] for row in first] == [words[2] for words in ranked if words[0] == "q1"][:10]
    assert all((row["relevant"] == "yes") == (row["case"] in reds) for row in first)
    assert {row["relevant"] for row in found if row["query"] == "q333"} == {""}
    assert "only 2 of them have a relevant candidate and count" in board.read_text()
    assert "24 candidates each (the cases of the test split)" in board.read_text()
    assert benchmark("report", "--html", "--plugin", TOY_RUN[2]).returncode == 0
    page = (tmp_path / "runs/report/html/toy.html").read_text()
    assert "only what the file of queries lists is" in page
    assert "equality of labels" not in page
    trained = len(list((tmp_path / "runs/trainings").iterdir()))
    assert benchmark(*RUN).returncode == 0, "the dataset's own queries use the same weights"
    assert len(list((tmp_path / "runs/trainings").iterdir())) == trained


def test_queries_that_nobody_judged_are_ranked_all_the_same(tmp_path: Path, benchmark: Command) -> None:
    done = benchmark(*RUN, "--queries", str(written(tmp_path, query(tmp_path, "q1"))))
    assert done.returncode == 0, done.stderr
    assert "of your own queries (1 query, list " in done.stderr
    assert len(list((tmp_path / "runs/report/trec").glob("*/*.run"))) == 2
    assert benchmark(*RUN).returncode == 0
    both = benchmark("report", "--html", "--plugin", TOY_RUN[2])
    assert both.returncode == 0, both.stderr
    assert "macro mAP" in both.stdout
    assert "No table for toy, case-search" in both.stderr


SPACED = """
from dataclasses import replace
from benchmark.hookspecs import hookimpl
from tests.toy import ToyDataset

class Spaced(ToyDataset):
    name = "spaced"
    def cases(self, split):
        return tuple(replace(case, id=case.id.replace("-", " ")) for case in super().cases(split))

@hookimpl
def register_datasets(register):
    register("spaced", Spaced, summary="s", citation="c")
"""


def test_ids_that_trec_files_can_not_hold_cost_those_files_alone(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "spaced.py").write_text(SPACED)
    run = ["spaced" if word == "toy" else word for word in RUN]
    done = benchmark(*run, "--plugin", "spaced.py", "--queries", str(written(tmp_path, query(tmp_path, "q1"))))
    assert done.returncode == 0, done.stderr
    assert "No TREC files were written: " in done.stderr
    (found,) = (tmp_path / "runs/report/spaced").rglob("found.csv")
    assert "toy 2" in found.read_text()


def test_a_query_that_is_called_like_an_excluded_case_is_asked(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "out.txt").write_text("toy-203\n")
    asked = written(tmp_path, query(tmp_path, "toy-203"), query(tmp_path, "q"))
    done = benchmark(*RUN, "--queries", str(asked), "--exclude", "out.txt")
    assert done.returncode == 0, done.stderr
    (found,) = (tmp_path / "runs/report/toy").rglob("found.csv")
    rows = list(csv.DictReader(found.open()))
    assert {row["query"] for row in rows} == {"toy-203", "q"}
    assert "toy-203" not in {row["case"] for row in rows}


BROKEN = """
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import Composer

class Broken(Composer):
    def compose(self, images, texts):
        raise ValueError("no such thing")
    def embed(self, images):
        return {"global": images.pooled}

@hookimpl
def register_composers(register):
    register("broken", Broken, summary="s", citation="c")
"""


def test_where_no_method_answers_the_reason_is_told(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    run = ["broken" if word == "late-fusion,text-only" else word for word in RUN]
    done = benchmark(*run, "--plugin", "broken.py", "--queries", str(written(tmp_path, query(tmp_path, "q1"))))
    assert done.returncode == 1
    assert re.search(r"FAILED .*no such thing", done.stderr)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--evaluate", "cv"), "--queries go with --evaluate test"),
        (("--text-style", "terse"), "your --queries bring their own"),
        (("--view", "both"), "a query of --queries has one image"),
    ],
)
def test_what_does_not_go_with_own_queries(
    tmp_path: Path, benchmark: Command, flags: tuple[str, ...], words: str
) -> None:
    done = benchmark(*RUN, "--queries", str(written(tmp_path, query(tmp_path, "q1"))), *flags)
    assert done.returncode == 2
    assert words in done.stderr
