"""Registers the baselines and the controls."""

from __future__ import annotations

from benchmark.hookspecs import Register, hookimpl

OPTIONS = "baselines.options"
CONTROL = "control, dermcir benchmark/README.md"

NATIVE = (
    ("tirg", "TIRG", "batch classification, SGD", "Vo et al., CVPR 2019"),
    (
        "clip4cir",
        "CLIP4Cir",
        "batch classification in large batches, second stage alone",
        "Baldrati et al., CVPR Workshops 2022",
    ),
    ("val", "VAL", "semi-hard triplets at every level", "Chen et al., CVPR 2020"),
    ("artemis", "ARTEMIS", "batch classification, learned temperature", "Delmas et al., ICLR 2022"),
    ("tg-cir", "TGCIR", "batch classification and its teacher's losses", "Wen et al., ACM MM 2023"),
)
"""Rivals in their native setting: name, class, what trains them, whose work they are."""


@hookimpl
def register_composers(register: Register) -> None:
    """Register them as strings, so that listing imports no torch."""
    register(
        "tirg",
        "baselines.tirg:TIRG",
        options=f"{OPTIONS}:TIRGOptions",
        summary="gated residual composition of projected image and text",
        citation="Vo et al., CVPR 2019",
    )
    register(
        "clip4cir",
        "baselines.clip4cir:CLIP4Cir",
        options=f"{OPTIONS}:CLIP4CirOptions",
        summary="the combiner of CLIP4Cir on projected features",
        citation="Baldrati et al., CVPR Workshops 2022",
    )
    register(
        "val",
        "baselines.val:VAL",
        options="baselines.val_options:VALOptions",
        summary="gates and self-attention at every level of the projected image",
        citation="Chen et al., CVPR 2020",
    )
    register(
        "artemis",
        "baselines.artemis:ARTEMIS",
        options="baselines.artemis_options:ARTEMISOptions",
        summary="explicit matching and implicit similarity under the text's attention",
        citation="Delmas et al., ICLR 2022",
    )
    register(
        "tg-cir",
        "baselines.tg_cir:TGCIR",
        options="baselines.tg_cir_options:TGCIROptions",
        summary="token-wise mixing of masked features, taught by a composition that sees the target",
        citation="Wen et al., ACM MM 2023",
    )
    register(
        "late-fusion",
        "baselines.late_fusion:LateFusion",
        options=f"{OPTIONS}:LateFusionOptions",
        summary="sum of the normalised projections of image and text",
        citation=CONTROL,
    )
    register(
        "image-only",
        "baselines.unimodal:ImageOnly",
        options=f"{OPTIONS}:ImageOnlyOptions",
        summary="trained projection of the image; the text is ignored",
        citation=CONTROL,
    )
    register(
        "text-only",
        "baselines.unimodal:TextOnly",
        options=f"{OPTIONS}:TextOnlyOptions",
        summary="trained projection of the text; the reference image is ignored",
        citation=CONTROL,
    )


@hookimpl
def register_methods(register: Register) -> None:
    """Register what is more than a composer and a scorer."""
    register(
        "posterior",
        "baselines.posterior:Posterior",
        options=f"{OPTIONS}:PosteriorOptions",
        summary="classify, then retrieve: the estimated probability of being in one group",
        citation="Robertson, Journal of Documentation, 1977 (probability ranking principle)",
    )
    register(
        "edited-posterior",
        "baselines.edited_posterior:EditedPosterior",
        options="baselines.edited_options:EditedPosteriorOptions",
        summary="classify the criteria, overwrite those that the text names, rank by the probability of agreement",
        citation="Robertson, Journal of Documentation, 1977 (probability ranking principle)",
    )
    register(
        "random",
        "baselines.random_ranking:RandomRanking",
        summary="a random ranking: chance, measured",
        citation=CONTROL,
    )
    register(
        "sum",
        "baselines.training_free:SumOfSimilarities",
        summary="cosine to the image plus cosine to the text, no training; needs an aligned encoder",
        citation="Vo et al., CVPR 2019 (image + text); Radford et al., ICML 2021",
    )
    register(
        "product",
        "baselines.training_free:ProductOfSimilarities",
        summary="product of the two cosines, each moved to 0..1, no training; needs an aligned encoder",
        citation="Radford et al., ICML 2021",
    )
    for name, cls, trained_by, citation in NATIVE:
        register(
            f"{name}-native",
            f"baselines.{name.replace('-', '_')}_native:{cls}Native",
            options=f"baselines.native_options:{cls}NativeOptions",
            summary=f"{name} in its paper's own training: {trained_by}",
            citation=citation,
        )


@hookimpl
def register_scorers(register: Register) -> None:
    """Register the plain score, and that of a method that brings its own."""
    register(
        "cosine",
        "baselines.cosine:CosineScorer",
        summary="cosine of the global vectors",
        citation="Salton & McGill, Introduction to Modern Information Retrieval, 1983",
    )
    register(
        "artemis",
        "baselines.artemis:ARTEMISScorer",
        summary="explicit matching plus implicit similarity, pairwise",
        citation="Delmas et al., ICLR 2022",
    )
