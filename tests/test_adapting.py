from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from benchmark.adapting import TaughtEncoder, deal
from benchmark.config import RunConfig
from benchmark.errors import PluginError
from benchmark.registry import load_registry
from benchmark.session import Session
from benchmark.teaching import teach_all
from tests.conftest import TOY, Command

ADAPTIVE = Path(__file__).with_name("toy_adaptive.py")


def session(cache: Path, **settings: object) -> Session:
    plugins = (str(TOY), str(ADAPTIVE))
    config = RunConfig(dataset="toy", encoder="nearest-colour", cache=cache, plugins=plugins, **settings)  # type: ignore[arg-type]
    return Session(config, load_registry(plugins))


def test_a_worker_that_dies_while_it_teaches_gets_a_sentence(tmp_path: Path, benchmark: Command) -> None:
    deadly = ADAPTIVE.read_text().replace(
        "        colours = lesson", "        import os; os._exit(9)\n        colours = lesson"
    )
    (tmp_path / "deadly.py").write_text(deadly)
    run = ("run", "--plugin", str(TOY), "--plugin", "deadly.py", "--dataset", "toy", "--encoder", "nearest-colour")
    done = benchmark(*run, "--methods", "late-fusion", "--no-controls", "--seeds", "0", "--jobs", "2", "--quiet")
    assert done.returncode in (1, 2)
    assert "The encoder's teaching was not finished, because a worker process died" in " ".join(done.stderr.split())
    assert "defect" not in done.stderr


def test_every_group_is_dealt_out_evenly() -> None:
    groups = torch.tensor([0] * 6 + [1] * 4 + [2] * 2)
    part = deal(groups, 3, seed=0)
    counts = [torch.bincount(part[groups == group], minlength=3).tolist() for group in range(3)]
    assert counts[0] == [2, 2, 2]
    assert sorted(counts[1]) == [1, 1, 2]
    assert sorted(counts[2]) == [0, 1, 1]
    assert torch.bincount(part).tolist() == [4, 4, 4]
    assert not torch.equal(part, deal(groups, 3, seed=1))


def test_a_training_case_is_shown_by_the_expert_that_never_saw_it_and_others_by_the_mean(tmp_path: Path) -> None:
    made = session(tmp_path)
    trial, adaptation = made.trials[0], made.vision.adaptations(0, seed=0)[0]
    experts = [made.encoder.experts([adaptation.teach(part)]) for part in range(3)]  # type: ignore[attr-defined]
    labelled = made.sight(0, seed=0).labelled(trial.train)
    for row, case in enumerate(trial.train[:6]):
        alone = [_pooled(expert, case.images["dermoscopic"]) for expert in experts]
        assert torch.allclose(labelled.images.pooled[row].float(), alone[int(adaptation.part[row])], atol=2e-3)
    gallery = made.sight(0, seed=0).gallery()
    alone = [_pooled(expert, trial.gallery[0].images["dermoscopic"]) for expert in experts]
    assert torch.allclose(gallery.images.pooled[0].float(), torch.stack(alone).mean(0), atol=5e-3)
    assert len({tuple(one.tolist()) for one in alone}) == 3, "experts of other lessons see otherwise"


def test_experts_of_another_seed_have_another_fingerprint(tmp_path: Path) -> None:
    made = session(tmp_path)
    seen = []
    for seed in (0, 1):
        adaptation = made.vision.adaptations(0, seed=seed)[0]
        experts = [adaptation.teach(part) for part in range(3)]
        seen += [TaughtEncoder(made.encoder, experts).image_fingerprint]  # type: ignore[arg-type]
        seen += [made.encoder.experts(experts).image_fingerprint]  # type: ignore[attr-defined]
    assert len(set(seen)) == 4, "nor do the mean and the experts side by side, whose widths differ, share a cache"


def test_an_expert_learns_from_all_parts_but_its_own(tmp_path: Path) -> None:
    made = session(tmp_path)
    trial, adaptation = made.trials[0], made.vision.adaptations(0, seed=0)[0]
    lesson = adaptation.studied().pooled.float()
    rows = adaptation.part != 1
    expected = [lesson[rows & (adaptation.groups == group)].mean(0) for group in range(3)]
    assert torch.allclose(adaptation.teach(1)["centres"], torch.stack(expected), atol=1e-6)
    assert len(lesson) == len(trial.train)


def test_what_experts_learn_from_is_read_only_where_one_is_to_be_taught(tmp_path: Path) -> None:
    made, encoded = session(tmp_path, seeds=(0, 1)), []
    for seed in (0, 1):
        for part in range(made.encoder.parts):
            assert not made.vision.adaptations(0, seed)[0].taught
            made.vision.adaptations(0, seed)[0].teach(part)
    shutil.rmtree(tmp_path / "features")
    made.vision.prepare(encoded.append)
    assert encoded == [] and not (tmp_path / "features").exists()
    next((tmp_path / "experts").iterdir()).unlink()
    made.vision.prepare(encoded.append)
    assert encoded


def test_teaching_all_again_reads_no_picture_features_that_are_there(tmp_path: Path) -> None:
    made = session(tmp_path, seeds=(0,))
    steps: list[int] = []

    def teach() -> None:
        teach_all(made.config, [(0, 0)], views=1, parts=3, progress=lambda: steps.append(1))

    teach()
    shards = {path: path.read_bytes() for path in (tmp_path / "features").iterdir()}
    assert made.vision.adaptations(0, 0)[0].shown(made.paths()[0])
    # Whoever read one of these would notice the damage and write the file anew.
    for path, content in shards.items():
        path.write_bytes(content[:-9] + b"elsewhere")
    damaged = {path: path.read_bytes() for path in shards}
    teach()
    assert {path: path.read_bytes() for path in shards} == damaged
    assert len(steps) == 8, "three experts and what they show, twice"
    next(iter(shards)).unlink()
    next((tmp_path / "experts").iterdir()).unlink()
    assert not made.vision.adaptations(0, 0)[0].shown(made.paths()[0])


def test_a_damaged_expert_is_taught_again(tmp_path: Path) -> None:
    made = session(tmp_path)
    first = made.vision.adaptations(0, seed=0)[0].teach(0)
    (path,) = (tmp_path / "experts").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-9] + b"somewhere")
    with pytest.warns(UserWarning, match="taught again"):
        again = made.vision.adaptations(0, seed=0)[0].teach(0)
    assert torch.equal(first["centres"], again["centres"])


def test_seeds_and_folds_are_taught_apart_and_two_views_each_for_itself(tmp_path: Path) -> None:
    made = session(tmp_path, evaluate="cv", view="both")
    keys = {
        (fold, seed, view): made.vision.adaptations(fold, seed)[view]._key(0)
        for fold in (0, 1)
        for seed in (0, 1)
        for view in (0, 1)
    }
    assert len(set(keys.values())) == 8
    assert made.spec.image_width == 6


def test_an_adaptive_encoder_refuses_to_encode_untaught(tmp_path: Path) -> None:
    made = session(tmp_path)
    with pytest.raises(PluginError, match="before it is taught"):
        made.encoder.encode_images(torch.zeros(1, 3, 32, 32))


def test_a_run_teaches_each_seed_once_and_resumes(benchmark, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = [
        *("run", "--plugin", str(TOY), "--plugin", str(ADAPTIVE), "--dataset", "toy", "--encoder", "nearest-colour"),
        *("--methods", "tirg,late-fusion", "--no-controls", "--seeds", "0-1", "--set", "training.epochs=2"),
        *("--runs", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache"), "--json"),
    ]
    first = benchmark(*command)
    assert first.returncode == 0, first.stderr
    assert len(list((tmp_path / "cache" / "experts").iterdir())) == 6
    taught = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "experts").iterdir()}
    plan = benchmark(*command, "--dry-run")
    assert json.loads(plan.stdout)["would_run"] == []
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "experts").iterdir()} == taught


def test_an_audit_needs_a_fixed_encoder(benchmark, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plugins = ("--plugin", str(TOY), "--plugin", str(ADAPTIVE))
    done = benchmark("data", "audit", "toy", *plugins, "--encoder", "nearest-colour", "--out", str(tmp_path / "audit"))
    assert done.returncode == 2
    assert "nearest-colour is taught anew for every seed; name a fixed one" in done.stderr


def _pooled(encoder, path: Path) -> torch.Tensor:  # type: ignore[no-untyped-def]
    from benchmark.features import open_image

    return encoder.encode_images(encoder.preprocess(open_image(path))[None]).pooled[0]
