"""``python -m benchmark new``: what it writes runs at once, and what it refuses."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark import interfaces
from benchmark.errors import UserError
from benchmark.new import KINDS, Plan, importable, new, read_template
from benchmark.registry import load_registry
from tests.conftest import FAST, ROOT, TOY, Command

SHORT = (*FAST, "--no-controls", "--seeds", "0", "--jobs", "1", "--quiet", "--plugin", str(TOY))
SMALL = ("--methods", "late-fusion", "--set", "late-fusion.width=16")
TOY_DATA, TOY_ENCODER = ("--dataset", "toy"), ("--encoder", "mean-colour")
RUNS = {
    "method": (*TOY_DATA, *TOY_ENCODER, "--methods", "my-own", "--set", "my-own.width=16"),
    "scorer": (*TOY_DATA, *TOY_ENCODER, *SMALL, "--set", "late-fusion.scorer.name=my-own"),
    "dataset": ("--dataset", "my-own", *TOY_ENCODER, *SMALL, "--set", "my-own.train=24"),
    "encoder": (*TOY_DATA, "--encoder", "my-own", *SMALL, "--set", "my-own.model=test_vit"),
}
SHOWN = {
    "method": "my-own [width=16]",
    "scorer": "scorer=my-own, scorer.blocks=2",
    "dataset": "my-own [train=24]",
    "encoder": "my-own [model=test_vit]",
}
SET_SCORER = "late-fusion.scorer"


@pytest.mark.parametrize("kind", RUNS)
def test_what_it_writes_runs_and_scores_with_its_options(kind: str, tmp_path: Path, benchmark: Command) -> None:
    written = benchmark("new", kind, "my-own")
    assert written.returncode == 0, written.stderr
    assert "python -m benchmark run --plugin my_own.py" in written.stdout
    assert written.stdout.splitlines()[-1].strip() == "python -m benchmark check my_own.py"
    option = SET_SCORER if kind == "scorer" else "my-own"
    choice = (*SHORT, "--plugin", "my_own.py", *RUNS[kind])
    refused = benchmark("run", *choice, "--set", f"{option}.wdith=4")
    assert refused.returncode == 2
    assert "wdith" in refused.stderr and "Traceback" not in refused.stderr
    done = benchmark("run", *choice, *(("--set", f"{option}.blocks=2") if kind == "scorer" else ()))
    assert done.returncode == 0, done.stderr
    assert SHOWN[kind] in done.stdout + done.stderr
    assert len((tmp_path / "my_own.py").read_text().splitlines()) <= 75


def test_an_edited_encoder_is_another_one(tmp_path: Path, benchmark: Command) -> None:
    assert benchmark("new", "encoder", "mine").returncode == 0
    found = []
    for path, end in ((tmp_path / "mine.py", ""), (tmp_path / "edited.py", ".relu()")):
        path.write_text((tmp_path / "mine.py").read_text().replace("pre_logits=True)", f"pre_logits=True){end}"))
        module = runpy.run_path(str(path))
        found.append(module["Mine"]("mine", module["Settings"](model="test_vit")).image_fingerprint)
    assert found[0] != found[1], "or features of before the edit would be taken from the cache"


def test_an_encoder_refuses_a_model_that_is_not_there(benchmark: Command) -> None:
    assert benchmark("new", "encoder", "mine").returncode == 0
    choice = (*TOY_DATA, *SMALL, "--encoder", "mine", "--set", "mine.model=resnet19")
    for command in (
        ("run", *SHORT, "--plugin", "mine.py", *choice),
        ("check", "mine.py", "--set", "mine.model=resnet19"),
    ):
        done = benchmark(*command)
        assert "timm has no model 'resnet19'" in done.stdout + done.stderr
        assert "defect" not in done.stderr and done.returncode == (2 if command[0] == "run" else 1)


def test_a_method_of_full_control_runs_too(benchmark: Command) -> None:
    assert benchmark("new", "method", "mine", "--full", "--folder", "deep/er").returncode == 0
    choice = (*TOY_DATA, *TOY_ENCODER, "--methods", "mine", "--set", "mine.width=16")
    done = benchmark("run", *SHORT, "--plugin", "deep/er/mine.py", *choice)
    assert done.returncode == 0, done.stderr
    assert "mine [width=16]" in done.stdout


def test_a_first_method_is_a_composer_of_less_than_thirty_lines() -> None:
    assert read_template("method", False) == read_template("composer", False)
    assert len([line for line in code("method", "my_method").splitlines() if line]) < 30


def code(kind: str, name: str, full: bool = False) -> str:
    return Plan(kind, name, read_template(kind, full)).code()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["case", "composer", "settings", "field", "f", "none", "torch-like", "x2"])
def test_a_class_is_never_called_like_something_that_its_file_uses(kind: str, name: str) -> None:
    written = compile(code(kind, name, kind == "method"), f"{name}.py", "exec")
    names: dict[str, object] = {"__name__": "written", "__file__": str(TOY)}
    exec(written, names)
    registered: list[tuple[object, ...]] = []
    hook = next(value for key, value in names.items() if key.startswith("register_"))
    hook(lambda *given, **about: registered.append((*given, about["options"])))  # type: ignore[operator]
    ((registered_name, component, options),) = registered
    base = "Composer" if kind == "composer" else kind.capitalize()
    assert registered_name == name
    assert issubclass(component, getattr(interfaces, base)) and component is not getattr(interfaces, base)  # type: ignore[arg-type]
    assert options is names["Settings"] is not component


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("metod", "x", "nothing to write for 'metod'. Did you mean method"),
        ("method", "2nd", "'2nd' is no name"),
        ("method", "my method", "'my method' is no name"),
        ("method", "lambda", "'lambda' means something else"),
        ("scorer", "training", "'training' means something else to Python or to --set"),
        ("method", "tirg", "composer 'tirg' is registered by plugin baselines.registration"),
        ("dataset", "cosine", "scorer 'cosine' is registered"),
        ("method", "torch", "Python already has a module 'torch', which torch.py would hide"),
        ("method", "json", "Python already has a module 'json'"),
    ],
)
def test_names_that_would_not_work_are_refused(kind: str, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        new(kind, name, folder=tmp_path)
    assert words in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--help"], ["method", "mine"]])
def test_writing_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom benchmark.cli import app\napp(['new', *sys.argv[1:]], standalone_mode=False)\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_full_goes_with_a_method_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a scorer has one template only"):
        new("scorer", "mine", full=True, folder=tmp_path)


def test_nothing_is_overwritten(tmp_path: Path, benchmark: Command) -> None:
    (tmp_path / "mine.py").write_text("precious")
    done = benchmark("new", "method", "mine")
    assert done.returncode == 2
    assert done.stderr.startswith("mine.py exists and is not overwritten.")
    assert (tmp_path / "mine.py").read_text() == "precious"
    (tmp_path / "my-pack").mkdir()
    with pytest.raises(UserError, match="my-pack exists and is not overwritten"):
        new("method", "my-pack", package=True, folder=tmp_path)
    with pytest.raises(UserError, match=r"mine\.py is no folder"):
        new("method", "other", folder=tmp_path / "mine.py")


def test_a_file_of_the_current_folder_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mine_here.py").touch()
    assert not importable("mine_here")
    assert importable("safetensors") and importable("zipfile")


@pytest.mark.parametrize(("kind", "full"), [*((kind, False) for kind in KINDS), ("method", True)])
def test_a_package_is_found_by_its_entry_point(
    kind: str, full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"my_packed{'_full' * full}-{kind}"
    new(kind, name, full=full, package=True, folder=tmp_path)
    root = tmp_path / f"my-packed{'-full' * full}-{kind}"
    said = capsys.readouterr().out
    assert said.startswith(f"Wrote {root}. Try next:\n  cd ") and "pip install --editable '.[test]'" in said
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    assert settings["project"]["name"] == root.name
    ((entry, module),) = settings["project"]["entry-points"]["dermcir"].items()
    install(tmp_path / "site", settings["project"]["name"], f"[dermcir]\n{entry} = {module}\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.syspath_prepend(str(root / "src"))
    registry = load_registry()
    kind = "composer" if kind == "method" and not full else kind
    component = registry.find(f"{kind}s", name)
    assert component.owner == root.name
    assert component.load().__module__ == module
    (test,) = (root / "tests").iterdir()
    conforms = runpy.run_path(str(test))["test_conformance"]
    for check in conforms.pytestmark[0].args[1]:
        conforms(check)


def install(folder: Path, project: str, entry_points: str) -> None:
    """What pip writes for an editable install, beside the path."""
    info = folder / f"{project.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
