"""A small run through the whole pipeline, with side files, that tests of this room share."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

CAPTIONS = 15
# Extension of the side file -> (corpus, where the configuration says it is).
SIDES = {
    "genes.npy": ("quilt", "expression/{stem}.npy"),  # by picture
    "spot.npy": ("pathgen", "spots/{stem}.npy"),  # by patch
    "panel.csv": ("pathgen", "panels/{group}.csv"),  # by slide
}


@dataclasses.dataclass(frozen=True)
class Mined:
    """The run.

    Attributes:
        out: OUT.
        corpora: the phantom corpora it was made of.
    """

    out: Path
    corpora: Path

    def sides(self, sample: Mapping[str, Any]) -> dict[str, bytes]:
        """Side files that a sample must have, by extension, from the files themselves."""
        stem = sample["image"].removesuffix(".jpg")
        found = {}
        for name, (corpus, pattern) in SIDES.items():
            path = pattern.replace("{stem}", stem).replace("{group}", sample["group"])
            if corpus == sample["corpus"] and (self.corpora / corpus / path).exists():
                found[name] = (self.corpora / corpus / path).read_bytes()
        return found


def mine(folder: Path) -> Mined:
    """Write phantom corpora and side files, and run the quickstart's configuration on them."""
    from miner.demo import write_demo
    from miner.load_config import load_config
    from miner.progress import Lines
    from miner.run import run

    corpora = folder / "corpora"
    write_demo(corpora, captions=CAPTIONS, seed=5)
    _write_sides(corpora)
    sections = []
    for kind in ("quilt", "pathcap", "pathgen"):
        sides = {name: pattern for name, (corpus, pattern) in SIDES.items() if corpus == kind}
        sections.append({"kind": kind, "path": str(corpora / kind), "side_paths": sides})
    config = folder / "config.yaml"
    filters = {"at_least": {"ks_rim": 0.0}}  # nearly every mask: what matters here is the way
    settings = {
        "out": str(folder / "out"),
        "corpora": sections,
        "filters": filters,
        "shards": {"keep_ignored": True},
    }
    config.write_text(yaml.safe_dump(settings))
    run(load_config(str(config), [], [], None), Lines(), False)
    return Mined(folder / "out", corpora)


def _write_sides(corpora: Path) -> None:
    """A vector for every picture of QUILT but each third; patches and slides of PathGen."""
    with open(corpora / "quilt/quilt_1M_lookup.csv", newline="") as file:
        pictures = sorted({row["image_path"] for row in csv.DictReader(file)})
    for i, picture in enumerate(pictures):
        if i % 3 != 2:
            stem = Path(picture).name.removesuffix(".jpg")
            _write(corpora / f"quilt/expression/{stem}.npy", _vector(i))
    patches = json.loads((corpora / "pathgen/PathGen-1.6M.json").read_text())
    for i, patch in enumerate(patches):
        x, y = patch["position"]
        name = f"{patch['wsi_id']}_{x}_{y}"
        _write(corpora / f"pathgen/spots/{name}.npy", _vector(100 + i))
        panel = f"CD8,CD20\n{i},2\n".encode()
        _write(corpora / f"pathgen/panels/{patch['wsi_id']}.csv", panel)


def _vector(seed: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).random(5, np.float32))
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
