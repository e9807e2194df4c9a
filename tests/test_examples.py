"""The examples of docs/examples/ work in the pipeline once CONTRIBUTING's lines are added.

A copy of the packages gets the examples and the lines, and mines a few phantoms.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from miner.demo import render

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = {
    "segmenter.py": "segmenters/brown.py",
    "filter.py": "filters/sharpness.py",
    "exporter.py": "shards/export/yolo.py",
}
SHARP = 0.2  # threshold on the example filter's score, as CONTRIBUTING has it


def hunks() -> list[tuple[str, str, str]]:
    """(file, lines that are there, lines that should be) of the diffs in CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```diff\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in block.split("+++ ")[1:]:
            file, *lines = part.splitlines()
            old = [line[1:] for line in lines if line[:1] != "+"]
            new = [line[1:] for line in lines if line[:1] != "-"]
            found.append((file, "\n".join(old) + "\n", "\n".join(new) + "\n"))
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages with the examples added; files that do not change are links."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("configs", "filters", "miner", "ner", "segmenters", "shards"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / room, folder / room, ignore=skip, copy_function=os.symlink)
    for example, place in EXAMPLES.items():
        shutil.copy(ROOT / "docs/examples" / example, folder / place)
    for file, old, new in hunks():
        text = (folder / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"CONTRIBUTING.md shows lines that {file} has not:\n{old}"
        (folder / file).unlink()
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def out(checkout: Path) -> Path:
    """Phantoms mined by the example segmenter, those that are not sharp left out."""
    for seed, stain, blurred in ((5, "IHC", False), (4, "IHC", True), (5, "H&E", False)):
        image = render.tile(seed, 192, 0.5, stain=stain, flaws=0).image
        image = cv2.GaussianBlur(image, (0, 0), 3) if blurred else image
        name = f"{stain.replace('&', '')}{' blurred' if blurred else ''}"
        (checkout / "pairs").mkdir(exist_ok=True)
        Image.fromarray(image).save(checkout / f"pairs/{name}.png")
        (checkout / f"pairs/{name}.txt").write_text("Nuclei in a section.")
    settings = {
        "corpora": [{"kind": "pairs", "path": "pairs", "assumed_mpp": 0.5}],
        "segment": {"segmenters": [{"kind": "brown", "marks": "nucleus"}], "decoys": 0},
        # The models know H&E alone; here the example's score decides.
        "filters": {"clip": None, "support_alpha": 0, "at_least": {"sharpness": SHARP}},
        "shards": {"splits": {"train": 1}},
    }
    (checkout / "brown.yaml").write_text(yaml.safe_dump(settings))
    miner(checkout, "run", "brown.yaml", "--no-ray", "--out", "out")
    return checkout / "out"


def miner(checkout: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-m", "miner.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=checkout, env=environment)
    assert done.returncode == 0, f"miner {' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def masks(out: Path) -> dict[str, dict]:
    """The candidate ledger's row of each picture."""
    samples = pq.read_table(out / "ledger/samples/pairs.parquet").to_pylist()
    images = {row["sample_id"]: Path(row["image"]).stem for row in samples}
    rows = pq.read_table(out / "ledger/candidates/pairs.parquet").to_pylist()
    return {images[row["sample_id"]]: row for row in rows}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name):
    assert len((ROOT / "docs/examples" / name).read_text().splitlines()) < 60


def test_the_segmenter_finds_what_is_brown_and_nothing_else(masks):
    assert {row["segmenter"] for row in masks.values()} == {"brown"}
    assert masks["IHC"]["area_px"] > 500
    assert (masks["HE"]["area_px"], masks["HE"]["reason"]) == (0, "empty")


def test_the_filter_keeps_the_sharp_and_drops_the_blurred(masks):
    assert masks["IHC"]["sharpness"] > SHARP > masks["IHC blurred"]["sharpness"]
    assert masks["IHC"]["keep"]
    assert masks["IHC blurred"]["reason"] == "at_least:sharpness"
    assert masks["HE"]["sharpness"] is None


def test_the_exporter_writes_polygons_of_the_mask(checkout, out, masks):
    miner(checkout, "export", "out", "--to", "yolo", "--out", "yolo")
    assert yaml.safe_load((checkout / "yolo/data.yaml").read_text())["names"] == {0: "nucleus"}
    (label,) = (checkout / "yolo/labels/train").iterdir()
    drawn = np.zeros((192, 192), np.uint8)
    for line in label.read_text().splitlines():
        number, *points = line.split()
        assert number == "0"
        corners = np.array(points, float).reshape(-1, 2) * 192
        assert corners.min() >= 0
        assert corners.max() <= 192
        # Pixel edges to pixel centres, so that OpenCV fills the same pixels.
        inside = np.zeros((192 * 4, 192 * 4), np.uint8)
        cv2.fillPoly(inside, [np.round(corners * 4).astype(np.int32)], 1)
        drawn |= inside[2::4, 2::4]
    assert drawn.sum() == masks["IHC"]["area_px"]
