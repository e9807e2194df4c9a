"""`miner run` over a corpus with planted overlaps and a protected set with planted leaks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from miner.core.layout import LEAKS
from miner.core.store import Store
from shards.validate import validate

pytestmark = pytest.mark.whole

CAPTIONS = 48
# What is done to the n-th picture; those of a corpus that is mined, and those of the test set.
CHANGES = {
    "as it is": lambda image: image,
    "mirrored": lambda image: image[:, ::-1],
    "turned": np.rot90,
    "half size": lambda image: cv2.resize(
        image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA
    ),
    "brighter": lambda image: np.clip(image * 1.05, 0, 255).astype(np.uint8),
}


def plant(source: Path, target: Path, how: str) -> None:
    """A picture as it is, or changed and encoded again."""
    if how == "as it is":
        shutil.copy(source, target)
        return
    image = cv2.imread(str(source))
    cv2.imwrite(str(target), np.ascontiguousarray(CHANGES[how](image)))


def readable(corpus: Path) -> list[Path]:
    """Its pictures, without those that are damaged on purpose."""
    return [p for p in sorted((corpus / "images").iterdir()) if cv2.imread(str(p)) is not None]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> dict[str, Path]:
    """The phantom QUILT, the same with every picture changed, and a test set of a quarter."""
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("planted")
    write_demo(folder / "corpora", captions=CAPTIONS, seed=5)
    first, again, bench = folder / "corpora/quilt", folder / "again", folder / "bench"
    shutil.copytree(first, again)
    bench.mkdir()
    for number, picture in enumerate(readable(first)):
        how = list(CHANGES)[number % len(CHANGES)]
        plant(picture, again / "images" / picture.name, how)
        if number % 4 == 0:
            plant(picture, bench / f"{number}.png", list(CHANGES)[(number + 1) % len(CHANGES)])
    return {"first": first, "again": again, "bench": bench}


def test_every_planted_pair_is_in_ledger_and_certificate(pictures, tmp_path):
    config = {
        "out": str(tmp_path / "out"),
        "corpora": [
            {"kind": "quilt", "name": name, "path": str(pictures[name])}
            for name in ("first", "again")
        ],
        "protect": [{"name": "bench", "path": str(pictures["bench"])}],
        "filters": {"precision": 0.6},  # more pictures are in play
        "runner": {"unit_rows": 8},
    }
    (tmp_path / "planted.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "miner.cli", "run", str(tmp_path / "planted.yaml"), "--no-ray"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check(Store(tmp_path / "out"), readable(pictures["first"]))


def check(store: Store, planted: list[Path]) -> None:
    """Every pair is told of; `planted` are the pictures of which there are copies."""
    rows = [r for n in store.names("ledger/samples") for r in store.read_table(n).to_pylist()]
    accepted = [
        r
        for r in rows
        if r["status"] in ("written", "duplicate") or str(r["reason"]).startswith("protected:")
    ]
    numbers = {picture.name: n for n, picture in enumerate(planted)}
    leaked = {name for name, number in numbers.items() if number % 4 == 0}

    # Leaks: whatever could be written and is in the test set is left out, and certified.
    out = {(r["corpus"], r["image"]) for r in accepted if r["image"] in leaked}
    assert len(out) >= 2
    reasons = {r["reason"] for r in accepted if (r["corpus"], r["image"]) in out}
    assert reasons == {"protected:bench"}
    (certified,) = store.read_json(LEAKS)["sets"]
    found = {(pair["image_id"], pair["like"]) for pair in certified["pairs"]}
    assert found == {(f"{corpus}/{image}", f"{numbers[image]}.png") for corpus, image in out}

    # Overlaps: of two pictures that could both be written one is, and the other names it.
    rest = [r for r in accepted if r["image"] not in leaked]
    by_image: dict[str, dict[str, set[tuple[str, str | None]]]] = {}
    for r in rest:
        told = by_image.setdefault(r["image"], {}).setdefault(r["corpus"], set())
        told.add((r["status"], r["duplicate_of"]))
    pairs = {image: told for image, told in by_image.items() if len(told) == 2}
    both = 0
    for image, told in pairs.items():
        stay = [corpus for corpus in told if told[corpus] == {("written", None)}]
        if not stay:  # the phantoms have copies of their own: both go for the same third picture
            ((_, third),) = set().union(*told.values())
            assert third is not None
            assert not third.endswith(image)
            continue
        both += 1
        (one,) = stay
        (dropped,) = told.keys() - {one}
        assert told[dropped] == {("duplicate", f"{one}/{image}")}, image
    assert both >= 3
    assert validate(store).faults == []
