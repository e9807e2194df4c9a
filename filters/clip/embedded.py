"""The small CLIP that comes with the package, behind the interface of every encoder."""

from __future__ import annotations

import copy
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from importlib.resources.abc import Traversable

import cv2
import numpy as np
import torch
from safetensors.torch import load, save

from filters.clip.comparison import ancestors
from filters.clip.counterfactuals import RING_CELLS, grid_weights, ring
from filters.clip.network import MULTIPLE, SmallClip
from miner.core.bfloat16 import autocast
from miner.core.convolutions import ready

LONG_SIDE_PX = 640
CROP_PX = 128
WEIGHTS = importlib.resources.files("filters.clip") / "data" / "small_clip.safetensors"


def to_tensor(pictures: np.ndarray) -> torch.Tensor:
    """Pictures uint8 (n, H, W, 3) as float32 (n, 3, H, W), -1..1."""
    array = pictures.astype(np.float32)
    array *= np.float32(1 / 127.5)
    array -= 1.0
    return torch.from_numpy(array).permute(0, 3, 1, 2)


def fit(image: np.ndarray, long_side_px: int) -> np.ndarray:
    """The picture scaled down to a longer side, both sides multiples of `MULTIPLE`."""
    height, width = image.shape[:2]
    scale = min(1.0, long_side_px / max(height, width))
    size = [max(2, round(side * scale / MULTIPLE)) * MULTIPLE for side in (width, height)]
    if size == [width, height]:
        return image
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, (size[0], size[1]), interpolation=method)


class EmbeddedClip:
    """The small CLIP.

    Args:
        threads: threads of the forward passes.
        long_side_px: pictures with a longer side are scaled down to it.
        net: a model to use instead of the one that comes with the package.
        judged: concept of the table -> taught concept whose phrases stand for it, of that model.

    Attributes:
        crop_px: side of the crops that `crops` takes.
        logit_scale: factor from cosines to logits.
    """

    def __init__(
        self,
        threads: int = 1,
        long_side_px: int | None = None,
        net: SmallClip | None = None,
        judged: Mapping[str, str] | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        self.crop_px = CROP_PX
        self._long_side_px = long_side_px or LONG_SIDE_PX
        if net is None:
            net, judged = read(WEIGHTS)
        self._judged = judged or {}
        self._net = net.eval()
        self._image = ready(copy.deepcopy(self._net.image))
        self.logit_scale = self._net.scale.exp().item()

    def judged_as(self, concept: str) -> str | None:
        """The taught concept that stands for this one, None where there is none.

        The concept table may have grown since the model was taught: what it does not name is
        judged as the nearest concept above that it does.
        """
        chain = (concept, *ancestors(concept))
        return next((self._judged[name] for name in chain if name in self._judged), None)

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embeddings of texts, float32 (n, d), L2-normalised."""
        return self._net.text(texts).numpy()

    def _features(self, pictures: np.ndarray) -> torch.Tensor:
        with autocast():
            return self._image(to_tensor(pictures)).float()

    @torch.inference_mode()
    def dense(self, image: np.ndarray) -> np.ndarray:
        """Dense features of a picture uint8 (H, W, 3): float32 (rows, columns, c)."""
        features = self._features(fit(image, self._long_side_px)[None])
        return features[0].permute(1, 2, 0).contiguous().numpy()

    @torch.inference_mode()
    def regions(self, dense: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings of regions, float32 (n, d), L2-normalised.

        Args:
            dense: what `dense` returned.
            weights: n of float32 (rows, columns), 0..1, none of them all zero.
        """
        means = np.empty((len(weights), 2, dense.shape[2]), np.float32)
        wide = []
        for i, weight in enumerate(weights):
            part = _extent(weight)
            if 2 * (part[0].stop - part[0].start) > dense.shape[0]:
                wide.append(i)
            else:
                means[i] = _pooled(dense[part], weight[part][None])[0]
        # Regions that reach over the picture are pooled together: it is read once for many.
        for start in range(0, len(wide), 16):
            some = wide[start : start + 16]
            means[some] = _pooled(dense, np.stack([weights[i] for i in some]))
        inside, around = (torch.from_numpy(means[:, i]) for i in (0, 1))
        return self._net.image.embed(inside, around).numpy()

    @torch.inference_mode()
    def crops(self, crops: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Embeddings of the regions in crops, float32 (n, d), L2-normalised.

        Args:
            crops: uint8 (n, crop_px, crop_px, 3).
            masks: bool (n, crop_px, crop_px).
        """
        features = self._features(crops)
        side = features.shape[-1]
        weights = np.stack([grid_weights(mask, (side, side)) for mask in masks])
        pooled = []
        for w in (weights, surroundings(weights)):
            share = torch.from_numpy(w / w.sum(axis=(1, 2), keepdims=True))
            pooled.append((features * share[:, None]).sum(dim=(2, 3)))
        return self._net.image.embed(pooled[0], pooled[1]).numpy()


def _extent(weight: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the grid (rows, columns) that a region and its ring lie in."""
    one = np.ones(max(weight.shape), np.float32)
    rows = np.flatnonzero(weight @ one[: weight.shape[1]])
    columns = np.flatnonzero(one[: weight.shape[0]] @ weight)
    return (
        slice(max(rows[0] - RING_CELLS, 0), min(rows[-1] + RING_CELLS + 1, weight.shape[0])),
        slice(max(columns[0] - RING_CELLS, 0), min(columns[-1] + RING_CELLS + 1, weight.shape[1])),
    )


def _pooled(dense: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean features of regions (n, rows, columns) and of their surroundings: float32 (n, 2, c)."""
    both = np.stack([weights, surroundings(weights)], axis=1).reshape(2 * len(weights), -1)
    sums = both @ np.ascontiguousarray(dense).reshape(-1, dense.shape[2])
    return (sums / both.sum(axis=1, keepdims=True)).reshape(len(weights), 2, -1)


def surroundings(weights: np.ndarray) -> np.ndarray:
    """`ring` of every region, (n, rows, columns); the region itself where nothing is around."""
    around = np.stack([ring(one) for one in weights])
    empty = around.sum(axis=(1, 2)) <= 0
    around[empty] = weights[empty]
    return around


def write(net: SmallClip, judged: Mapping[str, str]) -> bytes:
    """A model as the bytes of a safetensors file, weights in half precision."""
    state = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in net.state_dict().items()
    }
    return save(state, {"judged_as": json.dumps(dict(judged), sort_keys=True)})


def read(data: bytes | Traversable) -> tuple[SmallClip, dict[str, str]]:
    """A model, and what its `judged_as` is, from what `write` returned or a file of it."""
    content = data if isinstance(data, bytes) else data.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    net = SmallClip()
    net.load_state_dict({name: value.float() for name, value in load(content).items()})
    return net, json.loads(header["__metadata__"]["judged_as"])
