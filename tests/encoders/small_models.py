"""Small models of transformers with random weights, saved as ``save_pretrained`` does, tokenizer included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetModel,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

WORDS = ("[PAD]", "[UNK]", "thin", "thick", "border", "none", "dark", "spot", ",", "[END]")
LENGTH = 16
SQUARE = {"height": 32, "width": 32}
VISION: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
TEXT: dict[str, Any] = {
    "hidden_size": 12,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": len(WORDS),
    "max_position_embeddings": LENGTH,
    "pad_token_id": 0,
    "bos_token_id": 9,
    "eos_token_id": 9,
}


def save_tokenizer(folder: Path) -> None:
    """Save a tokenizer of ten words that ends every text with [END]."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A [END]", special_tokens=[("[END]", 9)])
    tokens = {"unk_token": "[UNK]", "pad_token": "[PAD]", "eos_token": "[END]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, **tokens).save_pretrained(folder)


def clip(folder: Path, seed: int = 0) -> Path:
    """Save a CLIP with a common space of width 20."""
    torch.manual_seed(seed)
    CLIPModel(CLIPConfig(vision_config=VISION, text_config=TEXT, projection_dim=20)).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SQUARE).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def siglip(folder: Path) -> Path:
    """Save a SigLIP with a common space of width 16."""
    torch.manual_seed(0)
    text = {**TEXT, "hidden_size": 16, "projection_size": 16}
    SiglipModel(SiglipConfig(vision_config=VISION, text_config=text)).save_pretrained(folder)
    SiglipImageProcessor(size=SQUARE).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def vit(folder: Path) -> Path:
    """Save a vision transformer without pooler."""
    torch.manual_seed(0)
    ViTModel(ViTConfig(**VISION), add_pooling_layer=False).save_pretrained(folder)
    ViTImageProcessor(size=SQUARE).save_pretrained(folder)
    return folder


def resnet(folder: Path) -> Path:
    """Save a residual network of strides 4 to 32 for pictures of 64 x 64."""
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 12, 16, 20], "depths": [1, 1, 1, 1], "layer_type": "basic"}
    ResNetModel(ResNetConfig(**sizes)).save_pretrained(folder)
    ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    """Save a text model whose checkpoint holds no pooler."""
    torch.manual_seed(0)
    config = {key: value for key, value in TEXT.items() if not key.startswith(("bos", "eos"))}
    BertModel(BertConfig(**config), add_pooling_layer=False).save_pretrained(folder)
    save_tokenizer(folder)
    return folder
