"""Fits the reference distributions of the KS statistics on correct regions."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from filters import ks
from filters.calibration.labelled import Labelled, phantoms
from filters.distributions import Table
from filters.features import Pixels, evenly
from filters.objects import measure
from filters.references import HELDOUT, Reference, References
from miner.core.errors import Refused
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
        pixels = Pixels(tile.image, tile.mpp)
        self.pictures[tile.source, tile.group].append(ks.sample_picture(pixels))
        for name, truth in tile.truth.items():
            mask = truth.labels > 0
            if int(mask.sum()) < ks.MIN_PIXELS or mask.mean() > 0.97:
                continue
            objects = {}
            if concepts()[name].kind == "object":
                objects = ks.object_sample(measure(truth.labels), tile.mpp)
            sample = ks.sample_region(pixels, mask)
            self.regions[name].append(Region(tile.source, tile.group, sample, objects))


def phantom_regions(count: int, seed: int, side_px: int = 384, wanted: int = 40) -> Collected:
    """Regions of fresh phantoms, and of more phantoms of those organs that show rare concepts.

    A conformal p cannot fall below 1 / (n + 1): a concept with few regions could never be refused.

    Args:
        count: tiles of all organs in turn; at most three times as many more are rendered.
        seed: of all of them.
        side_px: side of a tile.
        wanted: regions of every concept, as far as that many tiles show them.
    """
    collected = Collected()
    shows: dict[str, set[str]] = defaultdict(set)
    for tile in phantoms(count, seed, side_px):
        collected.add(tile)
        shows[tile.site or ""] |= set(tile.truth)
    for round_ in range(3):
        rare = {name for name, rows in collected.regions.items() if len(rows) < wanted}
        organs = [organ for organ in sorted(shows) if shows[organ] & rare]
        if organs:
            for tile in phantoms(count, seed + 1 + round_, side_px, organs=organs):
                collected.add(tile)
    return collected


def fit_references(real: Collected, phantom: Collected, where: str = "the tiles") -> References:
    """References from real regions where a concept has enough, from phantoms elsewhere.

    Args:
        real: regions of real tiles.
        phantom: regions of phantoms; may be empty.
        where: of which tiles they are, for messages.

    Raises:
        Refused: no concept has enough regions; says how many there are.
    """
    chosen: dict[str, list[Region]] = {}
    for name in sorted({*real.regions, *phantom.regions}):
        regions = real.regions.get(name, [])
        if len(regions) < MIN_REGIONS:
            regions = phantom.regions.get(name, [])
        if len(regions) >= MIN_REGIONS:
            chosen[name] = _thinned(regions)
    if not chosen:
        there = {name: len(rows) for name, rows in sorted(real.regions.items())}
        listed = ", ".join(f"{name} {number}" for name, number in there.items()) or "none"
        raise Refused(
            f"--masks: no concept has {MIN_REGIONS} labelled regions (pictures that show it) "
            f"to refer to in {where}; found: {listed}"
        )
    heldout = _Without(chosen).statistics()
    found = {
        name: Reference(
            *_pooled(regions),
            {k: np.sort(np.array(v, float)) for k, v in heldout[name].items()},
            tuple(sorted({r.source for r in regions})),
            "source" if _several(regions) else "group",
        )
        for name, regions in chosen.items()
    }
    return References(found, *_pictures({**real.pictures, **phantom.pictures}))


def _thinned(regions: Sequence[Region]) -> list[Region]:
    by_source: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        by_source[region.source].append(region)
    return [
        by_source[source][i]
        for source in sorted(by_source)
        for i in evenly(len(by_source[source]), PER_SOURCE)
    ]


def _several(regions: Sequence[Region]) -> bool:
    return len({r.source for r in regions}) > 1


class _Without:
    """The statistics of every region against references that have not seen its source.

    A concept of several sources is left without the region's source, one of a single source
    without the tenth of its groups that holds the region's; rivals' references likewise, since a
    new region has not been seen by them either.
    """

    def __init__(self, chosen: Mapping[str, Sequence[Region]]):
        self.chosen = chosen
        self.several = {name: _several(regions) for name, regions in chosen.items()}
        groups = sorted({(r.source, r.group) for rows in chosen.values() for r in rows})
        self.tenth: dict[tuple[str, str], int] = {}
        count: dict[str, int] = defaultdict(int)
        for source, group in groups:
            self.tenth[source, group] = count[source] % 10
            count[source] += 1
        self.pools: dict[tuple[str, str, int], Reference | None] = {}

    def statistics(self) -> dict[str, dict[str, list[float]]]:
        """Per concept and name of `HELDOUT` the statistics of its regions."""
        found: dict[str, dict[str, list[float]]] = {
            name: {which: [] for which in HELDOUT} for name in self.chosen
        }
        parts: dict[tuple[str, int], list[tuple[str, Region]]] = defaultdict(list)
        for name, regions in self.chosen.items():
            for region in regions:
                key = region.source, self.tenth[region.source, region.group]
                parts[key].append((name, region))
        for (source, tenth), rows in sorted(parts.items(), key=lambda part: part[0]):
            pools = {name: self.pool(name, source, tenth) for name in self.chosen}
            known = {name: pool for name, pool in pools.items() if pool is not None}
            if known:
                table = Table(np.stack([one.pixels for one in known.values()]))
                for name, region in rows:
                    if name in known:
                        _measure(found[name], name, region, known, table)
        return found

    def pool(self, name: str, source: str, tenth: int) -> Reference | None:
        """A concept's reference without what was seen, None where too little is left."""
        key = (name, source, -1 if self.several[name] else tenth)
        if key not in self.pools:
            rest = [
                r
                for r in self.chosen[name]
                if r.source != source
                or (not self.several[name] and self.tenth[r.source, r.group] != tenth)
            ]
            enough = len(rest) >= MIN_REGIONS // 2
            self.pools[key] = Reference(*_pooled(rest), {}, (), "") if enough else None
        return self.pools[key]


def _measure(
    found: dict[str, list[float]],
    name: str,
    region: Region,
    known: Mapping[str, Reference],
    table: Table,
) -> None:
    """Add the statistics of one region of a concept."""
    d = table.d(region.pixels)
    names = list(known)
    at = names.index(name)
    raw, normalized = ks.reference_d(d[at])
    found["raw"].append(float(raw))
    found["normalized"].append(float(normalized))
    d_object = ks.object_d(region.objects, known[name])
    if d_object is not None:
        found["objects"].append(d_object)
    others = [names.index(other) for other in ks.rivals(name, names)]
    if others:
        rows = [ks.with_objects(d[i], region.objects, known[names[i]]) for i in (at, *others)]
        found["rival"].append(ks.nearer_rival(rows[0], np.stack(rows[1:])))


def _pooled(regions: Iterable[Region]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Quantiles of pixel and object features over regions, each region with the same weight."""
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
    return np.quantile(pixels, levels, axis=1).T, objects


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
                heldout += [ks.support_d(p, without) for p in pictures[key]]
    if len(sources) == 1:
        everything = pool(keys)
        heldout = [ks.support_d(p, everything) for key in keys for p in pictures[key]]
    return pool(keys), np.sort(np.array(heldout, float))
