"""`miner validate`: any flipped byte is found, and the place is named."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from miner.core.masks import encode
from miner.core.store import Store
from shards.check import _region_faults, sound_rle
from shards.config import ShardsConfig
from shards.pack import manifest_bytes, pack, write_manifest
from shards.validate import validate
from tests.miner.finished import finished
from tests.shards.build import build, sample


def faults(out: Path) -> list[str]:
    return [str(f) for f in validate(Store(str(out))).faults]


def test_a_sound_run_has_no_fault(out: Path) -> None:
    report = validate(Store(str(out)))
    assert report.faults == []
    assert (report.samples, report.regions) == (36, 72)


def test_any_flipped_byte_is_found(tmp_path: Path) -> None:
    build(tmp_path, n=2, val=1)
    rng = random.Random(0)
    for path in sorted((tmp_path / "shards").iterdir()):
        whole = path.read_bytes()
        for _ in range(8):
            place = rng.randrange(len(whole))
            broken = bytearray(whole)
            broken[place] ^= 1 << rng.randrange(8)
            path.write_bytes(broken)
            assert any(f.startswith(f"shards/{path.name}:") for f in faults(tmp_path)), place
        path.write_bytes(whole)
    assert faults(tmp_path) == []


def test_a_changed_picture_is_named(copy: Path) -> None:
    from shards.index import read_index

    row = read_index(Store(str(copy)), "train")[0].to_pylist()[1]
    path = copy / "shards/train-000000.tar"
    data = bytearray(path.read_bytes())
    data[row["image_offset"] + 30] ^= 255
    path.write_bytes(data)
    assert any(row["key"] in f and "image_crc32" in f for f in faults(copy))


@pytest.mark.parametrize("cut", [1, 512, 1024, 3000])
def test_a_truncated_tar(copy: Path, cut: int) -> None:
    path = copy / "shards/train-000002.tar"
    path.write_bytes(path.read_bytes()[:-cut])
    found = [f for f in faults(copy) if "train-000002.tar" in f]
    assert any("changed" in f for f in found)
    assert any("not a whole tar" in f for f in found)


def test_the_command_counts_as_people_do(copy: Path) -> None:
    (copy / "shards/more.tar").write_bytes(b"")
    said = CliRunner().invoke(app, ["validate", str(copy), "--workers", "1"])
    assert said.exit_code == 1
    assert said.output.splitlines()[-1].endswith(" MB: 1 fault")
    assert said.output.splitlines()[-1].startswith("36 samples, 72 regions, ")


def test_a_wrong_path_and_an_unfinished_run_are_refused(tmp_path: Path) -> None:
    nowhere, other, unfinished = (tmp_path / n for n in ("nowhere", "other", "unfinished"))
    with pytest.raises(Refused, match="nowhere: no such folder; expected the output of miner run"):
        validate(Store(nowhere))
    other.mkdir()
    with pytest.raises(Refused, match=r"other: no run\.json in it; not an output of miner run"):
        validate(Store(other))
    Store(unfinished).write_json("run.json", {})
    with pytest.raises(Refused, match=r"unfinished: not finished, .*; run again to go on"):
        validate(Store(unfinished))
    # A run that did finish has lost its manifest: that is damage.
    Store(unfinished).write_json("finished.json", {})
    assert [f.file for f in validate(Store(unfinished)).faults] == ["shards/manifest.json"]


def test_missing_extra_and_foreign_files(copy: Path, tmp_path: Path) -> None:
    (copy / "shards/train-000001.tar").unlink()
    (copy / "shards/README.md").unlink()
    (copy / "shards/more.tar").write_bytes(b"")
    found = faults(copy)
    assert "shards/train-000001.tar: missing, the manifest lists it" in found
    assert "shards/README.md: missing, the manifest lists it" in found
    assert "shards/more.tar: the manifest does not list it" in found
    build(tmp_path / "other", n=9)
    shutil.copy(tmp_path / "other/shards/manifest.json", copy / "shards/manifest.json")
    assert faults(copy)


@pytest.mark.parametrize("name", ["train-000001.tar", "train-000001.parquet", "README.md"])
def test_a_folder_in_the_place_of_a_file(copy: Path, name: str) -> None:
    (copy / "shards" / name).unlink()
    (copy / "shards" / name).mkdir()
    assert any(f.startswith(f"shards/{name}: not readable") for f in faults(copy))


def test_manifest_and_run_json_of_two_runs(copy: Path) -> None:
    (copy / "run.json").write_text(json.dumps({"digest": "cd" * 32}))
    assert faults(copy) == ["shards/manifest.json: run: is of another run than run.json"]


def test_ledger_sums(copy: Path) -> None:
    rows = [
        {"sample_id": "quilt-00000000-000000", "status": "written", "reason": None},
        {"sample_id": "quilt-00000000-000000", "status": "lost", "reason": None},
        {"sample_id": "quilt-9", "status": "written", "reason": None},
    ]
    rows = [{**r, "key": r["sample_id"], "shard": "train-000000.tar"} for r in rows]
    Store(str(copy)).write_table("ledger/samples/quilt.parquet", pa.Table.from_pylist(rows))
    found = faults(copy)
    assert "ledger/samples/quilt.parquet: quilt-00000000-000000: status 'lost'" in found
    assert "ledger/samples/quilt.parquet: quilt-00000000-000000: no reason" in found
    assert "ledger/samples: quilt-00000000-000000: 2 rows" in found
    assert "ledger/samples/quilt.parquet: quilt-9: written, but in no shard" in found
    assert any("in a shard, but not written in the ledger" in f for f in found)


WRONG = {
    "schema": (lambda s: s.update(mpp_source="guess"), "mpp_source"),
    "extra field": (lambda s: s.update(more=1), "more"),
    "span": (lambda s: s["mentions"][0].update(start=1), "is not 'glands'"),
    "polarity": (lambda s: s["mentions"][2].update(regions=[0]), "negated, but it points"),
    "region index": (lambda s: s["mentions"][0].update(regions=[7]), "points to region"),
    "unpointed": (lambda s: s["mentions"][0].update(regions=[]), "no mention points"),
    "area": (lambda s: s["regions"][0].update(area_px=1), "area_px 1"),
    "bbox": (lambda s: s["regions"][0].update(bbox=[0, 0, 1, 1]), "bbox"),
    "rle size": (lambda s: s["regions"][0]["rle"].update(size=[1, 1]), "RLE of size"),
    "rle": (lambda s: s["regions"][0]["rle"].update(counts="0"), "do not add up"),
    "instances": (lambda s: s["regions"][0]["instances"].pop(), "union of the instances"),
    "image size": (lambda s: s.update(width=s["width"] + 1), "the image is"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_samples(tmp_path: Path, name: str) -> None:
    change, expected = WRONG[name]
    value, data, extension = sample(3)
    value = json.loads(json.dumps(value))
    change(value)
    store = Store(tmp_path)
    write_manifest(store, pack([(value, data, extension)], store, "train", ShardsConfig()))
    assert any(expected in f and value["key"] in f for f in faults(tmp_path))


def test_manifest_is_checked_by_its_own_hash(copy: Path) -> None:
    path = copy / "shards/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["samples"] += 1
    path.write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    assert "its own hash does not fit" in faults(copy)[0]
    path.write_bytes(manifest_bytes(manifest))
    assert faults(copy) == ["shards/manifest.json: samples: says 37, found 36"]


@settings(max_examples=80, deadline=None, database=None, derandomize=True)
@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.booleans()))
def test_run_lengths_of_pycocotools_are_sound(mask: np.ndarray) -> None:
    rle = {"size": list(mask.shape), "counts": encode(mask)}
    assert sound_rle(rle)
    assert not sound_rle({**rle, "size": [mask.shape[0] + 1, mask.shape[1]]})
    assert not sound_rle({**rle, "counts": rle["counts"] + "~"})


@pytest.mark.parametrize("place", ["hash", "seed", "config"])
def test_the_run_of_the_manifest_is_that_of_run_json(copy: Path, place: str) -> None:
    run = json.loads((copy / "shards/manifest.json").read_text())["run"]
    assert run
    stated = {"x": run} if place == "config" else run
    text = json.dumps({"hash": "0" * 64, "config": {}, "seed": 0, place: stated})
    (copy / "run.json").write_text(text)
    assert any("another run" in f for f in faults(copy)) is (place != "hash")


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OUT with a ledger that finished.json signs."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    finished(folder)
    return folder


@pytest.mark.parametrize(
    "file", ["samples/quilt-000000.parquet", "candidates/quilt-000000.parquet", "sampling.json"]
)
def test_any_flipped_bit_of_the_ledger_is_found(
    finished_run: Path, tmp_path: Path, file: str
) -> None:
    out = Path(shutil.copytree(finished_run, tmp_path / "out"))
    assert faults(out) == []
    path = out / "ledger" / file
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 20):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        path.write_bytes(broken)
        text = f"ledger/{file}: changed since it was written (sha256 differs)"
        assert text in faults(out), place
    path.unlink()
    lost = f"ledger/{file}: missing, finished.json lists it"
    assert lost in faults(out)


def test_a_ledger_that_lacks_rows_of_the_plan_is_found_though_nobody_signed_it(
    finished_run: Path, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(finished_run, tmp_path / "out"))
    store = Store(str(out))
    store.write_json("finished.json", {"digest": store.read_json("finished.json")["digest"]})
    assert faults(out) == []
    name = "ledger/samples/quilt-000000.parquet"
    ledger = store.read_table(name)
    assert ledger["status"].to_pylist()[5] != "written"
    store.write_table(name, pa.concat_tables([ledger[:5], ledger[6:]]))
    assert faults(out) == [
        "ledger/samples: quilt: 6 of the 7 rows of the plan; the first missing is row 5"
    ]
    store.write_table(name, pa.concat_tables([ledger, ledger[5:6]]))
    found = faults(out)
    assert "ledger/samples: quilt: 1 rows more than the plan has" in found
    assert "ledger/samples: quilt-00000005-00ff00: 2 rows" in found


def test_tars_checked_in_any_order_give_the_same_faults(copy: Path) -> None:
    for name in ("train-000001.tar", "train-000003.tar"):
        path = copy / "shards" / name
        path.write_bytes(path.read_bytes()[:-700])
    plain = validate(Store(str(copy)))
    spread = validate(Store(str(copy)), lambda f, items: map(f, reversed(list(items))))
    assert spread == plain
    assert len(plain.faults) >= 4


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(arrays(bool, (3, 9, 11), elements=st.booleans()), st.integers(0, 3))
def test_verdicts_on_runs_are_those_on_pixels(masks: np.ndarray, change: int) -> None:
    """Regions are judged without decoding; what is right is said by the decoded masks."""
    objects = masks[masks.any(axis=(1, 2))]
    if not len(objects):
        return
    union = objects.any(axis=0)
    rows, columns = np.flatnonzero(union.any(1)), np.flatnonzero(union.any(0))
    region = {
        "rle": {"size": [9, 11], "counts": encode(union)},
        "instances": [{"size": [9, 11], "counts": encode(mask)} for mask in objects],
        "bbox": [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1],
        "area_px": int(union.sum()),
    }
    if change == 0:
        assert list(_region_faults(region, 9, 11)) == []
    elif change == 1:
        region["bbox"][2] += 1
        assert [f[:4] for f in _region_faults(region, 9, 11)] == ["bbox"]
    elif change == 2:
        region["area_px"] += 1
        assert [f[:7] for f in _region_faults(region, 9, 11)] == ["area_px"]
    else:
        rest = objects[1:].any(axis=0) if len(objects) > 1 else np.zeros_like(union)
        region["instances"] = region["instances"][1:]
        wrong = len(objects) > 1 and not np.array_equal(rest, union)
        assert list(_region_faults(region, 9, 11)) == (
            ["the union of the instances is not the region"] if wrong else []
        )
