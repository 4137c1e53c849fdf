"""TG-CIR against the numbers of the authors' code (parity/tg_cir.json), and as a composer."""

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

from baselines.tg_cir import NATIVE_SCALE, TGCIR, Part, Tokens, divergence, native_loss, overlap
from baselines.tg_cir_options import TGCIROptions
from benchmark.interfaces import Batch, FeatureSpec, ImageFeatures, Representation, TextFeatures
from tests.baselines.small import SPEC, batch, filled

FIXTURE = json.loads((Path(__file__).parent / "parity" / "tg_cir.json").read_text())
AUTHORS = {
    "image_projection.weight": "backbone.clip.visual.proj",  # applied from the right: transposed
    "text_projection.weight": "backbone.clip.text_projection",
    "local_projections.0": "backbone.fc",
    "word_projection": "backbone.text_fc",
    "tokens.channel_masks": "backbone.masks.weight",
    "image_share": "s_remain_map",
    "teacher.image_share": "t_remain_map",
    "teacher.text_share": "t_replace_map",
    "teacher.token_weights": "local_weight",
    "teacher.scale": "loss_T",
}
AUTHORS_LOSS = {
    "orthogonality": ("ortho", "mu_"),
    "teacher_ranking": ("tea_rank", "lambda_"),
    "teacher_balance": ("tea_mask", "eta_"),
    "mask_distillation": ("ckd", "nu_"),
    "ranking_distillation": ("kl", "kappa_"),
}


def authors_value(name: str) -> Tensor:
    if name in ("local_weight", "loss_T"):
        return torch.tensor(FIXTURE["parameters"][name]["initial"])
    names = list(FIXTURE["parameters"])
    return filled(FIXTURE["parameters"][name]["shape"], names.index(name), 0.5)


def authors_state(name: str) -> Tensor:
    """The authors' value of our parameter ``name``."""
    if name.startswith("tokens.spatial_masks"):  # theirs are 1x1 convolutions, one a mask
        kind = name.rpartition(".")[2]
        ours = [
            authors_value(f"backbone.tokenlearn.tokenizers.{mask}.conv.0.{kind}")
            for mask in range(FIXTURE["spatial_masks"])
        ]
        return torch.cat(ours).squeeze(-1)
    if name in ("image_projection.bias", "text_projection.bias"):  # CLIP's projections have none
        return torch.zeros(FIXTURE["width"])
    (prefix,) = [prefix for prefix in AUTHORS if name == prefix or name.startswith(prefix + ".")]
    value = authors_value(AUTHORS[prefix] + name.removeprefix(prefix))
    return value.T if prefix.endswith("_projection.weight") else value.squeeze() if name == "teacher.scale" else value


def empty() -> TGCIR:
    """Our composer, as wide as the fixture."""
    f = FIXTURE
    spec = FeatureSpec((f["image_width"],), ((1, f["positions"]),), f["image_width"], f["text_width"], 2, ())
    sizes = {name: f[name] for name in ("width", "channel_masks", "spatial_masks")}
    return TGCIR(spec, TGCIROptions(**sizes))


def published() -> TGCIR:
    """Our composer with the authors' weights filled by the rule."""
    module = empty()
    module.load_state_dict({name: authors_state(name) for name in module.state_dict()})
    return module


def image(tensor: int) -> ImageFeatures:
    positions = filled([FIXTURE["batch"], FIXTURE["positions"], FIXTURE["image_width"]], tensor, 1.0)
    return ImageFeatures((positions,), ((1, FIXTURE["positions"]),), positions[:, 0])


def text() -> TextFeatures:
    tokens = filled([FIXTURE["batch"], FIXTURE["text_tokens"], FIXTURE["text_width"]], 101, 1.0)
    return TextFeatures(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), tokens[:, -1])


def one_target_a_query() -> Batch:
    """The authors' batch: row i of the targets is the one positive of query i, and nothing is left out."""
    size = FIXTURE["batch"]
    positives, codes = torch.eye(size, dtype=torch.bool), torch.zeros(size, dtype=torch.long)
    return Batch(positives, torch.zeros_like(positives), codes, codes[:, None], codes, codes[:, None])


def represented(module: TGCIR) -> tuple[Representation, Representation]:
    return module.compose(image(100), text()), module.embed(image(102))


def losses(module: TGCIR, scale: Tensor | float = NATIVE_SCALE) -> dict[str, Tensor]:
    query, candidates = represented(module)
    student = native_loss(query["global"], candidates["global"], scale)
    return {"student": student, **module.auxiliary_loss(one_target_a_query(), query, candidates)}


def close(actual: Tensor | None, expected: Any) -> None:
    assert actual is not None
    assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def test_the_layers_have_the_authors_shapes() -> None:
    for name, value in empty().state_dict().items():
        assert value.shape == authors_state(name).shape, name
    unused = {name for name in FIXTURE["parameters"] if not name.startswith((*AUTHORS.values(), "backbone.tokenlearn"))}
    assert not unused


def test_the_constants_are_the_authors() -> None:
    module, initial = empty(), {name: value.get("initial") for name, value in FIXTURE["parameters"].items()}
    # 10 channels in four blocks of two: the last two channels belong to none
    assert_close(module.tokens.channel_masks.data, torch.tensor(initial["backbone.masks.weight"]))
    assert module.teacher.token_weights.tolist() == initial["local_weight"]
    assert [module.teacher.scale.item()] == initial["loss_T"] == [NATIVE_SCALE]
    given, options = FIXTURE["arguments"], TGCIROptions()
    assert (options.width, options.channel_masks, options.spatial_masks) == (
        given["feature_dim"],
        given["P"],
        given["Q"],
    )
    assert options.temperature == given["tau_"]
    assert {name: getattr(options, name) for name in AUTHORS_LOSS} == {
        n: given[w] for n, (_, w) in AUTHORS_LOSS.items()
    }


def test_tokens_masks_and_vectors_equal_the_authors() -> None:
    module = published()
    query, candidates = represented(module)
    close(query["image"], FIXTURE["tokens"]["reference"])
    close(query["text"], FIXTURE["tokens"]["text"])
    close(candidates["tokens"], FIXTURE["tokens"]["target"])
    composed, of_image, of_text = module.teacher(query["image"], query["text"], candidates["tokens"])
    close(query["share"][..., 0], FIXTURE["masks"]["student"])
    close(of_image[..., 0], FIXTURE["masks"]["teacher_image"])
    close(of_text[..., 0], FIXTURE["masks"]["teacher_text"])
    close(composed, FIXTURE["teacher_tokens"])
    close(query["global"], FIXTURE["query"])
    close(candidates["global"], FIXTURE["candidate"])


def compare_losses(module: TGCIR) -> None:
    found = losses(module)
    close(found["student"], FIXTURE["losses"]["stu_rank"])
    for name, (theirs, weight) in AUTHORS_LOSS.items():
        close(found[name], FIXTURE["arguments"][weight] * FIXTURE["losses"][theirs])
    close(torch.stack(list(found.values())).sum(), FIXTURE["losses"]["total"])


def test_losses_equal_the_authors() -> None:
    compare_losses(published())


def test_gradients_equal_the_authors() -> None:
    # so what is detached here is what they detach
    module, scale = published(), nn.Parameter(torch.tensor(NATIVE_SCALE))
    torch.stack(list(losses(module, scale).values())).sum().backward()
    expected = FIXTURE["gradients"]
    for ours, theirs in (("image_share.0", "s_remain_map.0"), ("teacher.image_share.0", "t_remain_map.0")):
        close(module.get_parameter(f"{ours}.bias").grad, expected[f"{theirs}.bias"])
    close(module.get_parameter("teacher.text_share.0.bias").grad, expected["t_replace_map.0.bias"])
    close(module.get_parameter("local_projections.0.bias").grad, expected["backbone.fc.bias"])
    close(module.word_projection.bias.grad, expected["backbone.text_fc.bias"])
    close(module.tokens.channel_masks.grad, expected["backbone.masks.weight"])
    close(module.teacher.token_weights.grad, expected["local_weight"])
    assert scale.grad is not None and module.teacher.scale.grad is not None
    close((scale.grad + module.teacher.scale.grad)[None], expected["loss_T"])  # theirs is one parameter


@pytest.mark.parametrize("name", sorted(name for name, _ in empty().named_parameters()))
def test_parity_fails_when_a_parameter_is_off_by_a_hundredth(name: str) -> None:
    module = published()
    with torch.no_grad():
        module.get_parameter(name).add_(0.01)
    with pytest.raises(AssertionError):
        compare_losses(module)


def test_tokens_by_hand() -> None:
    module, double = Tokens(2, channel_masks=2, spatial_masks=1), nn.Linear(2, 2)
    double.weight.data, double.bias.data = 2 * torch.eye(2), torch.tensor([0.0, 2.0])
    nn.init.zeros_(module.spatial_masks.weight)
    nn.init.zeros_(module.spatial_masks.bias)  # sigmoid(0): every position counts half
    positions, real = torch.tensor([[[1.0, 1.0], [3.0, -1.0], [9.0, 9.0]]]), torch.tensor([[True, True, False]])
    # the positions are mapped to (2, 4), (6, 0) and padding
    # masks (1, 0.1) and (0.1, 1) on (3, 5); then half of the mean of the two real positions
    expected = torch.tensor([[[3.0, 0.5], [0.3, 5.0], [2.0, 1.0]]])
    assert_close(module(torch.tensor([[3.0, 5.0]]), [Part(positions, real, double)]), expected)


def test_the_penalty_of_two_equal_tokens_is_a_half() -> None:
    # cosines [[1, 1], [1, 1]] minus the identity: two of four entries are 1
    assert overlap(torch.ones(1, 2, 3)).item() == pytest.approx(0.5)
    assert overlap(torch.eye(3)[None]).item() == 0.0


def test_the_divergence_from_an_undecided_teacher() -> None:
    # softmax of (log 3, 0) is (3/4, 1/4): KL = 1/2 log(1/2 : 3/4) + 1/2 log(1/2 : 1/4); the third is excluded
    student, teacher = torch.tensor([[math.log(3), 0.0, 9.0]]), torch.tensor([[1.0, 1.0, 5.0]])
    expected = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    assert divergence(student, teacher, torch.tensor([[False, False, True]]), 1.0).item() == pytest.approx(expected)


def test_the_teacher_sees_positives_of_its_query_alone() -> None:
    module = published()
    query, candidates = represented(module)
    base = one_target_a_query()
    none = Batch(~base.positives, ~base.positives, base.groups, base.criteria, base.groups, base.criteria)
    # all positives are excluded: what is left is the penalty, which needs no target
    assert set(module.auxiliary_loss(none, query, candidates)) == {"orthogonality"}
    # query 0 has candidates 0 and 1 as positives, the others have none: one is its target, the other no negative
    rows = torch.tensor([[True, True, False], [False] * 3, [False] * 3])
    some = Batch(rows, torch.zeros_like(rows), base.groups, base.criteria, base.groups, base.criteria)
    query = {key: value[:1].expand_as(value) for key, value in query.items()}
    seen = {round(module.auxiliary_loss(some, query, candidates)["teacher_ranking"].item(), 4) for _ in range(30)}
    tokens = candidates["tokens"]
    expected = set()
    for target in (0, 1):
        composed, *_ = module.teacher(query["image"][:1], query["text"][:1], tokens[[target]])
        logits = 10 * module.teacher.vectors(composed) @ module.teacher.vectors(tokens[[target, 2]]).T
        expected.add(round((logits[0].logsumexp(0) - logits[0, 0]).item(), 4))
    assert seen == expected


def composer() -> TGCIR:
    torch.manual_seed(0)
    return TGCIR(SPEC, TGCIROptions(width=16)).eval()


def test_both_representations_are_unit_vectors_of_the_common_width() -> None:
    images, texts = batch(4)
    for representation in (composer().compose(images, texts), composer().embed(images)):
        assert TGCIR.provides == {"global"}
        assert representation["global"].shape == (4, 16) and representation["global"].dtype == torch.float32
        assert_close(representation["global"].norm(dim=-1), torch.ones(4))


def test_the_coarsest_level_of_every_view_is_read() -> None:
    two_views = FeatureSpec((3, 5, 3, 5), ((2, 2), (1, 1)) * 2, image_width=10, text_width=7, groups=2, criteria=())
    assert composer().levels == [1]
    assert TGCIR(two_views, TGCIROptions(width=16)).levels == [1, 3]


def test_the_query_reads_the_image_and_the_text() -> None:
    (images, texts), (other_images, other_texts) = batch(4), batch(4, seed=1)
    query = composer().compose(images, texts)["global"]
    assert (query - composer().compose(other_images, texts)["global"]).abs().max() > 0.01
    assert (query - composer().compose(images, other_texts)["global"]).abs().max() > 0.01


def test_the_row_says_that_the_features_are_projected() -> None:
    assert TGCIR.label == "tg-cir (projected)" and TGCIR.modality == "image+text" and TGCIR.scorer == "cosine"


def test_options_refuse_an_unknown_key_and_a_negative_weight() -> None:
    with pytest.raises(ValidationError, match="widht"):
        TGCIROptions.model_validate({"widht": 64})
    with pytest.raises(ValidationError, match="orthogonality"):
        TGCIROptions(orthogonality=-1)
