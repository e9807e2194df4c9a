"""A finished OUT made by hand: phantom pictures, their truth as masks, scores at random."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from filters.scores import SCORES
from miner.barrier.finish import finish
from miner.commits import commit, marks
from miner.config import Config
from miner.core.layout import RUN
from miner.core.masks import bbox, decode, encode
from miner.core.names import map_name as file_stem
from miner.core.store import Store
from miner.core.unit import CANDIDATES, FACT, IMAGES, MENTION, SAMPLES, Unit
from miner.demo import render, stains
from miner.load_config import check_config
from shards import GroundedCaptions

ROWS = 7  # captions per unit
NAMED = ("nucleus", "stroma", "lymphocyte", "epithelium", "red blood cell")


def configuration() -> Config:
    """Two corpora; the settings that a report shows."""
    corpora = [{"kind": "quilt", "path": "q"}, {"kind": "pathcap", "path": "p"}]
    return check_config({"corpora": corpora, "filters": {"at_least": {"ks_rim": 0.4}}}, "test")


def finished(folder: Path, seed: int = 0) -> Store:
    """Write OUT with two units and everything that comes after them."""
    store, config = Store(folder), configuration()
    rng = np.random.default_rng(seed)
    for corpus in ("quilt", "pathcap"):
        commit(store, f"{corpus}-000000", unit(rng, corpus), run="r")
    run = {"config": config.model_dump(mode="json"), "hash": config.digest(), "seed": 0, "run": "r"}
    rows = {"quilt": ROWS, "pathcap": ROWS}
    store.write_json(RUN, {**run, "rows": rows, "versions": {"python": "3.11"}})
    finish(store, config, marks(store))
    return store


def expert_masks(store: Store, folder: Path) -> None:
    """The written regions themselves as label maps."""
    samples = GroundedCaptions(store.url)
    for sample in (samples[i]["sample"] for i in range(len(samples))):
        home = folder / sample["corpus"] / sample["image"].removesuffix(".jpg")
        home.mkdir(parents=True, exist_ok=True)
        for region in sample["regions"]:
            mask = decode(region["rle"]["counts"], *region["rle"]["size"])
            cv2.imwrite(str(home / f"{file_stem(region['concept'])}.png"), mask.astype(np.uint8))


def unit(rng: np.random.Generator, corpus: str) -> Unit:
    """One caption per picture; the last row can't be read, the one before names nothing."""
    samples, images, candidates = [], [], []
    for row in range(ROWS):
        image_id = f"{corpus}/{row}.jpg"
        tile = render.tile(rng, 160, 0.5, flaws=0.0)
        data = stains.encode_jpeg(tile.image, 90)
        status = {ROWS - 1: "unreadable", ROWS - 2: "no_entity"}.get(row)
        here = [c for c in NAMED if c in tile.present] if status is None else []
        caption = "Here are <b>" + ", ".join(here) + "</b> & no keratin."
        samples.append(
            {
                "sample_id": f"{corpus}-{row:08d}-00ff00", "corpus": corpus, "row": row,
                "image": f"{row}.jpg", "image_id": image_id, "group": f"{corpus}{row}",
                "license": "CC0", "source": corpus, "caption": caption, "turns": None,
                "meta": "{}", "status": status, "reason": {"unreadable": "truncated",
                "no_entity": "no_mention"}.get(status or ""),
                "mentions": [mention(caption, c) for c in here]
                + [mention(caption, "keratin", "negated")],
                "facts": [],
                "notes": ["llm:timeout"],
                "strata": [{"dimension": "organ", "value": tile.organ}],
            }
        )  # fmt: skip
        vector = rng.standard_normal(16)
        images.append(
            {
                "image_id": image_id, "data": data if status is None else None, "format": "jpg",
                "width": 160, "height": 160, "mpp": 0.5, "mpp_source": "assumed",
                "sha256": f"{corpus}{row}", "embedding": vector / np.linalg.norm(vector),
            }
        )  # fmt: skip
        for concept in (*here, "necrosis") if status is None else ():
            candidates.append(candidate(rng, image_id, concept, tile))
    return Unit(
        pa.Table.from_pylist(samples, SAMPLE_SCHEMA),
        pa.Table.from_pylist(images, IMAGES.append(pa.field("embedding", pa.list_(pa.float32())))),
        pa.Table.from_pylist(candidates, CANDIDATE_SCHEMA),
    )


STRATA = pa.list_(pa.struct([("dimension", pa.string()), ("value", pa.string())]))
SAMPLE_SCHEMA = pa.schema(
    [
        *SAMPLES,
        pa.field("mentions", pa.list_(MENTION)),
        pa.field("facts", pa.list_(FACT)),
        pa.field("strata", STRATA),
    ]
)
CANDIDATE_SCHEMA = pa.schema(
    [
        *CANDIDATES,
        *(pa.field(name, pa.float64()) for name in SCORES),
        pa.field("overlap_with", pa.string()),
        pa.field("inside_of", pa.string()),
        pa.field("notes", pa.list_(pa.string())),
    ]
)


def mention(caption: str, concept: str, polarity: str = "affirmed") -> dict:
    """A mention of a concept by its own name."""
    start = caption.index(concept)
    return {
        "start": start, "end": start + len(concept), "text": concept, "concept": concept,
        "kind": "object", "polarity": polarity, "sources": ["lexicon"],
        "groundable": polarity == "affirmed", "reason": None, "turn": None,
    }  # fmt: skip


def candidate(
    rng: np.random.Generator, image_id: str, concept: str, tile: render.PhantomTile
) -> dict:
    """The truth as a mask; a decoy gets a random disc."""
    mask = np.zeros(tile.image.shape[:2], np.uint8)
    entity = {"nucleus": "nuclei"}.get(concept, concept.replace(" ", "_"))
    if concept == "necrosis":
        cv2.circle(mask, (80, 80), 20, (1,), -1)
    else:
        mask[tile.labels[entity] > 0] = 1
    return {
        "image_id": image_id, "concept": concept, "kind": "stuff",
        "roles": ["decoy"] if concept == "necrosis" else ["positive"],
        "prompt": concept, "segmenter": "truth", "counts": encode(mask), "instances": [],
        "bbox": bbox(mask > 0), "area_px": int(mask.sum()), "confidence": float(rng.random()),
        "reason": None, **{name: float(rng.uniform(0.1, 0.9)) for name in SCORES},
        "geometry_area_fraction": float(mask.mean()), "geometry_border_fraction": 0.0,
        "geometry_outline_fraction": 0.0, "geometry_speck_fraction": 0.0,
        "geometry_density_mm2": None, "geometry_diameter_um": None, "geometry_overlap": 0.0,
        "geometry_inside": None, "overlap_with": None, "inside_of": None, "notes": [],
    }  # fmt: skip
