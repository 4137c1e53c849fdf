from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.config import RunConfig
from benchmark.errors import UserError
from benchmark.interfaces import Case
from benchmark.registry import load_registry
from benchmark.session import Session
from tests.conftest import TOY


def session(cache: Path, view: str) -> Session:
    config = RunConfig(dataset="toy", encoder="mean-colour", view=view, cache=cache, plugins=(str(TOY),))  # type: ignore[call-arg]
    return Session(config, load_registry(config.plugins))


def test_both_views_bring_the_levels_of_each_and_one_long_pooled_vector(tmp_path: Path) -> None:
    one, two, both = (session(tmp_path, view) for view in ("dermoscopic", "clinical", "both"))
    features = [made.sight(0, 0).gallery().images for made in (one, two, both)]
    assert both.spec.image_width == 2 * one.spec.image_width == features[2].pooled.shape[1]
    assert both.spec.level_widths == one.spec.level_widths + two.spec.level_widths
    assert both.spec.grids == features[2].grids
    assert torch.equal(features[2].pooled, torch.cat([features[0].pooled, features[1].pooled], dim=1))
    expected = (*features[0].levels, *features[1].levels)
    assert all(torch.equal(a, b) for a, b in zip(features[2].levels, expected, strict=True))


def test_a_case_without_the_second_picture_is_named(tmp_path: Path) -> None:
    made = session(tmp_path, "both")
    alone = Case("alone", {"dermoscopic": tmp_path / "x.png"}, "red", {"border": "thin", "spot": "none"})
    made._whole_trials = tuple(replace(trial, train=(alone,)) for trial in made._whole_trials)
    with pytest.raises(UserError, match="Case alone of toy has no clinical image"):
        made.warm()


def test_a_gallery_and_queries_carry_no_labels(tmp_path: Path) -> None:
    made = session(tmp_path, "dermoscopic")
    assert set(vars(made.sight(0, 0).gallery())) == {"ids", "images"}
    assert set(vars(made.sight(0, 0).queries())) == {"ids", "images", "texts"}
