"""Promises of speed: ratios to what one would otherwise use, measured interleaved."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench import ner
from tests.verify.promise import Promise, promise

NER_BAR = 1 / 3
RAY_BAR = 0.9
PACK_BAR = 1.0
LOAD_BAR = 0.8
TILES = 300
ROUNDS = 9  # of a second each, of which the median counts: whatever else runs disturbs few of them


def captions() -> Iterator[Promise]:
    """The caption stage beside a bare PhraseMatcher on the same terms."""
    matcher, ours = ner.rates(seconds=1.0, rounds=3).values()
    yield _ratio("captions/s beside a bare PhraseMatcher", NER_BAR, ours, matcher)


def shards(folder: Path) -> Iterator[Promise]:
    """Packing beside a bare TarWriter, loading beside raw tar and cv2, in one process."""
    from tests.bench import io

    io.one_thread()
    samples = io.tiles(TILES, 512)
    io.pack_peer(samples, folder / "tiles")
    contestants = [*io.bench_pack(folder, samples), *io.bench_load(folder / "tiles")][:4]
    packed, ours, raw, stream = (
        [wall for wall, _ in found] for found in io.contest(contestants, rounds=ROUNDS).values()
    )
    yield _ratio("packing, synced and hashed, beside a bare TarWriter", PACK_BAR, ours, packed)
    yield _ratio("loading beside raw tar + cv2, one process", LOAD_BAR, stream, raw)


def workers() -> Iterator[Promise]:
    """The whole pipeline on two Ray workers, and in two processes of a pool."""
    from tests.bench import runner

    found = runner.measure(captions=120, rounds=2, names=("Ray, 2 workers", "Pool(2)"))
    yield _ratio("units/s of two Ray workers beside Pool(2)", RAY_BAR, *found.values())


def _ratio(what: str, bar: float, ours: Sequence[float], other: Sequence[float]) -> Promise:
    ratio = statistics.median(a / b for a, b in zip(ours, other, strict=True))
    return promise(what, f">= {bar:.2f}", f"{ratio:.2f}", ratio >= bar)
