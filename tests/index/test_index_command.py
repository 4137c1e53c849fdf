"""``python -m benchmark index`` and ``search``, as a user meets them."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.config import build_config
from benchmark.errors import UserError
from benchmark.explain.places import ignored_by_git
from benchmark.features import open_image
from benchmark.files import hash_files
from benchmark.index import build as building
from benchmark.index.extras import require
from benchmark.index.folder import IndexFolder
from benchmark.index.searcher import open_searcher
from benchmark.interfaces import Dataset
from benchmark.registry import load_registry
from benchmark.runner import Runner
from benchmark.session import Session
from tests.conftest import FAST, TOY, TOY_RUN, Command
from tests.searching import build_toy
from tests.test_cli import refused

ASK = ("--plugin", str(TOY), "--dataset", "toy", "--encoder", "mean-colour", *FAST)
WIDE = ("--set", "proposed.width=16")


@pytest.fixture
def own_index(toy_index: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(toy_index, tmp_path / "own"))


def ids(folder: Path) -> set[str]:
    searcher = open_searcher(folder)
    return {hit.case.id for hit in searcher.rank(searcher.ask(None, "thick border"), 100)}


def test_index_and_search(benchmark: Command, toy_page: Path, tmp_path: Path) -> None:
    runs, cache = toy_page.parents[2], toy_page.parents[3] / "cache"
    where = ("--runs", str(runs), "--cache", str(cache), "--index", "here")
    done = benchmark("index", "--method", "proposed", *ASK, *WIDE, *where, "--splits", "valid,test", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["cases"], summary["width"], summary["store"]) == (36, 48, "faiss")  # 3 blocks of 16
    asked = ("--image", str(cache / "toy" / "200.png"), "--text", "thick border, a dark spot")
    done = benchmark("search", "--index", "here", *asked, "-k", "3", "--filter", "border=thick")
    assert done.returncode == 0, done.stderr
    assert "Read as: 'thick border': border: thick (1.00)" in done.stdout
    title = " ".join(done.stdout.split())  # a narrow terminal breaks it
    assert "36 cases of toy (drawn, synthetic cases), by proposed [width=16]" in title
    assert "Gl global, Bo border, Sp spot" in title
    assert "not a medical device" in done.stdout
    done = benchmark("search", "--index", "here", *asked, "-k", "3", "--local-weight", "0", "--json")
    answer = json.loads(done.stdout)
    assert answer["local_weight"] == 0
    assert [one["rank"] for one in answer["results"]] == [1, 2, 3]
    assert all(one["parts"]["border"] == 0 for one in answer["results"])
    assert "picture" not in answer["results"][0] and str(tmp_path) not in done.stdout.replace("here", "")


INDEX, SEARCH = ("index", *ASK, "--runs", "RUNS", "--method"), ("search", "--index", "TOY")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            (*INDEX, "proposed", *WIDE, "--seed", "7"),
            ("no trained weights of proposed", "--methods proposed", "seeds 7"),
        ),
        ((*INDEX, "proposed", "--set", "proposed.width=8"), ("its options are others", "Train it first")),
        ((*INDEX, "posterior"), ("no composer with a scorer",)),
        ((*INDEX, "artemis"), ("is pairwise",)),
        ((*INDEX, "tirg", "--store", "chroma"), ("choose faiss or milvus",)),
        ((*INDEX, "tirg", "--uri", "http://x"), ("--uri goes with milvus",)),
        ((*INDEX, "tirg", "--splits", "tset"), ("--splits tset", "train, valid, test")),
        ((*INDEX, "tirg", "--view", "both"), ("name one view",)),
        ((*INDEX, "tirg", "--delete", "a"), ("leave --method out",)),
        (("index", *ASK), ("--method NAME",)),
        (("index", "--delete", "a"), ("need --index",)),
        (("index", "--index", "TOY", "--delete", " "), ("--delete names no case",)),
        ((*SEARCH, "--text", "  "), ("--text is empty",)),
        ((*SEARCH, "--text", "\udcff\udcfe"), ("no UTF-8",)),
        (("search", "--index", "nowhere", "--text", "x"), ("There is no index in nowhere", "index --method")),
        (SEARCH, ("a picture, a text or both",)),
        ((*SEARCH, "--text", "x", "--filter", "border"), ("write FACT=VALUE",)),
        ((*SEARCH, "--text", "x", "--filter", "spot=dark", "--filter", "spot=none"), ("was given before",)),
        ((*SEARCH, "--image", "nowhere.png"), ("There is no picture 'nowhere.png'",)),
        (("serve", "--index", "TOY", "--host", "0.0.0.0"), ("Set a token",)),
        (("serve", "--index", "TOY", "--token", "short"), ("at least 12",)),
        (("speed", "--index", "TOY", "--steps", "sprint"), ("latency, scale, serve",)),
        (("speed", "--index", "TOY", "--vectors", "5"), ("10000 are the least",)),
    ],
)
def test_a_mistake_is_a_sentence(toy_page: Path, toy_index: Path, arguments: tuple, words: tuple) -> None:
    places = {"RUNS": str(toy_page.parents[2]), "TOY": str(toy_index)}
    done = CliRunner().invoke(app, [places.get(one, one) for one in arguments])
    assert isinstance(done.exception, UserError), done.output
    for word in words:
        assert word in str(done.exception)


def test_a_missing_index_ends_with_status_2(benchmark: Command) -> None:
    refused(benchmark("search", "--index", "nowhere", "--text", "x"), "There is no index in nowhere")


def test_a_case_is_replaced_whole_or_not_at_all(own_index: Path, toy_page: Path, tmp_path: Path) -> None:
    shutil.copy(toy_page.parents[3] / "cache" / "toy" / "7.png", tmp_path / "mine.png")
    new, replace = tmp_path / "new.jsonl", ("index", "--index", str(own_index), "--delete", "toy-7", "--add")
    for line, words in (
        ({"id": "toy-7", "imag": "mine.png"}, "image Field"),
        ({"id": "toy-8"}, "holds 'toy-8' already"),
    ):
        new.write_text(json.dumps({"image": "mine.png", **line} if "imag" not in line else line))
        done = CliRunner().invoke(app, [*replace, str(new)])
        assert words in str(done.exception)
        assert "toy-7" in ids(own_index), "a slip in the new line must not cost the old case"
    new.write_text(json.dumps({"id": "toy-7", "image": "mine.png", "diagnosis": "mended"}))
    assert CliRunner().invoke(app, [*replace, str(new)]).exit_code == 0
    assert IndexFolder(own_index).manifest().count == 72
    assert open_searcher(own_index).store.get(["toy-7"])[0].case.diagnosis == "mended"


def test_cases_that_were_added_are_not_lost_to_a_rebuild(own_index: Path, toy_page: Path, tmp_path: Path) -> None:
    shutil.copy(toy_page.parents[3] / "cache" / "toy" / "7.png", tmp_path / "mine.png")
    (tmp_path / "new.jsonl").write_text(json.dumps({"id": "mine", "image": "mine.png"}))
    building.add(own_index, tmp_path / "new.jsonl")
    with pytest.raises(UserError, match=r"cases that --add brought, e\.g\. 'mine'; building again would drop them"):
        build_toy(toy_page, own_index)
    assert "mine" in ids(own_index)
    (tmp_path / "new.jsonl").write_text(json.dumps({"id": "other", "image": "gone.png"}))
    with pytest.raises(UserError, match=r"case 'other': there is no picture .*gone\.png"):
        building.add(own_index, tmp_path / "new.jsonl")
    building.delete(own_index, ["mine"])
    build_toy(toy_page, own_index)
    assert "mine" not in ids(own_index)


@pytest.mark.parametrize("kept", ["models/thesis/w.pt", "states/bayern/x.csv", "photo.jpg"])
def test_a_folder_with_other_files_is_no_place_for_an_index(toy_page: Path, tmp_path: Path, kept: str) -> None:
    (tmp_path / "mine" / kept).parent.mkdir(parents=True)
    (tmp_path / "mine" / kept).write_text("years of work")
    with pytest.raises(UserError, match=r"is no part of an index\. Give an index a folder of its own"):
        build_toy(toy_page, tmp_path / "mine")
    assert (tmp_path / "mine" / kept).read_text() == "years of work"


@pytest.mark.parametrize("kept", ["models/thesis/w.pt", "states/bayern/x.csv"])
def test_what_no_index_wrote_is_never_deleted(own_index: Path, kept: str) -> None:
    (own_index / kept).parent.mkdir(parents=True)
    (own_index / kept).write_text("years of work")
    building.delete(own_index, ["toy-7"])
    assert (own_index / kept).read_text() == "years of work"


def test_a_case_that_taught_the_method_is_marked(toy_index: Path) -> None:
    for split, marked in (("train", True), ("test", False)):
        asked = ["search", "--index", str(toy_index), "--text", "thick border", "--filter", f"split={split}"]
        done = CliRunner().invoke(app, asked)
        assert done.exit_code == 0, done.output
        assert ("†" in done.output) == marked


def test_a_folder_that_is_no_index_stays_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no index in"):
        building.delete(tmp_path / "typo", ["a"])
    assert not (tmp_path / "typo").exists()


@pytest.mark.skipif(shutil.which("git") is None, reason="asks git")
def test_vectors_of_licensed_cases_enter_no_repository(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    subprocess.run(["git", "init", "-q", str(clone)], check=True)
    (clone / ".gitignore").write_text("/runs/\n")
    assert [ignored_by_git(clone / name) for name in ("runs/index/x", "cases")] == [True, False]
    asked: Any = SimpleNamespace(dataset=SimpleNamespace(synthetic=False, licence="None."), dataset_label="photos")
    with pytest.raises(UserError, match=r"cases lies in the repository .*clone, .*photos.*Name a folder elsewhere"):
        building._refuse_repository(asked, clone / "cases")
    building._refuse_repository(asked, clone / "runs" / "cases")
    building._refuse_repository(asked, tmp_path / "cases")
    asked.dataset.synthetic = True
    building._refuse_repository(asked, clone / "cases")


def test_the_advice_trains_what_is_missing(toy_page: Path) -> None:
    settings = ("proposed.width=8", "training.epochs=3")
    flags = {"methods": "proposed", "dataset": "toy", "encoder": "mean-colour", "seeds": "0", "task": "modification"}
    config = build_config({**flags, "runs": toy_page.parents[2], "plugins": str(TOY)}, None, settings)
    with pytest.raises(UserError) as error:
        building.build(config, load_registry(config.plugins), ("test",), building.Target(Path("never")))
    command = str(error.value).partition("Train it first: python -m benchmark run ")[2].rstrip(".")
    parts = shlex.split(command)
    assert {"--task", "modification", "proposed.width=8", "training.epochs=3", str(TOY)} <= set(parts)


def test_cases_are_added_and_deleted_by_id(own_index: Path, toy_page: Path, tmp_path: Path) -> None:
    shutil.copy(toy_page.parents[3] / "cache" / "toy" / "7.png", tmp_path / "mine.png")
    lines = [{"id": "mine", "image": "mine.png", "diagnosis": "red", "facts": {"border": "thick", "ward": "north"}}]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, lines)))
    manifest = building.add(own_index, tmp_path / "new.jsonl")
    assert (manifest.count, manifest.facts["ward"]) == (73, ("north",))
    searcher = open_searcher(own_index)
    (hit,) = searcher.rank(searcher.ask(None, "thick border"), 5, filters={"ward": "north"})
    assert (hit.case.id, hit.case.facts["split"]) == ("mine", "added")
    twin = searcher.store.get(["toy-7"])[0].vector  # the same picture has the same vector
    assert searcher.store.get(["mine"])[0].vector == pytest.approx(twin, abs=1e-3)
    with pytest.raises(UserError, match="holds 'mine' already"):
        building.add(own_index, tmp_path / "new.jsonl")
    assert building.delete(own_index, ["mine", "toy-7"]).count == 71
    assert not {"mine", "toy-7"} & ids(own_index)
    with pytest.raises(UserError, match="no case 'toy-7'; nothing was deleted"):
        building.delete(own_index, ["toy-8", "toy-7"])
    assert "toy-8" in ids(own_index)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no case"),
        ('{"id": "a"}', "line 1: image Field required"),
        ('{"id": "a", "image": "no.png"}', "no.png"),
        ('{"id": "a", "image": "x"}\n{"id": "a", "image": "x"}', "line 2: the id 'a' occurs twice"),
    ],
)
def test_a_line_that_can_not_be_added_is_named(own_index: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "new.jsonl").write_text(content)
    with pytest.raises(UserError, match=words):
        building.add(own_index, tmp_path / "new.jsonl")
    assert IndexFolder(own_index).manifest().count == 72


def build_that_dies(monkeypatch, *arguments, **options) -> None:  # type: ignore[no-untyped-def]
    """Build an index in a process that is interrupted just before the new state counts."""

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(IndexFolder, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            build_toy(*arguments, **options)


def test_a_crash_in_the_middle_of_a_build_leaves_the_old_index(own_index: Path, toy_page: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = ids(own_index)
    build_that_dies(monkeypatch, toy_page, own_index, "tirg")
    assert IndexFolder(own_index).manifest().method == "proposed [width=16]"
    assert ids(own_index) == before
    build_toy(toy_page, own_index, "tirg")  # and once it is whole, it takes the old one's place
    assert IndexFolder(own_index).manifest().method.startswith("tirg")
    assert [len(list((own_index / part).iterdir())) for part in ("states", "models")] == [1, 1]


def test_a_rebuild_of_other_cases_that_dies_leaves_the_old_index(own_index: Path, toy_page: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The weights are the same, but the cases' mean features, which a text alone is composed with, are others."""
    before = ids(own_index)
    build_that_dies(monkeypatch, toy_page, own_index, splits=("test",))
    assert ids(own_index) == before
    build_toy(toy_page, own_index, splits=("test",))
    assert len(ids(own_index)) == 24
    assert len(list((own_index / "models").iterdir())) == 1


def test_cases_without_an_honest_picture_are_not_indexed(own_index: Path, toy_page: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(Dataset, "unusable", lambda self, case, view: "blurred" if case.id == "toy-203" else None)
    build_toy(toy_page, own_index)
    assert "toy-203" not in ids(own_index)
    assert len(ids(own_index)) == 71


@pytest.mark.parametrize("file", ["weights.safetensors", "neutral.safetensors", "wordings.safetensors"])
def test_an_altered_model_is_refused(own_index: Path, file: str) -> None:
    (path,) = own_index.glob(f"models/*/{file}")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match=f"{file} is missing or not the one"):
        open_searcher(own_index)


def test_a_changed_source_or_encoder_is_refused(own_index: Path) -> None:
    file = own_index / "manifest.json"
    manifest = json.loads(file.read_text())
    for change, words in (
        ({"sources": {**manifest["training"]["sources"], "plugins.proposed.scorer": "0"}}, "plugins.proposed.scorer"),
        ({"encoder": {**manifest["training"]["encoder"], "text_fingerprint": "old"}}, "has changed since"),
        ({"seed": "none"}, "is damaged"),
    ):
        file.write_text(json.dumps({**manifest, "training": {**manifest["training"], **change}}))
        with pytest.raises(UserError, match=words):
            open_searcher(own_index)


def test_another_encoder_is_refused(own_index: Path, tmp_path: Path) -> None:
    other = tmp_path / "toy.py"
    other.write_text(TOY.read_text().replace("toy-text-1", "toy-text-2"))
    file = own_index / "manifest.json"
    file.write_text(file.read_text().replace(str(TOY), str(other)))
    with pytest.raises(UserError, match=r"Encoder mean-colour has changed since .* \(text side\)"):
        open_searcher(own_index)


def test_another_store_does_not_take_an_index_over(own_index: Path, toy_page: Path) -> None:
    with pytest.raises(UserError, match="holds an index in faiss"):
        build_toy(toy_page, own_index, kind="milvus")


@pytest.mark.parametrize("server", [False, True])
def test_milvus_finds_what_faiss_finds(
    toy_index: Path, toy_page: Path, tmp_path: Path, server: bool, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue("milvus_server") if server else ""
    build_toy(toy_page, tmp_path / "m", kind="milvus", uri=uri)
    answers = []
    for folder in (toy_index, tmp_path / "m"):
        searcher = open_searcher(folder)
        hits = searcher.rank(searcher.ask(None, "thick border"), 5, filters={"spot": "dark"})
        answers.append([(hit.case, round(hit.score, 4)) for hit in hits])
        searcher.store.close()
    assert answers[0] == answers[1] and len(answers[0]) == 5


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"pip install 'dermcir\[search\]'"):
        require("faiss")


def test_trained_weights_are_those_of_the_run(toy_index: Path) -> None:
    manifest = IndexFolder(toy_index).manifest()
    assert (manifest.training.seed, manifest.training.evaluate, manifest.recipe.task) == (0, "test", "case-search")
    assert manifest.count == 72 and manifest.facts["split"] == ("test", "train", "valid")
    assert all(Path(name).is_absolute() for name in manifest.recipe.plugins)
    assert TOY_RUN[2] in manifest.recipe.plugins


def test_an_index_keeps_the_experts_of_an_adaptive_encoder(tmp_path: Path) -> None:
    plugins = (str(TOY), str(Path(TOY).with_name("toy_adaptive.py")))
    flags = {"methods": "proposed", "dataset": "toy", "encoder": "nearest-colour", "seeds": "0", "controls": False}
    where = {"runs": tmp_path / "runs", "cache": tmp_path / "cache", "plugins": ",".join(plugins), "jobs": 1}
    settings = ("training.epochs=2", "training.batch_size=24", "proposed.width=16")
    config = build_config({**flags, **where}, None, settings)
    registry = load_registry(config.plugins)
    runner = Runner(config, registry)
    assert not runner.run(runner.units()).failures
    building.build(config, registry, building.ALL_SPLITS, building.Target(tmp_path / "index"))
    shutil.rmtree(tmp_path / "cache")  # the index alone must do
    searcher = open_searcher(tmp_path / "index")
    session = Session(config, registry)
    queries, gallery = session.sight(0, 0).queries(), session.sight(0, 0).gallery()
    method = searcher.model.method
    stored = np.stack([searcher.store.get([name])[0].vector for name in gallery.ids])
    assert stored == pytest.approx(searcher.model.candidates(gallery.images), abs=1e-3)
    case = session.trials[0].queries[0]
    images = searcher.model.features([open_image(case.images["dermoscopic"])])
    assert images.pooled == pytest.approx(queries.images.pooled[:1], abs=2e-3)
    asked = searcher.ask(images, session.questions(session.trials[0]).texts[0])
    expected = method.score(queries, gallery)[0]
    scores = {hit.case.id: hit.score for hit in searcher.rank(asked, 72, filters={"split": "test"})}
    assert [scores[name] for name in gallery.ids] == pytest.approx(expected.tolist(), abs=2e-3)
    known = session.trials[0].train[0]  # it taught the experts, and is shown by the one that never saw it
    picture = [open_image(known.images["dermoscopic"])]
    shown = session.sight(0, 0).features([known], session.views).pooled
    contents = hash_files([known.images["dermoscopic"]])
    assert searcher.model.features(picture, contents).pooled == pytest.approx(shown, abs=2e-3)
    assert searcher.model.features(picture).pooled != pytest.approx(shown, abs=2e-3)
    (experts,) = (tmp_path / "index").glob("models/*/experts.safetensors")
    experts.write_bytes(experts.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match=r"experts\.safetensors is missing or not the one"):
        open_searcher(tmp_path / "index")
