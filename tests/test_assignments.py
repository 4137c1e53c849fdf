"""What ``--set`` is told is what it reads."""

from __future__ import annotations

import pytest

from benchmark.assignments import parse_assignments, write_assignments


@pytest.mark.parametrize(
    "value",
    [
        3,
        0.5,
        1e-05,
        True,
        [1, 2],
        ["a", "b c"],
        "plain",
        "true",
        "nan",
        "1.5",
        "",
        "two words",
        'a "quote"',
        "Müller",
        "🙂 yes",
    ],
)
def test_a_value_that_is_written_is_read_as_it_was(value: object) -> None:
    settings = {"tirg": {"scorer": {"a": value}, "width": 16}}
    assert parse_assignments(tuple(write_assignments(settings))) == settings


def test_none_has_no_word_and_is_left_out() -> None:
    assert list(write_assignments({"tirg": {"width": None, "depth": 2}})) == ["tirg.depth=2"]
