"""A tiny random CLIP of the real transformers class, saved as a user would find it."""

from __future__ import annotations

import json
from pathlib import Path

import torch

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def write_clip(folder: Path) -> Path:
    """Weights and preprocessor; the tokenizer is the published one of CLIP."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    config = CLIPConfig(
        projection_dim=16,
        vision_config={**SIZES, "intermediate_size": 48, "image_size": 32, "patch_size": 8},
        text_config={**SIZES, "intermediate_size": 48, "vocab_size": 49408, "eos_token_id": 49407},
    )
    CLIPModel(config).eval().save_pretrained(folder)
    write_preprocessor(folder, 32)
    return folder


def write_preprocessor(folder: Path, side: int, center_crop: bool = True) -> None:
    """How pictures come into a model: resized, cut to `side` px, normalised."""
    stated = {
        "do_center_crop": center_crop,
        "size": {"shortest_edge": side} if center_crop else {"height": side, "width": side},
        "crop_size": {"height": side, "width": side},
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
