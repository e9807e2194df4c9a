"""The embedding stage: what is kept of each picture for finding pictures that are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from filters.config import DedupeConfig
from filters.dedupe.thumbnail import SIDE, pixel_hash, thumbnail
from filters.layout import describe
from miner.core import beacon
from miner.core.errors import Refused
from miner.core.pixels import decode
from miner.core.unit import Stage, Unit


class Embed(Stage):
    """Add an embedding, a thumbnail and a hash of the pixels to every picture that could be read.

    Args:
        config: which model; "embedded" describes the layout of a picture without any model.

    Raises:
        Refused: there is no such model, or it is no vision model of transformers.
    """

    requires: ClassVar[Mapping[str, Sequence[str]]] = {"images": ("image_id", "data")}
    adds: ClassVar[Mapping[str, Sequence[str]]] = {
        "images": ("embedding", "thumbnail", "pixel_hash")
    }

    def __init__(self, config: DedupeConfig):
        self.embed = embedder(config)

    def __call__(self, unit: Unit) -> Unit:
        """Return the unit with `embedding` (unit length) and the others on its images."""
        found: list[tuple[np.ndarray, bytes, str] | tuple[None, None, None]] = []
        for row in unit.images.select(["image_id", "data"]).to_pylist():
            beacon.at(row["image_id"])
            try:
                image = decode(row["data"] or b"")
            except ValueError:
                found.append((None, None, None))
                continue
            found.append((self.embed(image), thumbnail(image).tobytes(), pixel_hash(image)))
        vectors, thumbs, hashes = zip(*found, strict=True) if found else ((), (), ())
        columns = {
            "embedding": pa.array(vectors, pa.list_(pa.float32())),
            "thumbnail": pa.array(thumbs, pa.binary(SIDE * SIDE)),
            "pixel_hash": pa.array(hashes, pa.string()),
        }
        return unit.with_columns("images", columns)


def embedder(config: DedupeConfig) -> Callable[[np.ndarray], np.ndarray]:
    """What embeds a picture, uint8 (H, W, 3) RGB -> float32 (d,), unit length.

    Raises:
        Refused: there is no such model, or it is no vision model of transformers.
    """
    return describe if config.model == "embedded" else VisionModel(config.model)


class VisionModel:
    """Any vision model of transformers, through its pooled output.

    Args:
        name: folder or hub id.

    Raises:
        Refused: there is no such model, or it is no vision model.
    """

    def __init__(self, name: str):
        from transformers import AutoModel

        from filters.clip.checkpoint import fetch
        from filters.clip.preprocess import from_files

        folder = fetch(name, None, "dedupe.model")
        try:
            model: Any = AutoModel.from_pretrained(folder, trust_remote_code=False).eval()
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise Refused(f"dedupe.model: {name}: {reason}") from None
        self.model = getattr(model, "vision_model", model)
        side = getattr(self.model.config, "image_size", None)
        if not isinstance(side, int):
            raise Refused(f"dedupe.model: {name}: not a vision model with a fixed input size")
        files = {f.name: f.read_text() for f in folder.glob("*.json")}
        self.preprocess = from_files(files, side, f"dedupe.model: {name}")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Embedding of a picture, uint8 (H, W, 3) RGB -> float32 (d,), unit length."""
        import torch

        with torch.inference_mode():
            out = self.model(pixel_values=self.preprocess(image)[None])
        pooled = getattr(out, "pooler_output", None)
        vector = out.last_hidden_state.mean(dim=1) if pooled is None else pooled
        vector = vector.flatten().numpy().astype(np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)
