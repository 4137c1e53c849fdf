"""VAL against the numbers of the authors' TensorFlow code (parity/val.json), and as a composer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.testing import assert_close

from baselines.val import NATIVE_MARGIN, VAL, LevelComposition, SpatialConvolution, in_a_row, native_loss
from baselines.val_options import VALOptions
from benchmark.interfaces import FeatureSpec, ImageFeatures, TextFeatures
from tests.baselines.small import filled

FIXTURE = json.loads((Path(__file__).parent / "parity" / "val.json").read_text())
WIDTH, BATCH, LEVELS = FIXTURE["width"], FIXTURE["batch"], range(len(FIXTURE["grids"]))
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
BLOCKS = {"fuse": "Conv", "channel_gate": "Conv_1", "spatial_gate": "Conv_2", "transform": "Conv_3"}
# The authors call the first factor of the attention "keys", the second "values", and what is attended "queries".
HEADS = {f"heads.{i}.{ours}": f"dense_{3 * i + k}" for i in (0, 1) for k, ours in enumerate(("query", "key", "value"))}
NAMES = {
    "joint_weight": "r_weight",
    "self_weight": "weight",
    **{f"{ours}.weight": f"{theirs.replace('dense_0', 'dense')}/kernel" for ours, theirs in HEADS.items()},
    **{
        f"{ours}.{'convolution' if ours == 'spatial_gate' else 'linear'}.weight": f"{theirs}/weights"
        for ours, theirs in BLOCKS.items()
    },
    **{f"{ours}.norm.{a}": f"{theirs}/BatchNorm/{b}" for ours, theirs in BLOCKS.items() for a, b in NORM.items()},
}
OFFSETS = {"gamma": 1.0, "moving_variance": 1.0, "beta": 0.5}


def authors_value(name: str) -> Tensor:
    """A variable of the authors, filled by the rule, with its last two axes (input, output) swapped as torch has it."""
    kind, shape = name.rsplit("/", 1)[1], FIXTURE["parameters"][name]["shape"]
    if kind in ("r_weight", "weight"):
        return torch.tensor({"r_weight": 0.9, "weight": 0.7}[kind])
    value = filled(shape, list(FIXTURE["parameters"]).index(name), 0.5, OFFSETS.get(kind, 0.0))
    return as_torch(value)


def as_torch(value: Tensor) -> Tensor:
    """Turn a TensorFlow kernel (h, w, i, o) or (i, o) into (o, i, h, w), or (o, i) where h = w = 1 or are missing."""
    if value.ndim < 2:
        return value
    kernel = value.movedim((-1, -2), (0, 1))  # (o, i, h, w) or (o, i)
    return kernel.flatten(1) if kernel.shape[2:] == (1, 1) else kernel


def published(level: int) -> LevelComposition:
    """Our module of one level with the authors' variables filled by the rule."""
    module = LevelComposition(WIDTH, tuple(FIXTURE["grids"][level]))
    state = {ours: authors_value(f"attention{level}/{theirs}") for ours, theirs in NAMES.items()}
    missing, unexpected = module.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return module


def maps(first: int) -> list[Tensor]:
    """The input maps of both levels as (b, n, d)."""
    return [filled([BATCH, math.prod(grid), WIDTH], first + i, 1.0) for i, grid in enumerate(FIXTURE["grids"])]


def composed(modules: list[LevelComposition]) -> list[Tensor]:
    text = filled([BATCH, WIDTH], 110, 1.0)
    return [module(image, text) for module, image in zip(modules, maps(100), strict=True)]


def close(actual: Tensor | None, expected: Any) -> None:
    assert actual is not None
    assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def check_outputs_and_losses(composite: list[Tensor], expected: dict[str, Any]) -> None:
    for ours, theirs in zip(composite, expected["composite"], strict=True):
        close(ours, torch.tensor(theirs).flatten(1, 2).tolist())
    queries, targets = [x.mean(dim=1) for x in composite], [x.mean(dim=1) for x in maps(120)]
    query, candidate = in_a_row(queries), in_a_row(targets)
    close(query, expected["query"])
    close(candidate, expected["candidate"])
    # unit vectors in a row: |q - c|^2 = 2 (levels) - 2 <q, c>, so that an inner product ranks as the authors do
    close(2 * len(LEVELS) - 2 * query @ candidate.T, expected["squared_distances"])
    for level in LEVELS:
        close(native_loss(queries[level : level + 1], targets[level : level + 1]), expected["losses"][level])
    close(native_loss(queries, targets), sum(expected["losses"]))


def test_the_layers_have_the_authors_shapes() -> None:
    for level in LEVELS:
        state = LevelComposition(WIDTH, tuple(FIXTURE["grids"][level])).state_dict()
        ours = {name: list(value.shape) for name, value in state.items() if "num_batches" not in name}
        authors = {name: value["shape"] for name, value in FIXTURE["parameters"].items() if f"ion{level}/" in name}
        known = {name: authors.pop(f"attention{level}/{theirs}") for name, theirs in NAMES.items()}
        assert ours == {name: list(as_torch(torch.empty(shape)).shape) for name, shape in known.items()}
        assert authors == {}


def test_the_constants_are_the_authors() -> None:
    module, authors = LevelComposition(4, (2, 3)), FIXTURE["parameters"]
    assert module.joint_weight.item() == authors["attention0/r_weight"]["initial"] == VALOptions().joint_weight == 1.0
    assert module.self_weight.item() == authors["attention0/weight"]["initial"] == VALOptions().self_weight == 0.0
    assert VALOptions().dropout == pytest.approx(1 - FIXTURE["train"]["dropout_keep_prob"])
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {FIXTURE["batch_normalisation"]["epsilon"]}
    assert NATIVE_MARGIN == FIXTURE["margin"] == 0.2


def test_outputs_and_losses_equal_the_authors_in_evaluation() -> None:
    check_outputs_and_losses(composed([published(level).eval() for level in LEVELS]), FIXTURE["eval"])


def test_outputs_losses_and_statistics_equal_the_authors_in_training() -> None:
    # known factors in the place of each dropout: equal outputs mean equal places, without a random draw
    modules, expected = [published(level).train() for level in LEVELS], FIXTURE["train"]
    for head in [head for module in modules for head in module.heads]:
        head.dropout.eval().register_forward_hook(lambda _, __, out: out * filled([out.shape[-1]], 130, 0.5, 1.0))
    for layer in [layer for module in modules for layer in module.modules()]:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1 - FIXTURE["batch_normalisation"]["decay"]
    check_outputs_and_losses(composed(modules), expected)
    for level, module in enumerate(modules):
        for ours, theirs in NAMES.items():
            if "running" in ours:
                statistic = expected["running_statistics_after_one_pass"][f"attention{level}/{theirs}"]
                close(module.state_dict()[ours], statistic)


@pytest.mark.parametrize("name", sorted(name for name, _ in LevelComposition(4, (2, 3)).named_parameters()))
def test_parity_fails_when_a_parameter_is_off_by_a_hundredth(name: str) -> None:
    modules = [published(level).eval() for level in LEVELS]
    with torch.no_grad():
        for module in modules:
            module.get_parameter(name).add_(0.01)
    with pytest.raises(AssertionError):
        check_outputs_and_losses(composed(modules), FIXTURE["eval"])


def silent(layer: nn.Module) -> None:
    """Let a convolution with its batch normalisation answer 0, so that its sigmoid is one half."""
    nn.init.zeros_(layer.get_parameter("norm.weight"))


def test_at_the_start_undecided_gates_leave_a_quarter_of_the_image() -> None:
    module = LevelComposition(2, (1, 2)).eval()
    silent(module.channel_gate)
    silent(module.spatial_gate)
    image = torch.tensor([[[4.0, -8.0], [0.0, 12.0]]])
    assert module(image, torch.tensor([[7.0, 7.0]])).tolist() == [[[1.0, -2.0], [0.0, 3.0]]]


def test_an_even_kernel_reaches_further_to_the_bottom_right() -> None:
    layer = SpatialConvolution((2, 2)).eval()
    nn.init.ones_(layer.convolution.weight)
    # every position sums itself, its right, lower and lower right neighbours; batch normalisation divides by 1 + 1e-5
    sums = layer(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert_close(sums, torch.tensor([[10.0, 6.0, 7.0, 4.0]]), rtol=1e-5, atol=1e-5)


def test_a_level_of_one_position_freezes_what_its_softmax_can_not_see() -> None:
    frozen = {name for name, p in LevelComposition(4, (1, 1)).named_parameters() if not p.requires_grad}
    assert frozen == {f"heads.{i}.{layer}.weight" for i in (0, 1) for layer in ("query", "key")}
    assert all(p.requires_grad for p in LevelComposition(4, (2, 1)).parameters())


def on_a_circle(*degrees: float) -> Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_the_native_loss_of_opposite_pairs_is_zero_and_of_equal_ones_twice_the_margin() -> None:
    apart = on_a_circle(0.0, 180.0)
    assert native_loss([apart], [3 * apart]).item() == 0.0
    together = on_a_circle(0.0, 0.0)
    assert native_loss([together], [together]).item() == pytest.approx(0.4)  # 0.2 in each direction


def test_a_negative_that_is_nearer_than_its_own_query_is_passed_over() -> None:
    # Squared distances (rows queries at 0 and 90 degrees, columns targets at 90 and 60): [[2, 1], [0, 0.268]].
    # Queries: target 1 is at 1, further than its own query (0.268), so query 0 costs 2 - 1 + 0.2; target 0 is at 0,
    # nearer than its own query (2), so query 1 costs nothing. Targets: the same, mirrored: for target 0 query 1 is at
    # 0 < 0.268, nothing; for target 1 query 0 is at 1 < 2, nothing.
    loss = native_loss([on_a_circle(0.0, 90.0)], [on_a_circle(90.0, 60.0)])
    assert loss.item() == pytest.approx(1.2 / 2, abs=1e-6)


SPEC = FeatureSpec((3, 5), ((2, 2), (2, 1)), image_width=6, text_width=7, groups=2, criteria=())


def batch(size: int, seed: int = 0) -> tuple[ImageFeatures, TextFeatures]:
    draw = torch.Generator().manual_seed(seed)
    pooled, text = torch.randn(size, 6, generator=draw), torch.randn(size, 7, generator=draw)
    levels = (torch.randn(size, 4, 3, generator=draw), torch.randn(size, 2, 5, generator=draw))
    texts = TextFeatures(text[:, None], torch.ones(size, 1, dtype=torch.bool), text)
    return ImageFeatures(levels, SPEC.grids, pooled), texts


def composer(**options: Any) -> VAL:
    torch.manual_seed(0)
    return VAL(SPEC, VALOptions(width=16, **options)).eval()


def test_both_representations_are_unit_vectors_of_all_levels_in_a_row() -> None:
    images, texts = batch(4)
    for representation in (composer().compose(images, texts), composer().embed(images)):
        assert set(representation) == VAL.provides == {"global"}
        assert representation["global"].shape == (4, 3 * 16) and representation["global"].dtype == torch.float32
        assert_close(representation["global"].unflatten(1, (3, 16)).norm(dim=-1), torch.ones(4, 3))


def test_without_the_pooled_level_only_the_maps_are_composed() -> None:
    images, texts = batch(4)
    module = composer(pooled_level=False)
    assert module.compose(images, texts)["global"].shape == module.embed(images)["global"].shape == (4, 2 * 16)
    other = ImageFeatures(images.levels, images.grids, -images.pooled)
    assert_close(module.embed(images)["global"], module.embed(other)["global"])


def test_open_gates_without_attention_leave_the_candidate() -> None:
    images, texts = batch(4)
    module = composer()
    for level in module.compositions:
        silent(level.channel_gate)
        silent(level.spatial_gate)
    assert_close(module.compose(images, texts), module.embed(images))


def test_in_evaluation_a_case_does_not_depend_on_its_batch() -> None:
    images, texts = batch(6)
    together = composer(self_weight=0.5).compose(images, texts)["global"]
    alone = [composer(self_weight=0.5).compose(images[i : i + 1], texts[i : i + 1])["global"] for i in range(6)]
    assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_the_query_reads_the_image_and_the_text() -> None:
    (images, texts), (other_images, other_texts) = batch(4), batch(4, seed=1)
    query = composer().compose(images, texts)["global"]
    assert (query - composer().compose(other_images, texts)["global"]).abs().max() > 0.01
    assert (query - composer().compose(images, other_texts)["global"]).abs().max() > 0.01


def test_gradients_reach_every_trainable_parameter() -> None:
    images, texts = batch(6)
    module = composer(self_weight=0.5).train()  # at the published start, 0, the attention waits for w_s to move
    (module.compose(images, texts)["global"] * module.embed(images[:1])["global"]).sum().backward()
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    assert [name for name, p in trainable.items() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_the_row_says_that_the_features_are_projected() -> None:
    assert VAL.label == "val (projected)" and VAL.modality == "image+text" and VAL.scorer == "cosine"


def test_options_refuse_an_unknown_key_and_an_odd_width() -> None:
    with pytest.raises(ValidationError, match="widht"):
        VALOptions.model_validate({"widht": 64})
    with pytest.raises(ValidationError, match="width"):
        VALOptions(width=15)
