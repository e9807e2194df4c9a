"""Annotated sets at size: folds of PanNuke into candidates, in one process with one thread.

    python -m tests.bench.annotated [--tiles 400] [--folder DIR]

A tile of PanNuke has 256 px, six channels of 8 bytes and some two dozen nuclei; the published folds
have 2,523 to 2,722 of them, 8.6 GB of masks. Prints processor time per stage, tiles a second and
the peak of memory; the fold is written in a process of its own and stays in DIR.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from miner.core.threads import MALLOC

SIDE_PX, CHANNELS = 256, 6
PINK, DARKER = (200, 150, 190), (80, 90, 40)


def write_fold(folder: Path, tiles: int) -> None:
    """A fold in PanNuke's layout: ellipses on noise, of one class or of all five."""
    rng = np.random.default_rng(0)
    pictures, masks = folder / "images" / "fold1", folder / "masks" / "fold1"
    for place in (pictures, masks):
        place.mkdir(parents=True)
    shape = tiles, SIDE_PX, SIDE_PX
    memory = np.lib.format.open_memmap
    drawn = memory(pictures / "images.npy", "w+", np.float64, (*shape, 3))
    ids = memory(masks / "masks.npy", "w+", np.float64, (*shape, CHANNELS))
    np.save(pictures / "types.npy", np.array(["Breast"] * tiles))
    for i in range(tiles):
        labels = np.zeros((SIDE_PX, SIDE_PX), np.int32)
        for nucleus in range(1, 1 + int(rng.gamma(2.2, 11))):
            center, axes = rng.integers(0, SIDE_PX, 2), rng.integers(6, 13, 2)
            turn = int(rng.integers(0, 180))
            cv2.ellipse(labels, center.tolist(), axes.tolist(), turn, 0, 360, nucleus, -1)
        most = 5 if rng.random() < 0.7 else 1
        classes = (rng.integers(0, most, labels.max() + 1) + rng.integers(0, 5)) % 5
        for one in range(5):
            ids[i, ..., one] = np.where((labels > 0) & (classes[labels] == one), labels, 0)
        ids[i, ..., 5] = labels == 0
        noise = cv2.GaussianBlur(rng.normal(0, 60, (SIDE_PX, SIDE_PX, 3)), (0, 0), 1.5)
        noise += rng.normal(0, 4, noise.shape) + np.array(PINK)
        noise[labels > 0] -= np.array(DARKER)
        drawn[i] = np.clip(np.round(noise), 0, 255)


def measure(folder: Path) -> dict[str, float]:
    """Processor time of the stages up to candidates, ms a tile, and the peak of memory."""
    from miner.core.store import Store
    from miner.corpora.plan import load_unit, make_plan
    from ner.config import NerConfig
    from ner.stage import ExtractMentions
    from segmenters.config import SegmentConfig
    from segmenters.expert import ExpertConfig
    from segmenters.stage import Segment
    from tests.miner.corpora.layouts import config

    corpus = config("pannuke", folder)
    stages = {
        "extract": ExtractMentions(NerConfig()),
        "segment": Segment(SegmentConfig(segmenters=(ExpertConfig(),))),
    }
    spent = dict.fromkeys(("read", *stages), 0.0)
    tiles = 0
    with tempfile.TemporaryDirectory() as out:
        store = Store(out)
        for ref in make_plan([corpus], 64, store).refs():
            started = time.process_time()
            unit = load_unit(ref, [corpus], store)
            spent["read"] += time.process_time() - started
            for name, stage in stages.items():
                started = time.process_time()
                unit = stage(unit)
                spent[name] += time.process_time() - started
            tiles += unit.images.num_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ms = {f"{name}_ms": round(1000 * value / tiles, 2) for name, value in spent.items()}
    rate = round(tiles / sum(spent.values()), 1)
    return {"tiles": tiles, **ms, "tiles_per_s": rate, "peak_mb": round(peak)}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=400)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not (folder / "Fold 1").exists():
            writer = multiprocessing.Process(
                target=write_fold, args=(folder / "Fold 1", arguments.tiles)
            )
            writer.start()
            writer.join()
        command = [sys.executable, "-m", "tests.bench.annotated", "--measure", str(folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **MALLOC}
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
