from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmark.config import RunConfig
from benchmark.errors import PluginError, UserError
from benchmark.finetuning import GUEST, SHARE, FinetunedMethod, departing
from benchmark.interfaces import FitContext, ImageFeatures, Method
from benchmark.live import LiveImages, Pictures
from benchmark.registry import load_registry
from benchmark.runner import Runner
from benchmark.session import Session
from benchmark.units import Result, Work, execute
from tests.conftest import TOY
from tests.test_adapting import ADAPTIVE

TRAINABLE = Path(__file__).with_name("toy_trainable.py")
PLUGINS = tuple(map(str, (TOY, ADAPTIVE, TRAINABLE)))
QUICK = {"epochs": 2, "batch_size": 24}


def config(cache: Path, **settings: object) -> RunConfig:
    chosen = {"dataset": "toy", "encoder": "trainable-colour", "finetune": True, "training": QUICK, **settings}
    return RunConfig(cache=cache, runs=cache / "runs", plugins=PLUGINS, **chosen)  # type: ignore[arg-type]


def session(cache: Path, **settings: object) -> Session:
    return Session(config(cache, **settings), load_registry(PLUGINS))


def trained(cache: Path, method: str, *, weights: bytes | None = None, **settings: object) -> Result:
    result = execute(Work(config(cache, **settings), method, 0, 0, weights))
    assert result.error is None, result.trace
    return result


class Double(nn.Module):
    """Doubles its input, level (b, 1, 1), and counts the pictures that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.shown = nn.Parameter(torch.tensor([2.0])), 0

    def forward(self, levels: tuple[Tensor, ...]) -> ImageFeatures:
        self.shown += len(levels[0])
        made = levels[0] * self.factor
        return ImageFeatures((made,), ((1, 1),), made[:, 0])


def numbers(*values: list[float]) -> ImageFeatures:
    """One picture a list; each number is one version of it."""
    level = torch.tensor(values)[..., None]
    return ImageFeatures((level,), ((level.shape[1], 1),), level[:, 0])


# ------------------------------------------------------------------------------------------------ live features


def test_pictures_pass_the_network_once_between_two_steps() -> None:
    network = Double().eval()
    images = LiveImages(Pictures(network, numbers([1.0], [2.0], [3.0]), ((1, 1),)))
    assert images[torch.tensor([2, 0, 2])].pooled.flatten().tolist() == [6, 2, 6]
    assert images[1:].to("cpu").levels[0].flatten().tolist() == [4, 6]
    assert network.shown == 3
    with torch.no_grad():
        network.factor.mul_(2)
        assert images.pooled.flatten().tolist() == [4, 8, 12]
    assert network.shown == 6
    assert len(images[1:]) == 2


def test_training_shows_augmented_versions_drawn_anew_after_each_step_and_everything_else_the_picture() -> None:
    network = Double().train()
    augmented = numbers([10.0, 20.0], [30.0, 40.0])
    images = LiveImages(Pictures(network, numbers([1.0], [2.0]), ((1, 1),), augmented=augmented, seed=0))
    seen = set()
    for _ in range(20):
        one, two = images.pooled.flatten().tolist()
        seen.add((one, two))
        assert images.levels[0].flatten().tolist() == [one, two], "one draw a step"
        with torch.no_grad():
            network.factor.mul_(1.0)  # a step
    assert seen == {(20, 60), (20, 80), (40, 60), (40, 80)}
    network.eval()
    assert images.pooled.flatten().tolist() == [2, 4]


def test_several_views_of_a_case_pass_one_network_and_lie_side_by_side() -> None:
    two = numbers([1.0], [2.0])
    both = ImageFeatures((two.levels[0], two.levels[0] * 10), ((1, 1),) * 2, torch.zeros(2, 2))
    images = LiveImages(Pictures(Double().eval(), both, ((1, 1),) * 2, views=2))
    assert images.pooled.tolist() == [[2, 20], [4, 40]]
    assert [level.flatten().tolist() for level in images.levels] == [[2, 4], [20, 40]]


def test_a_network_learns_its_departure_and_decay_pulls_it_to_the_published_weights() -> None:
    network = departing(nn.Linear(2, 1, bias=False))
    published = network.weight.detach().clone()
    (learnt,) = network.parameters()
    assert learnt.abs().max() == 0
    with torch.no_grad():
        learnt.fill_(1.0)
    assert torch.allclose(network.weight, published + SHARE)
    assert list(network.state_dict()) == ["parametrizations.weight.original"]


# ------------------------------------------------------------------------------------------------ training


@pytest.mark.parametrize(("method", "layers"), [("proposed", {"colour", "whole"}), ("posterior", {"whole"})])
def test_the_network_moves_is_stored_and_ranks_the_same_when_loaded(
    method: str, layers: set[str], tmp_path: Path
) -> None:
    from safetensors.torch import load

    first = trained(tmp_path, method)
    departures = {name: value for name, value in load(first.weights).items() if name.startswith(GUEST)}
    assert len(departures) == 4
    moved = {name.split(".")[1] for name, value in departures.items() if value.abs().max() > 1e-4}
    assert moved == layers, "posterior reads pooled vectors alone"
    loaded = trained(tmp_path, method, weights=first.weights)
    assert (first.scores == loaded.scores).all()
    again = trained(tmp_path, method)
    assert (first.scores == again.scores).all()
    assert first.method is not None
    assert first.method.parameters > sum(value.numel() for value in departures.values())


def test_untrained_it_shows_what_the_encoder_shows(tmp_path: Path) -> None:
    live, fixed = session(tmp_path), session(tmp_path, finetune=False)
    assert live.spec == fixed.spec
    trial = live.trials[0]
    network = live.encoder.network().eval()  # type: ignore[attr-defined]
    plain = live.sight(0, 0).gallery().images
    expected = fixed.sight(0, 0).gallery().images.to("cpu")
    images = LiveImages(Pictures(network, plain, live.spec.grids)).to("cpu")
    assert images.grids == expected.grids
    assert torch.allclose(images.pooled, expected.pooled, atol=2e-3)
    for one, other in zip(images.levels, expected.levels, strict=True):
        assert torch.allclose(one, other, atol=2e-3)
    assert len(images) == len(trial.gallery)


def test_two_views_are_trained_through_one_network(tmp_path: Path) -> None:
    scores = trained(tmp_path, "posterior", view="both", training={**QUICK, "epochs": 1}).scores
    assert scores is not None
    assert scores.shape == (24, 24)


class Stubborn(Method):
    """Has a network and trains nothing."""

    def __init__(self, *networks: nn.Module):
        self.networks = networks
        self.spec = self.options = None  # type: ignore[assignment]

    def fit(self, train, valid, context) -> None:  # type: ignore[no-untyped-def]
        assert train is not None

    def score(self, queries, gallery) -> Tensor:  # type: ignore[no-untyped-def]
        return torch.zeros(1, 1)

    def modules(self) -> tuple[nn.Module, ...]:
        return self.networks

    def state(self) -> dict[str, Tensor]:
        return {}

    def load(self, state) -> None:  # type: ignore[no-untyped-def]
        assert not state


@pytest.mark.parametrize(
    ("networks", "said"),
    [((nn.Sequential(nn.Linear(1, 1)),), "left the encoder as it was"), ((), "returns no network")],
)
def test_a_method_that_does_not_train_it_is_told(networks: tuple[nn.Module, ...], said: str, tmp_path: Path) -> None:
    made = session(tmp_path)
    method = Stubborn(*networks)
    method.spec = made.spec
    sight, trial = made.sight(0, 0), made.trials[0]
    joint = FinetunedMethod(method, Double(), 1, lambda: sight.labelled(trial.train).images)
    context = FitContext(seed=0, device=torch.device("cpu"), training=made.config.training, log=print)
    with pytest.raises(PluginError, match=said):
        joint.fit(sight.labelled(trial.train), sight.labelled(trial.valid), context)
    assert not networks or len(list(networks[0].modules())) == 2, "the guest has left"


# ------------------------------------------------------------------------------------------------ what a run does


def test_a_run_says_so_in_its_records_and_its_plan_and_resumes(benchmark, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    command = [
        *("run", "--plugin", str(TOY), "--plugin", str(TRAINABLE), "--dataset", "toy", "--encoder", "trainable-colour"),
        *("--methods", "tirg", "--no-controls", "--seeds", "0", "--jobs", "1", "--quiet", "--json"),
        *("--set", "training.epochs=1", "--set", "tirg.width=16"),
    ]
    joint = benchmark(*command, "--finetune")
    assert joint.returncode == 0, joint.stderr
    (row,) = [row for row in json.loads(joint.stdout)[0]["rows"] if row["method"].startswith("tirg")]
    assert row["encoder"] == "trainable-colour, fine-tuned with the method"
    assert "encoder trainable-colour, fine-tuned with the method" in joint.stderr
    plan = benchmark(*command, "--finetune", "--dry-run")
    assert json.loads(plan.stdout)["would_run"] == []


def test_it_learns_longer_steps_in_fewer_epochs_unless_it_is_told_otherwise() -> None:
    given = RunConfig(finetune=True, training={"epochs": 3})  # type: ignore[arg-type]
    assert (given.training.epochs, given.training.learning_rate) == (3, 1e-3)
    assert RunConfig(finetune=True).training.epochs == 12
    assert RunConfig().training.epochs == 40
    assert RunConfig.model_validate_json(given.model_dump_json()) == given


def test_controls_that_learn_nothing_are_left_out_and_refused_where_they_are_named(tmp_path: Path) -> None:
    registry = load_registry(PLUGINS)
    runner = Runner(config(tmp_path, methods=("proposed",)), registry)
    assert "random" not in runner.plans
    assert "posterior" in runner.plans
    with pytest.raises(UserError, match="random learns nothing"):
        Runner(config(tmp_path, methods=("random",)), registry)


@pytest.mark.parametrize("encoder", ["mean-colour", "nearest-colour"])
def test_an_encoder_that_cannot_be_trained_is_refused(encoder: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{encoder} can't be trained together with a method.*name an encoder that can"):
        session(tmp_path, encoder=encoder)


def test_queries_without_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--without image shows the mean features of train"):
        session(tmp_path, without="image")


def test_tune_and_index_need_an_encoder_as_it_is(tmp_path: Path) -> None:
    from benchmark.index.seeing import refuse_finetuned
    from benchmark.tune_command import Request, tune_command

    file = tmp_path / "run.toml"
    file.write_text('dataset = "toy"\nfinetune = true\n')
    with pytest.raises(UserError, match="tune searches with the encoder as it is"):
        tune_command(
            Request({"evaluate": None, "seeds": None}, file, (), (), "tirg", 1, 0, False, None),
            quiet=True, as_json=False, show_traces=False,
        )  # fmt: skip
    with pytest.raises(UserError, match="no index can hold one yet"):
        refuse_finetuned(config(tmp_path))


def test_a_page_says_how_the_row_is_made_again_and_why_it_shows_no_masks(tmp_path: Path) -> None:
    from benchmark.report.html.attention import Looker
    from benchmark.report.html.reproduce import command
    from benchmark.report.html.surroundings import Surroundings

    registry = load_registry(PLUGINS)
    runner = Runner(config(tmp_path, methods=("posterior",), controls=False, seeds=(0,), jobs=1), registry)
    runner.run(runner.units())
    ((_, record),) = [one for one in runner.store.evaluations() if one[1].method.trained]
    words = command([record], registry, "proposed").replace("\\\n", " ").split()
    assert words[words.index("--encoder") + 1] == "trainable-colour"
    assert "--finetune" in words
    assert not any(word.startswith("training.learning_rate") for word in words), (
        "that of --finetune goes without saying"
    )
    with pytest.raises(UserError, match="trained together with its encoder"):
        Looker(Surroundings(registry), record).look("posterior", record, [])
