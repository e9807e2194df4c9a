"""Fits the reference distributions of the KS statistics on correct regions."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from filters import ks
from filters.calibration.labelled import Labelled
from filters.features import evenly, pixel_features
from filters.objects import measure
from filters.references import Reference, References
from miner.errors import Refused
from ner.concepts import concepts

LEVELS = 33  # quantiles per feature; D moves by under 0.01 beyond
MIN_REGIONS = 8  # fewer do not tell a concept's spread
PER_SOURCE = 120  # regions of one source and concept that enter a reference
PIXELS = 256  # pixels of each region that enter a reference


@dataclasses.dataclass(frozen=True)
class Region:
    """A correct region, reduced to what the references need.

    Attributes:
        source: data set.
        group: patient or slide.
        pixels: float32 (10, n), see `filters.ks.sample_region`.
        objects: see `filters.ks.object_sample`; empty for stuff.
    """

    source: str
    group: str
    pixels: np.ndarray
    objects: Mapping[str, np.ndarray]


@dataclasses.dataclass
class Collected:
    """What is kept of a set of tiles while it is read.

    Attributes:
        regions: by concept.
        pictures: by (source, group): whole pictures, float32 (10, n) each.
    """

    regions: dict[str, list[Region]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    pictures: dict[tuple[str, str], list[np.ndarray]] = dataclasses.field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, tile: Labelled) -> None:
        """Take the regions of one tile."""
        features = pixel_features(tile.image, tile.mpp)
        self.pictures[tile.source, tile.group].append(ks.sample_picture(features))
        for name, truth in tile.truth.items():
            mask = truth.labels > 0
            if int(mask.sum()) < ks.MIN_PIXELS or mask.mean() > 0.97:
                continue
            objects = {}
            if concepts()[name].kind == "object":
                objects = ks.object_sample(measure(truth.labels), tile.mpp)
            sample = ks.sample_region(features, mask)
            self.regions[name].append(Region(tile.source, tile.group, sample, objects))


def fit_references(real: Collected, phantom: Collected) -> References:
    """References from real regions where a concept has enough, from phantoms elsewhere.

    Args:
        real: regions of real tiles.
        phantom: regions of phantoms; may be empty.

    Raises:
        Refused: no concept has enough regions.
    """
    found: dict[str, Reference] = {}
    for name in sorted({*real.regions, *phantom.regions}):
        regions = real.regions.get(name, [])
        if len(regions) < MIN_REGIONS:
            regions = phantom.regions.get(name, [])
        if len(regions) >= MIN_REGIONS:
            found[name] = _reference(_thinned(regions))
    if not found:
        raise Refused(f"--masks: no concept has {MIN_REGIONS} labelled regions to refer to")
    pictures = {**real.pictures, **phantom.pictures}
    return References(found, *_pictures(pictures))


def _thinned(regions: Sequence[Region]) -> list[Region]:
    by_source: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        by_source[region.source].append(region)
    return [
        by_source[source][i]
        for source in sorted(by_source)
        for i in evenly(len(by_source[source]), PER_SOURCE)
    ]


def _reference(regions: Sequence[Region]) -> Reference:
    sources = tuple(sorted({r.source for r in regions}))
    by_source = len(sources) > 1
    heldout: dict[str, list[float]] = {"raw": [], "normalized": [], "objects": []}
    for out in _left_out(regions, by_source):
        rest = [r for r, gone in zip(regions, out, strict=True) if not gone]
        if len(rest) < MIN_REGIONS // 2:
            continue
        without = _pooled(rest, sources)
        for region, gone in zip(regions, out, strict=True):
            if not gone:
                continue
            raw, normalized = ks.reference_d(region.pixels, without)
            heldout["raw"].append(raw)
            heldout["normalized"].append(normalized)
            d = ks.object_d(region.objects, without)
            if d is not None:
                heldout["objects"].append(d)
    values = {name: np.sort(np.array(d, float)) for name, d in heldout.items()}
    pooled = _pooled(regions, sources)
    return dataclasses.replace(pooled, heldout=values, left_out="source" if by_source else "group")


def _left_out(regions: Sequence[Region], by_source: bool) -> list[list[bool]]:
    """Which regions are left out in each round: a source, or a tenth of the groups."""
    if by_source:
        sources = sorted({r.source for r in regions})
        return [[r.source == source for r in regions] for source in sources]
    groups = sorted({r.group for r in regions})
    part = {group: i % 10 for i, group in enumerate(groups)}
    return [[part[r.group] == k for r in regions] for k in range(min(10, len(groups)))]


def _pooled(regions: Iterable[Region], sources: tuple[str, ...]) -> Reference:
    """Quantiles over regions, each region with the same weight."""
    levels = np.linspace(0, 1, LEVELS)
    rows = list(regions)
    pixels = np.concatenate(
        [r.pixels[:, _resampled(r.pixels.shape[1], PIXELS)] for r in rows], axis=1
    )
    objects = {}
    for name in ks.OBJECT_FEATURES:
        values = [r.objects[name] for r in rows if name in r.objects]
        if len(values) >= MIN_REGIONS // 2:
            together = np.concatenate([v[_resampled(len(v), 32)] for v in values])
            objects[name] = np.quantile(together, levels)
    quantiles = np.quantile(pixels, levels, axis=1).T
    return Reference(quantiles, objects, {}, sources, "")


def _resampled(n: int, size: int) -> np.ndarray:
    """`size` of `n` positions, evenly spread, repeated where n is smaller."""
    return np.linspace(0, n - 1, size).astype(np.int64)


def _pictures(
    pictures: Mapping[tuple[str, str], Sequence[np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Pooled quantiles of all pictures, and D of each against those of other sources."""
    levels = np.linspace(0, 1, LEVELS)

    def pool(keys: Sequence[tuple[str, str]]) -> np.ndarray:
        # Every source has the same weight: how many tiles one gave is no property of stains.
        parts = []
        for source in sorted({key[0] for key in keys}):
            rows = [p for key in keys if key[0] == source for p in pictures[key]]
            together = np.concatenate([p[:, evenly(p.shape[1], 64)] for p in rows], axis=1)
            parts.append(together[:, _resampled(together.shape[1], 4096)])
        return np.quantile(np.concatenate(parts, axis=1), levels, axis=1).T

    keys = sorted(pictures)
    sources = sorted({key[0] for key in keys})
    heldout = []
    for source in sources if len(sources) > 1 else []:
        without = pool([key for key in keys if key[0] != source])
        for key in keys:
            if key[0] == source:
                heldout += [ks.sample_support_d(p, without) for p in pictures[key]]
    if len(sources) == 1:
        everything = pool(keys)
        heldout = [ks.sample_support_d(p, everything) for key in keys for p in pictures[key]]
    return pool(keys), np.sort(np.array(heldout, float))
