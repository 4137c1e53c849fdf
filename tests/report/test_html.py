"""The results page: what it says, that it loads nothing, and that it holds pictures of drawn data alone."""

from __future__ import annotations

import re
import shlex
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from fakes import one, record, study
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.errors import UserError
from benchmark.records import EncoderInfo
from benchmark.registry import load_registry
from benchmark.report import from_published, from_runs, leaderboards
from benchmark.report.html import Surroundings, browser, write_pages
from benchmark.report.html.attention import Looker, upsampled
from benchmark.report.html.browser import drawn_dataset, spread_over_groups
from benchmark.report.html.cards import stated
from benchmark.report.html.cells import choices, sort_key
from benchmark.report.html.reproduce import command, notes
from benchmark.report.html.surroundings import label_assignments, rows_of, split_label
from benchmark.report.table import safe_name
from tests.conftest import FAST, NARROW, ROOT, TOY, Command
from tests.datasets.fake_derm7pt import pair_in_valid, write_fake

PHOTOS = '''
from benchmark.hookspecs import hookimpl
from tests.toy import ToyDataset, ToyEncoder

class Photos(ToyDataset):
    """The toy as if its pictures were of people."""

    name = "photos"
    synthetic = False

@hookimpl
def register_datasets(register):
    register("photos", Photos, summary="squares", citation="dermcir tests")

@hookimpl
def register_encoders(register):
    register("colour-of-photos", ToyEncoder, summary="mean colours", citation="dermcir tests")
'''


class Page(HTMLParser):
    """The tags of a page, its title, and what it would load."""

    def __init__(self, text: str):
        super().__init__()
        self.text, self.tags, self.links, self.title, self._in = text, [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._in = tag
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data):
        self.title += data if self._in == "title" else ""

    def handle_endtag(self, tag):
        self._in = ""


def written(evaluations, folder: Path, *plugins: str, runs: Path | None = None) -> dict[str, str]:
    """Name -> text of the pages of evaluations."""
    around = Surroundings(load_registry(plugins), runs, folder / "cache")
    paths = write_pages(leaderboards(evaluations, "ours"), evaluations, folder, around)
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def assert_no_picture(text: str) -> None:
    assert not {"img", "image", "canvas", "picture", "video", "use"} & set(Page(text).tags)
    assert "data:image" not in text and "canvas" not in text.lower() and "img-src" not in text


# ------------------------------------------------------------------------------------------------ what it says


def test_a_page_holds_tables_cards_and_commands_of_its_data_set(tmp_path):
    (text,) = written(study(2), tmp_path).values()
    page = Page(text)
    assert page.title.startswith("Results: toy")
    assert {"main", "nav", "header", "footer", "caption", "svg"} <= set(page.tags)
    assert '<html lang="en">' in text
    assert text.count('class="card"') == 5  # ours, rival, image-only, text-only, oracle; chance has no card
    assert "nobody 2024" in text and "What is not known" in text and "two-level bootstrap interval" in text


def test_names_and_words_of_a_plugin_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    made = study(1, methods=(nasty, "rival"), row=nasty)
    (text,) = written([*made, *study(1)], tmp_path).values()
    assert nasty not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 3
    assert Page(text).tags.count("script") == 1


def test_it_loads_nothing(tmp_path, toy_page):
    for text in (*written(study(1), tmp_path).values(), toy_page.read_text()):
        assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in Page(text).links)
        assert "default-src 'none'" in text
        assert not re.search(r"https?:|url\(|@import|\bfetch\b|XMLHttpRequest|import\(", text)


def test_synthetic_data_is_called_synthetic_in_every_title(toy_page):
    text = toy_page.read_text()
    assert Page(text).title.startswith("Synthetic results: toy")
    for tag in ("h1", "h2", "caption"):
        titles = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", text, flags=re.DOTALL)
        about_methods = [title for title in titles if title.startswith("Methods and commands")]
        assert titles and all("ynthetic</strong>" in title for title in titles if title not in about_methods), tag
    assert "nothing here says how a method does on real ones" in text


def test_real_data_is_not_called_synthetic(tmp_path):
    (text,) = written(study(1), tmp_path).values()
    assert "<strong>Synthetic" not in text and "<strong>synthetic" not in text


def test_one_page_a_data_set_with_all_of_its_tables(tmp_path):
    evaluations = [*study(1), *study(1, protocol={"view": "clinical"})]
    ((name, text),) = written(evaluations, tmp_path).items()
    assert name == "toy.html"
    assert text.count('class="board"') == 2
    assert text.index("toy, case-search</h2>") < text.index("toy, case-search (view=clinical)</h2>")


def test_data_sets_of_like_names_have_pages_of_their_own(tmp_path):
    pages = [tmp_path / f"{safe_name(name)}.html" for name in ("folder:肺", "folder:皮", "folder:Über", "folder:ber")]
    assert len(set(pages)) == 4


def test_the_equation_is_the_first_indented_block_of_the_source(toy_page):
    assert stated("Title.\n\nLegend: x width.\n\n    y = a x\n    z = y\n\nAnd\n\n    other = 1") == (
        "y = a x\nz = y",
        "Legend: x width.",
    )
    assert stated("No equation.\n\nLegend: none.") == ("", "")
    text = toy_page.read_text()
    assert "out = a0 * sigmoid(gate(z)) * image + a1 * residual(z)" in text
    assert "s = (1 - a) cos(q_g, c_g) + a sum_i w_i cos(q_i, c_i)" in text


@pytest.mark.parametrize(
    ("text", "key"),
    [("38.4 ± 0.6 [35.1, 42.0]", "38.4"), ("−2.5", "-2.5"), ("+7.0", "7"), ("<0.001", "0.0005"), ("345k", "345000"),
     ("1.2M", "1200000"), ("3/5", "3"), ("–", "")],
)  # fmt: skip
def test_cells_sort_by_their_first_number(text, key):
    assert sort_key(text, left=False) == key


def test_rows_can_be_chosen_by_what_distinguishes_them():
    (board,) = leaderboards(study(1), "ours")
    kinds = choices(board)["kind"]
    assert sorted(kinds) == ["chance", "image", "image+text", "reads labels", "text"] and kinds[-1] == "chance"
    assert list(choices(board)) == ["kind"]  # one encoder: nothing to choose
    other = {"name": "other", "image_fingerprint": "i", "text_fingerprint": "t"}
    (board,) = leaderboards([*study(1), *study(1, methods=("ours",), encoder=other)], "ours")
    assert sorted(choices(board)["encoder"]) == ["other", "packaged"]


# ------------------------------------------------------------------------------------------------ commands


def test_the_command_of_a_row_finds_the_row_stored(toy_page, benchmark: Command):
    runs = toy_page.parents[2]
    commands = re.findall(r'<pre class="command"[^>]*>(.*?)</pre>', toy_page.read_text(), flags=re.DOTALL)
    assert len(commands) == 8  # proposed, tirg, five controls, oracle-text
    (tirg,) = [text for text in commands if "--methods tirg" in text]
    words = shlex.split(unescape(tirg).replace("\\\n", ""))
    assert words[:3] == ["python", "-m", "benchmark"]
    done = benchmark(*words[3:], "--runs", str(runs), "--cache", str(runs.parent / "cache"), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert '"stored": 2' in done.stdout and '"would_run": []' in done.stdout


def test_a_command_names_all_that_differs_from_the_defaults():
    made = record(
        "tirg", 1, dataset={"name": "synthetic [seed=3]", "fingerprint": "f", "synthetic": True, "citation": "c"},
        protocol={"text_style": "partial:3", "gallery": "archive"}, training={"epochs": 5},
        environment={"device": "cuda (NVIDIA H100)", "threads": "4"},
    )  # fmt: skip
    changed = made.method.model_copy(update={"options": {"width": 64, "scorer": {"name": "cosine"}}})
    text = command([made.model_copy(update={"method": changed})], load_registry(), "ours")
    assert text.replace(" \\\n ", "") == (
        "python -m benchmark run --dataset synthetic --methods tirg --encoder packaged --seeds 1 --gallery archive "
        "--text-style partial:3 --device cuda --threads 4 --set synthetic.seed=3 --set training.epochs=5 "
        "--set tirg.width=64 --no-controls"
    )


def test_a_label_splits_into_name_and_settings():
    assert split_label("packaged") == ("packaged", {})
    assert split_label("timm:resnet50 [height=256, levels=[2, 3]]") == (
        "timm:resnet50",
        {"height": "256", "levels": "[2, 3]"},
    )
    assert label_assignments("timm:resnet50 [height=256]") == ["timm.height=256"]


# ------------------------------------------------------------------------------------------------ pictures


def test_drawn_data_shows_queries_results_and_masks(toy_page):
    text = toy_page.read_text()
    assert text.count('class="query"') == 10 or text.count('class="query"') == 12  # 3 groups, 4 each
    assert "✓ hit, gain" in text and "✗ miss" in text
    assert "Where proposed [width=16] looks" in text and 'data-mask="1"' in text
    assert len(text) < 6_000_000


def test_pictures_of_people_are_never_on_a_page(tmp_path):
    plugin, runs = tmp_path / "photos.py", tmp_path / "runs"
    plugin.write_text(PHOTOS)
    words = ["run", "--plugin", str(plugin), "--dataset", "photos", "--encoder", "colour-of-photos", "--seeds", "0"]
    words += ["--methods", "proposed,tirg", *FAST, *NARROW, "--no-controls", "--jobs", "1", "--runs", str(runs)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (text,) = written(from_runs(runs), tmp_path / "pages", str(plugin), runs=runs).values()
    assert_no_picture(text)
    assert "No picture of a data set that is not synthetic" in text


def test_the_page_of_derm7pt_has_no_picture_though_pictures_and_weights_are_there(tmp_path, monkeypatch):
    root, runs = write_fake(tmp_path / "release"), tmp_path / "runs"
    monkeypatch.setenv("DERM7PT_ROOT", str(root))
    # One case a group on test: the archive holds the other two of each.
    pair_in_valid(root)
    words = ["run", "--plugin", str(TOY), "--dataset", "derm7pt", "--encoder", "mean-colour", "--gallery", "archive"]
    words += ["--methods", "proposed,tirg", "--seeds", "0", *FAST, *NARROW, "--no-controls", "--jobs", "1"]
    for arguments in ([*words, "--runs", str(runs)], ["report", "--html", "--plugin", str(TOY), "--runs", str(runs)]):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
    assert list(runs.glob("trainings/proposed*/weights.safetensors"))
    text = (runs / "report" / "html" / "derm7pt.html").read_text(encoding="utf-8")
    assert Page(text).title.startswith("Results: derm7pt") and "Kawahara" in text
    assert_no_picture(text)
    assert not any(name.name in text for name in (root / "images").rglob("*.*"))
    assert "set <code>DERM7PT_ROOT</code> to its folder" in text and str(root) not in text


def test_a_record_that_claims_to_be_synthetic_is_not_believed(tmp_path):
    (tmp_path / "photos.py").write_text(PHOTOS)
    around = Surroundings(load_registry((str(tmp_path / "photos.py"),)), None, tmp_path)
    claim = {"name": "photos", "fingerprint": "toy-1", "synthetic": True, "citation": "c"}
    with pytest.raises(UserError, match="not synthetic, whatever its records say"):
        drawn_dataset(record(dataset=claim), around)


def test_the_published_pages_have_no_picture_of_real_data(tmp_path):
    evaluations = from_published(ROOT / "results")
    real = [one for one in evaluations if not one.record.dataset.synthetic]
    pages = written(real, tmp_path)
    assert pages
    for text in pages.values():
        assert_no_picture(text)


def test_without_weights_the_masks_are_left_out_and_the_page_says_how_to_get_them(tmp_path, toy_page):
    runs = tmp_path / "runs"
    shutil.copytree(toy_page.parents[2], runs)
    shutil.rmtree(runs / "trainings")
    (text,) = written(from_runs(runs), tmp_path / "pages", str(TOY), runs=runs).values()
    assert "Attention masks of proposed [width=16] are left out: its weights are not in the runs folder" in text
    assert text.count("are left out") == 1  # tirg has no masks, so nothing of it is left out
    assert "Where proposed" not in text and 'class="query"' in text


def test_each_row_is_looked_at_through_its_own_encoder(monkeypatch):
    class Looked:
        def __init__(self, around, record):
            self.encoder = record.encoder.name

        def look(self, name, record, cases):
            seen.append((name, record.encoder.name, self.encoder))

    seen: list[tuple[str, str, str]] = []
    monkeypatch.setattr(browser, "Looker", Looked)
    made = [
        one(encoder=EncoderInfo(name=name, image_fingerprint=name, text_fingerprint="t")) for name in ("grid", "eye")
    ]
    masked = made[0].record.method.model_copy(update={"scorer": "global-local"})
    made = [each._replace(record=each.record.model_copy(update={"method": masked})) for each in made]
    (board,) = leaderboards(made, "ours")
    rows = rows_of(board, made)
    assert browser._attention(board, rows, [], {}, Surroundings(load_registry())) == ([], [])
    assert sorted(seen) == [("ours, eye", "eye", "eye"), ("ours, grid", "grid", "grid")]


def test_pictures_that_are_drawn_otherwise_now_are_left_out(tmp_path):
    changed = {"name": "toy", "fingerprint": "an older painter", "synthetic": True, "citation": "c"}
    (text,) = written(study(1, dataset=changed), tmp_path, str(TOY)).values()
    assert "The program that draws the pictures has changed since the runs" in text
    assert_no_picture(text)


def test_a_page_whose_plugin_is_not_loaded_says_how_to_load_it(tmp_path):
    (text,) = written(
        study(1, dataset={"name": "toy", "fingerprint": "f", "synthetic": True, "citation": "c"}), tmp_path
    ).values()
    assert "The plugin of toy is not loaded: add --plugin with its file or module." in text


def test_the_command_of_a_users_own_folder_names_the_folder_once():
    one_folder = record(dataset={"name": "folder:rings", "fingerprint": "f", "synthetic": False, "citation": "c"})
    registry = load_registry()
    assert "--dataset folder:FOLDER" in command([one_folder], registry, "ours")
    assert notes(one_folder, registry)[-2:-1] == ["FOLDER is where folder:rings lies on your machine."]
    assert not [sentence for sentence in notes(one_folder, registry) if "DERMCIR_FOLDER" in sentence]


def test_the_command_of_two_folders_names_both():
    cases = {"name": "folder:rings", "fingerprint": "f", "synthetic": False, "citation": "c"}
    two = record(dataset=cases, protocol={"trained_on": "folder:school"})
    registry = load_registry()
    written = command([two], registry, "ours")
    assert "--train folder:TRAINING_FOLDER" in written and "--test folder:FOLDER" in written
    told = notes(two, registry)
    assert "FOLDER is where folder:rings lies on your machine." in told
    assert "TRAINING_FOLDER is where folder:school lies on your machine." in told
    with pytest.raises(UserError, match="where these folders lie is not stored"):
        Looker(Surroundings(registry), two).session()


def test_queries_are_spread_over_groups():
    assert spread_over_groups([0] * 6 + [1] * 2 + [2], 6) == [0, 3, 6, 7, 8]


def test_attention_is_an_area_density_over_the_finest_grid():
    # Two levels, 1 x 2 and 1 x 1: a quarter left, a quarter right, half everywhere. Density: left 0.25 * 2 + 0.5 * 1.
    even = upsampled(np.array([[0.25, 0.25, 0.5]]), [(1, 2), (1, 1)])
    np.testing.assert_allclose(even, [[[1.0, 1.0]]])
    # What follows belongs to another view of the case.
    np.testing.assert_allclose(upsampled(np.array([[0.2, 0.2, 0.4, 0.2]]), [(1, 2), (1, 1)]), even)
    # All of the fine level on the left: 0.5 * 2 + 0.5 = 1.5 against 0.5 on the right.
    left = upsampled(np.array([[0.5, 0.0, 0.5]]), [(1, 2), (1, 1)])
    np.testing.assert_allclose(left, [[[1.0, 1 / 3]]])


def test_flags_that_do_not_go_together_are_refused():
    for flags in (("--out", "pages"), ("--html", "--publish")):
        done = CliRunner().invoke(app, ["report", *flags])
        assert isinstance(done.exception, UserError) and "--out goes with --html" in str(done.exception)
