"""A reduced BiomedParse with weights that are the same everywhere."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import torch

from segmenters.biomedparse import Sizes
from segmenters.biomedparse.model import Network

TINY = Sizes(
    image_size=128,
    embed_dim=8,
    depths=(1, 1, 2, 1),
    hidden_dim=32,
    mask_dim=32,
    proj_dim=32,
    heads=4,
    ff_dim=64,
    encoder_ff_dim=64,
    encoder_layers=2,
    decoder_layers=4,
    queries=9,
    text_width=16,
    text_heads=2,
    text_layers=2,
)


def seeded(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """A tensor that depends on its name, its shape and the seed only.

    Scales are such that every rule of the architecture shows in the result: token embeddings are
    so small that the text encoder's tiny norm epsilon counts, and the mask features have biases
    that leave some queries without any mask.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
    # RandomState's stream is frozen for good, unlike those of torch and of numpy's Generator.
    values = np.random.RandomState(int(digest[:8], 16)).standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "logit_scale":
        values = np.full(shape, math.log(1 / 0.07))
    elif leaf.startswith("gamma_"):
        values = 0.4 + 0.1 * values
    elif name.endswith("mask_features.bias"):
        values = 1.2 * values
    elif len(shape) == 1:
        values = (1.0 if leaf == "weight" else 0.0) + 0.15 * values
    elif "token_embedding" in name or "positional_embedding" in name:
        values = 0.01 * values
    elif leaf in ("class_embed", "lang_proj"):
        values = values / math.sqrt(shape[0])
    elif "query_" not in name and "level_embed" not in name:
        values = 1.3 * values / math.sqrt(math.prod(shape[1:]))
        if "mask_embed.layers.2" in name:
            values = 0.3 * values
    return torch.from_numpy(np.asarray(values, np.float32))


def state_dict(sizes: Sizes = TINY, seed: int = 17) -> dict[str, torch.Tensor]:
    """Weights of a reduced model, some unused tensors of the released checkpoint among them."""
    with torch.device("meta"):
        shapes = {k: tuple(v.shape) for k, v in Network(sizes).state_dict().items()}
    tensors = {name: seeded(name, shape, seed) for name, shape in shapes.items()}
    unused = {
        "dilation_kernel": torch.ones(1, 1, 3, 3),
        "sem_seg_head.predictor.pn_indicator.weight": torch.ones(2, sizes.hidden_dim),
        "sem_seg_head.predictor.lang_encoder.biomed_encoder.pooler.bias": torch.ones(4),
    }
    return {**tensors, **unused}


def write_checkpoint(path: Path, sizes: Sizes = TINY, seed: int = 17) -> Path:
    """A checkpoint file that carries its own sizes."""
    torch.save({"sizes": sizes.model_dump(), "state_dict": state_dict(sizes, seed)}, path)
    return path


def picture(height: int = 90, width: int = 120) -> np.ndarray:
    """A picture with structure at several scales, uint8 (H, W, 3)."""
    y, x = np.mgrid[:height, :width] / 10.0
    waves = [np.sin(x * a + y * b) for a, b in ((1, 0.3), (0.2, 1.7), (2.3, -1.1))]
    return np.stack([127.5 + 120 * w for w in waves], axis=-1).astype(np.uint8)
