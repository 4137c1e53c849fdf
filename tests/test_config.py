from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.config import SWITCHES, RunConfig, build_config, parse_seeds, read_switches
from benchmark.errors import UserError


@pytest.mark.parametrize(
    ("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("3", (3,)), ("0,2,5", (0, 2, 5)), ("0-1,1-2", (0, 1, 2))]
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-0", "1;2", "-1"])
def test_seeds_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="seed"):
        parse_seeds(text)


def test_flags_win_over_set_and_set_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        'methods = ["tirg"]\nseeds = "0-4"\n[training]\nepochs = 7\npatience = 3\n[options.tirg]\nwidth = 64\n'
    )
    config = build_config({"seeds": "1", "dataset": None}, file, ("training.epochs=9", "tirg.gate_weight=0.5"))
    assert config.methods == ("tirg",)
    assert config.seeds == (1,)
    assert (config.training.epochs, config.training.patience) == (9, 3)
    assert config.options == {"tirg": {"width": 64, "gate_weight": 0.5}}


def test_set_reaches_nested_options_and_plain_words() -> None:
    config = build_config({}, None, ("proposed.scorer.a=0.7", "proposed.scorer.weights=uniform"))
    assert config.options == {"proposed": {"scorer": {"a": 0.7, "weights": "uniform"}}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("metods = 'tirg'", ["unknown option 'metods'", "Did you mean methods"]),
        ("[training]\nepoch = 3", ["unknown option 'training.epoch'", "epochs"]),
        ("[training]\nepochs = 0", ["training.epochs", "greater than or equal to 1"]),
        ("text_style = 'rude'", ["text_style", "partial:K"]),
        ("seeds = 'x'", ["no list of seeds"]),
        ("methods = ", ["not valid TOML"]),
        ("seeds = [0, 0]", ["distinct whole numbers"]),
        ("seeds = []", ["at least one"]),
    ],
)
def test_a_bad_file_is_named_with_the_key(tmp_path: Path, content: str, words: list[str]) -> None:
    file = tmp_path / "run.toml"
    file.write_text(content)
    with pytest.raises(UserError) as error:
        build_config({}, file)
    assert str(file) in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.toml"):
        build_config({}, tmp_path / "no.toml")


@pytest.mark.parametrize("assignment", ["tirg", "tirg=3", "tirg.width", ".width=3"])
def test_an_assignment_without_name_or_value(assignment: str) -> None:
    with pytest.raises(UserError, match=r"COMPONENT\.OPTION=VALUE"):
        build_config({}, None, (assignment,))


def test_a_file_can_say_everything_that_a_flag_can(tmp_path: Path) -> None:
    """Every flag of ``run`` is a key of the file; ``--set`` is the tables, ``--config`` the file itself."""
    flags = set(inspect.signature(cli.run).parameters) - {"options", "config", "plugin"}
    assert flags <= {*RunConfig.model_fields, *SWITCHES}
    assert {"options", "training", "plugins"} <= set(RunConfig.model_fields)
    file = tmp_path / "run.toml"
    file.write_text("quiet = true\njson = true\nseeds = '0-1'\n")
    assert build_config({}, file).seeds == (0, 1)
    assert (read_switches(file).quiet, read_switches(file).json_output, read_switches(file).dry_run) == (
        True,
        True,
        False,
    )
    file.write_text("quiet = 'loud'\n")
    with pytest.raises(UserError, match="quiet = 'loud'"):
        read_switches(file)


def test_a_table_that_is_a_number_is_not_dropped_silently(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("training = 3\n")
    with pytest.raises(UserError, match="training must be a table, not 3"):
        build_config({}, file, ("training.epochs=2",))


def test_the_home_folder_is_understood_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "r.toml"
    path.write_text('runs = "~/runs"')
    assert build_config({}, path).runs == tmp_path / "runs"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('encoder = "x"', encoding="utf-8-sig")
    assert build_config({}, path).encoder == "x"
