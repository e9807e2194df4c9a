"""What the filters cost: `python -m tests.bench.filters cost vit`.

Times are of one core, interleaved; of several rounds the fastest counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from filters.batch import read_batch
from filters.calibration.candidates import answers, score_tiles
from filters.calibration.curves import auroc
from filters.calibration.labelled import phantoms
from filters.clip.config import ClipConfig
from filters.config import FilterConfig
from filters.stage import Score
from miner.core.masks import bbox, encode
from miner.core.rle import encode_labels
from ner.concepts import concepts
from segmenters.protocol import Candidate
from segmenters.stain import StainSegmenter
from tests.bench.clip_cost import biomedparse, vit

SEED = 913_000
CROPS = ClipConfig(regions="crops", max_instances=4)


def rows_of(found: Mapping[str, Candidate]) -> list[dict[str, Any]]:
    """A segmenter's answers as rows of candidates."""
    return [
        {
            "concept": name,
            "kind": concepts()[name].kind,
            "asked_as": one.asked_as,
            "roles": ["positive"],
            "prompt": name,
            "segmenter": "stain",
            "counts": encode(one.mask),
            "instances": encode_labels(one.labels) if one.labels is not None else [],
            "bbox": list(bbox(one.mask)),
            "area_px": int(one.mask.sum()),
            "confidence": one.confidence,
        }
        for name, one in found.items()
        if one.mask is not None
    ]


def fastest(jobs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest round of each job, taken in turn."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            best[name] = min(best[name], time.process_time() - start)
    return best


def beside_stain(tiles: int = 6, side: int = 672) -> None:
    """Seconds of the filters with the embedded CLIP against the stain segmenter."""
    from tests.bench.filters import figure

    stain = StainSegmenter()
    scores = {"filters": Score(FilterConfig()), "without CLIP": Score(FilterConfig(clip=None))}
    spent = dict.fromkeys(["stain segmenter", *scores], 0.0)
    masks = 0
    for tile in phantoms(tiles, SEED, side):
        rows = rows_of(answers(tile, stain, sorted(tile.truth)))
        jobs: dict[str, Callable[[], Any]] = {
            "stain segmenter": lambda t=tile: answers(t, stain, sorted(t.truth))
        }
        for name, score in scores.items():
            jobs[name] = lambda s=score, t=tile, r=rows: s.score_image(t.image, t.mpp, r)
        for name, seconds in fastest(jobs, 3).items():
            spent[name] += seconds
        masks += len(rows)
    print(f"cost: {tiles} phantoms of {side} px, {masks} masks, one core")
    for name, seconds in spent.items():
        print(f"  {name}: {seconds / tiles:.2f} s a picture")
    ratio = spent["filters"] / spent["stain segmenter"]
    figure("  filters with the embedded CLIP / stain segmenter", ratio, "<= 3", ratio <= 3)


def pooled_or_cropped(tiles: int = 8) -> None:
    """Seconds and AUROC of the agreement: one pass an image against one crop a region."""
    from segmenters.embedded import EmbeddedSegmenter

    segmenter = EmbeddedSegmenter()
    print(f"one forward pass an image against one crop a region, {tiles} phantoms of 384 px:")
    for name, config in (("pooled", ClipConfig()), ("crops", CROPS)):
        score = Score(FilterConfig(clip=config))
        assert score.clip is not None
        inner, spent = score.clip.scores, 0.0

        def timed(*arguments: Any, inner: Callable[..., Any] = inner) -> Any:
            nonlocal spent
            start = time.process_time()
            out = inner(*arguments)
            spent += time.process_time() - start
            return out

        score.clip.scores = timed  # type: ignore[method-assign]
        table = score_tiles(phantoms(tiles, SEED + 1), segmenter, score)
        right = np.array(table["right"].to_pylist(), bool)
        columns = read_batch(table).columns
        areas = ", ".join(
            f"{key} {auroc(np.nan_to_num(columns[key], nan=-1.0), right):.3f}"
            for key in ("clip_prob", "clip_margin_sibling", "clip_margin_random")
        )
        print(f"  {name}: {spent / tiles:.2f} s a picture ({len(right)} candidates); AUROC {areas}")


def beside_biomedparse(side: int = 1024) -> None:
    """Seconds of the filters with a CLIP of the ViT-B class against BiomedParse, random weights."""
    from tests.bench.filters import figure

    stain, model = StainSegmenter(), biomedparse()
    tile = next(phantoms(1, SEED + 2, side))
    rows = rows_of(answers(tile, stain, sorted(tile.truth)))
    texts = [row["prompt"] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        jobs: dict[str, Callable[[], Any]] = {
            "BiomedParse": lambda: model.decode(model.encode(tile.image), texts)
        }
        for patch in (32, 16):
            config = FilterConfig(clip=ClipConfig(model=vit(Path(folder), patch)))
            score = Score(config)
            assert score.clip is not None
            # Phrases are embedded once a process, which is no cost of a picture.
            unit = np.full(512, 512**-0.5, np.float32)
            score.clip.phrase = lambda _, unit=unit: unit  # type: ignore[method-assign,misc]
            score.score_image(tile.image, tile.mpp, rows[:1])  # first pass: memory is laid out
            jobs[f"filters with ViT-B/{patch}"] = lambda s=score: s.score_image(
                tile.image, tile.mpp, rows
            )
        spent = fastest(jobs, 1)
    print(f"one picture of {side} px, {len(rows)} masks, models of the released size:")
    for name, seconds in spent.items():
        print(f"  {name}: {seconds:.2f} s")
    for name in jobs:
        if name != "BiomedParse":
            ratio = spent[name] / spent["BiomedParse"]
            figure(f"  {name} / BiomedParse", ratio, "< 1", ratio < 1)
