"""The training loop of the small CLIP.

Three losses on the same logits (region by phrase): a sigmoid on every pair whose answer is known,
a softmax over the phrases that are wrong for a region, and a softmax over the regions that are
wrong for a phrase (other structures, shifted masks, complements). Negated phrases are wrong for
the regions of what they deny.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from filters.clip.config import TEMPLATES
from filters.clip.counterfactuals import ring
from filters.clip.embedded import to_tensor
from filters.clip.network import SmallClip
from filters.training.clip.augment import augment
from filters.training.clip.lessons import Lesson, lesson, stack
from filters.training.clip.tiles import LayeredTile
from filters.training.clip.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        steps: updates at most.
        minutes: the rate falls to zero by then, whatever the steps; equal seeds give equal weights
            only where the steps end the training.
        batch: patches per update.
        rate: peak learning rate of AdamW.
        real_share: share of the patches that come from real tiles, where there are any.
        seed: of everything.
    """

    steps: int
    minutes: float
    batch: int = 16
    rate: float = 2e-3
    real_share: float = 0.6
    seed: int = 0


class Draw:
    """Draws lessons: concepts evenly (by the root of their number of tiles), then a tile."""

    def __init__(self, tiles: Sequence[LayeredTile], vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._by_concept: dict[str, list[LayeredTile]] = {}
        for tile in tiles:
            for concept in sorted({layer.concept for layer in tile.layers}):
                self._by_concept.setdefault(concept, []).append(tile)
        self._names = sorted(self._by_concept)
        weights = np.sqrt([len(self._by_concept[name]) for name in self._names])
        self._shares = weights / weights.sum()

    def __call__(self, rng: np.random.Generator) -> Lesson:
        """One lesson with at least one region."""
        while True:
            name = self._names[int(rng.choice(len(self._names), p=self._shares))]
            tiles = self._by_concept[name]
            found = lesson(tiles[int(rng.integers(len(tiles)))], name, self._vocabulary, rng)
            if found is not None:
                return dataclasses.replace(found, image=augment(found.image, rng))


def pool(features: Tensor, weights: Tensor, owner: Tensor) -> Tensor:
    """Mean features of regions.

    Args:
        features: float (images, c, h, w).
        weights: float (n, h, w).
        owner: int (n,), the image of each region.

    Returns:
        float (n, c).
    """
    flat = features.flatten(2)
    out = features.new_zeros(len(weights), features.shape[1])
    for image in range(len(features)):
        mine = owner == image
        if mine.any():
            part = weights[mine].flatten(1)
            out[mine] = part @ flat[image].T / part.sum(dim=1, keepdim=True).clamp(min=1e-6)
    return out


def embed(net: SmallClip, images: np.ndarray, weights: np.ndarray, owner: np.ndarray) -> Tensor:
    """Embeddings of regions, float (n, d)."""
    around = np.stack([ring(one) for one in weights])
    empty = around.sum(axis=(1, 2)) <= 0
    around[empty] = weights[empty]
    features = net.image(to_tensor(images)).float()
    index = torch.from_numpy(owner)
    inside = pool(features, torch.from_numpy(weights), index)
    outside = pool(features, torch.from_numpy(around), index)
    return net.image.embed(inside, outside)


def loss(regions: Tensor, texts: Tensor, labels: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Sum of the three losses.

    Args:
        regions: float (n, d), unit length.
        texts: float (m, d), unit length.
        labels: int8 (n, m): 1 right, -1 wrong, 0 unknown.
        scale: factor of the cosines.
        bias: offset of the sigmoid.
    """
    logits = scale * regions @ texts.T
    right, wrong = labels > 0, labels < 0
    pairs = torch.nn.functional.softplus(-(logits + bias) * labels)
    sigmoid = pairs[right].mean() + pairs[wrong].mean()
    masked = logits.masked_fill(~wrong, -1e4)
    ends = []
    for dim in (1, 0):
        rest = torch.logsumexp(masked, dim=dim, keepdim=True)
        ends.append(torch.nn.functional.softplus(rest - logits)[right].mean())
    return sigmoid + ends[0] + ends[1]


def train(
    real: Sequence[LayeredTile],
    phantoms: Sequence[LayeredTile],
    vocabulary: Vocabulary,
    schedule: Schedule,
    report: Callable[[int, float, SmallClip], None],
) -> SmallClip:
    """Train on tiles; equal arguments give equal weights as long as the steps end the training.

    Args:
        real: labelled real tiles, may be empty.
        phantoms: labelled phantoms, may be empty when there are real tiles.
        vocabulary: the concepts to teach.
        schedule: how long and how fast.
        report: called every 100 steps with the number of steps, the running loss and the model.
    """
    torch.manual_seed(schedule.seed)
    rng = np.random.default_rng(schedule.seed)
    net = SmallClip()
    net.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=schedule.rate, weight_decay=0.02)
    draws = [Draw(tiles, vocabulary) for tiles in (real, phantoms) if tiles]
    start, mean = time.monotonic(), 0.0
    for step in range(schedule.steps):
        used = (time.monotonic() - start) / 60
        done = max(step / schedule.steps, used / schedule.minutes)
        if done >= 1:
            break
        warm = min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate * warm * 0.5 * (1 + np.cos(np.pi * done))
        lessons = [
            draws[0 if rng.random() < schedule.real_share else -1](rng)
            for _ in range(schedule.batch)
        ]
        images, weights, labels, owner = stack(lessons)
        known = torch.from_numpy(labels)
        denied = torch.where(known > 0, -1, 0).to(torch.int8)
        texts = vocabulary.say(rng, TEMPLATES) + vocabulary.deny(rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            embeddings = embed(net, images, weights, owner)
            phrases = net.text(texts)
        value = loss(
            embeddings.float(),
            phrases.float(),
            torch.cat([known, denied], dim=1),
            net.scale.exp().clamp(max=50),
            net.bias,
        )
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        mean = value.item() if step == 0 else 0.98 * mean + 0.02 * value.item()
        if (step + 1) % 100 == 0:
            report(step + 1, mean, net)
    return net.eval()
