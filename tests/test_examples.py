"""docs/examples/ is a package of its own whose parts mine phantoms without an edit of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from miner.demo import render

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs/examples"
PROJECT = tomllib.loads((EXAMPLES / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SHARP = 0.2  # threshold on the example's score
CONFIG = {
    "corpora": [{"kind": "notes", "path": "notes", "assumed_mpp": 0.5}],
    "segment": {"segmenters": [{"kind": "brown", "marks": "nucleus"}], "decoys": 0},
    "filters": {
        # The models know H&E alone; here the example's score decides.
        "clip": None,
        "support_alpha": 0,
        "scores": [{"kind": "sharpness"}],
        "at_least": {"sharpness": SHARP},
    },
    "shards": {"splits": {"train": 1}},
}

Miner = Callable[..., str]


def test_an_example_is_short():
    for file in (EXAMPLES / "histomine_examples").glob("*.py"):
        assert len(file.read_text().splitlines()) < 60, file.name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three phantoms, one of them blurred and one without brown, in a Markdown file."""
    place = tmp_path_factory.mktemp("lab")
    (place / "notes").mkdir()
    lines = ["# A day in the lab\n"]
    for seed, stain, blurred in ((5, "IHC", False), (4, "IHC", True), (5, "H&E", False)):
        image = render.tile(seed, 192, 0.5, stain=stain, flaws=0).image
        image = cv2.GaussianBlur(image, (0, 0), 3) if blurred else image
        name = f"{stain.replace('&', '')}{'-blurred' if blurred else ''}"
        Image.fromarray(image).save(place / f"notes/{name}.png")
        lines.append(f"Then ![Nuclei in a section.]({name}.png) was seen.\n")
    (place / "notes/day.md").write_text("\n".join(lines))
    (place / "lab.yaml").write_text(yaml.safe_dump(CONFIG))
    (place / "mix.yaml").write_text("tasks: {border: 1}\nrefusals: 0\n")
    return place


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as pip would leave it, which takes pip some seconds."""
    site = tmp_path_factory.mktemp("site")
    (site / "histomine_examples").symlink_to(EXAMPLES / "histomine_examples")
    info = site / "histomine_examples-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: 1\n")
    lines = []
    for group, entries in PROJECT["entry-points"].items():
        lines += [f"[{group}]", *(f"{kind} = {value}" for kind, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return site


def command(place: Path, python: str, path: str) -> Miner:
    """`miner` of some interpreter, with a search path of its own."""

    def miner(*words: str) -> str:
        run = [python, "-m", "miner.cli", *words]
        wide = {**os.environ, "PYTHONPATH": path, "COLUMNS": "160"}
        done = subprocess.run(run, capture_output=True, text=True, cwd=place, env=wide)
        assert done.returncode == 0, f"miner {' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return miner


@pytest.fixture(scope="module")
def miner(place: Path, beside: Path) -> Miner:
    return command(place, sys.executable, f"{ROOT}:{beside}")


@pytest.fixture(scope="module")
def out(place: Path, miner: Miner) -> Path:
    miner("run", "lab.yaml", "--no-ray", "--out", "out")
    return place / "out"


def masks(out: Path) -> dict[str, dict]:
    """The candidate ledger's row of each picture."""
    samples = pq.read_table(out / "ledger/samples/notes-000000.parquet").to_pylist()
    images = {row["sample_id"]: Path(row["image"]).stem for row in samples}
    rows = pq.read_table(out / "ledger/candidates/notes-000000.parquet").to_pylist()
    return {images[row["sample_id"]]: row for row in rows}


def check_mined(out: Path) -> None:
    """What segmenter, reader and score left in an OUT."""
    found = masks(out)
    assert found.keys() == {"IHC", "IHC-blurred", "HE"}
    assert {row["segmenter"] for row in found.values()} == {"brown"}
    assert found["IHC"]["area_px"] > 500
    assert (found["HE"]["area_px"], found["HE"]["reason"]) == (0, "empty")
    assert found["IHC"]["sharpness"] > SHARP > found["IHC-blurred"]["sharpness"]
    assert found["IHC"]["keep"]
    assert found["IHC-blurred"]["reason"] == "at_least:sharpness"
    assert found["HE"]["sharpness"] is None
    schema = pq.read_schema(out / "ledger/candidates/notes-000000.parquet")
    assert b"Laplacian" in schema.field("sharpness").metadata[b"description"]
    (value,) = samples(out)
    assert value["regions"][0]["scores"] == [
        {"name": "sharpness", "value": found["IHC"]["sharpness"]}
    ]


def samples(out: Path) -> list[dict]:
    from miner.core.store import Store
    from shards.export.run import samples

    return [one.value for one in samples(Store(str(out)))]


def check_exported(place: Path, out: Path, miner: Miner) -> None:
    """Polygons of the mask by the exporter, a dialogue by the task."""
    name = f"{out.name}-yolo"
    miner("export", out.name, "--to", "yolo", "--out", name)
    assert yaml.safe_load((place / name / "data.yaml").read_text())["names"] == {0: "nucleus"}
    (label,) = (place / name / "labels/train").iterdir()
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
    assert drawn.sum() == masks(out)["IHC"]["area_px"]
    talk = f"{out.name}-talk"
    miner("export", out.name, "--to", "llava", "--instruct", "mix.yaml", "--out", talk)
    told = "".join(file.read_text() for file in (place / talk).rglob("*.json"))
    assert "reach the border of the picture?" in told


@pytest.mark.whole
def test_the_parts_of_another_package_mine(out):
    check_mined(out)


@pytest.mark.whole
def test_its_exporter_and_its_task_write(place, out, miner):
    check_exported(place, out, miner)


@pytest.mark.whole
def test_its_reader_knows_its_corpus(miner):
    found = json.loads(miner("inspect", "notes", "--json"))
    assert (found["corpus"], found["rows"], found["images"]) == ("notes", 3, 3)


@pytest.mark.whole
def test_help_and_reference_pages_show_its_parts(miner, tmp_path, place, beside):
    text = " ".join(miner("--help").split())
    assert "histomine-examples" in text
    listed = miner("parts")
    for group, entries in PROJECT["entry-points"].items():
        for kind in entries:
            assert kind in text
            lines = (line.split() for line in listed.splitlines())
            assert any({kind, "histomine-examples"} <= set(line) for line in lines), kind
        assert group.removeprefix("histomine.") in listed
    path = {**os.environ, "PYTHONPATH": f"{ROOT}:{beside}"}
    pages = [sys.executable, "-m", "miner.reference", str(tmp_path)]
    subprocess.run(pages, check=True, env=path, cwd=place)
    settings = (tmp_path / "configuration.md").read_text()
    for setting in ("concept that the antibody marks", "least_contrast", "`notes`"):
        assert setting in settings
    assert (
        "| `sharpness` | `sharpness` | spread of the Laplacian"
        in (tmp_path / "output.md").read_text()
    )


@pytest.mark.slow
def test_installed_beside_a_wheel_of_ours_it_mines_with_ray_and_without(place, tmp_path):
    """`make test-plugin`: a fresh environment that sees this one's libraries, not this checkout."""
    wheels, env = tmp_path / "wheels", tmp_path / "env"
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(ROOT), str(EXAMPLES)]
    subprocess.run(build, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True)
    site = sysconfig.get_path("purelib", vars={"base": str(env), "platbase": str(env)})
    built = [str(file) for file in wheels.iterdir()]
    subprocess.run([*pip, "install", "--no-deps", "--target", site, *built], check=True)
    (Path(site) / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(env / "bin/python")
    where = [python, "-c", "import miner; print(miner.__file__)"]
    alone = {**os.environ, "PYTHONPATH": ""}
    assert subprocess.check_output(where, text=True, cwd=place, env=alone).startswith(site)
    miner = command(place, python, "")
    for out, words in (("plain", ["--no-ray"]), ("spread", ["--workers", "2"])):
        miner("run", "lab.yaml", "--out", out, *words)
        check_mined(place / out)
    shards = [sorted((place / out / "shards").glob("*.tar")) for out in ("plain", "spread")]
    assert [f.read_bytes() for f in shards[0]] == [f.read_bytes() for f in shards[1]]
    check_exported(place, place / "spread", miner)
    assert "histomine-examples" in miner("--help")
