"""Publishers' files with random damage: one clear line, or a ledger that adds up."""

import io
import json
import random
import shutil
import tarfile

import pyarrow.parquet as pq
import pytest

from miner.core.errors import Refused
from tests.miner.corpora.layouts import (
    config,
    fates,
    image_table,
    pathgen_record,
    picture,
    quilt_row,
    read_all,
    write_images,
    write_json,
    write_quilt,
    write_slide,
    write_zip,
)

SEEDS = range(12)


def write_corpora(folder):
    write_quilt(folder / "quilt", [quilt_row(i) for i in range(8)])
    zipped = {f"d/vid{i}_image_{i}.jpg": picture(i) for i in range(8)}
    write_zip(folder / "quilt" / "images.zip", zipped)
    records = [{"img": f"111111_gr{i}.jpg", "caption": f"Glands {i}."} for i in range(8)]
    write_json(folder / "pathcap" / "data.json", records)
    write_images(folder / "pathcap" / "images", [r["img"] for r in records])
    write_slide(folder / "pathgen" / "slides" / "A.tif", size=1024)
    positions = [pathgen_record("A", 32 * i, 0) for i in range(4)]
    write_json(folder / "pathgen" / "PathGen-1.6M.json", positions)

    write_json(
        folder / "arch" / "captions.json",
        {str(i): {"caption": "Fat.", "uuid": f"u{i}"} for i in range(8)},
    )
    write_images(folder / "arch" / "images", [f"u{i}.jpg" for i in range(8)])
    rows = [{"image": {"bytes": picture(i), "path": None}, "caption": "Fat."} for i in range(8)]
    (folder / "hf").mkdir()
    pq.write_table(image_table(rows), folder / "hf" / "a.parquet", row_group_size=3)
    (folder / "webdataset").mkdir()
    with tarfile.open(folder / "webdataset" / "a.tar", "w") as tar:
        for i in range(8):
            for name, data in ((f"{i}.jpg", picture(i)), (f"{i}.txt", b"Fat.")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    (folder / "table").mkdir()
    lines = [json.dumps({"image": f"{i}.jpg", "caption": "Fat."}) for i in range(8)]
    (folder / "table" / "t.jsonl").write_text("\n".join(lines))
    write_images(folder / "table" / "images", [f"{i}.jpg" for i in range(8)])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    write_corpora(folder)
    return folder


def damage(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, drop or insert some bytes."""
    broken = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(broken))
        how = rng.randrange(4)
        if how == 0:
            broken[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del broken[at : at + rng.randint(1, 40)]
        elif how == 2:
            broken[at:at] = rng.choice([b"\0", b'"', b"\xff\xfe", b"\n", b"]", b"\\", b"{"])
        elif len(broken) > 20 and rng.random() < 0.3:
            del broken[at:]
        if not broken:
            break
    return bytes(broken)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("quilt", "quilt_1M_lookup.csv"),
        ("quilt", "images.zip"),
        ("pathcap", "data.json"),
        ("pathcap", "images/111111_gr3.jpg"),
        ("pathgen", "PathGen-1.6M.json"),
        ("pathgen", "slides/A.tif"),
        ("arch", "captions.json"),
        ("hf", "a.parquet"),
        ("webdataset", "a.tar"),
        ("table", "t.jsonl"),
    ],
)
def test_damage_never_ends_in_a_traceback(sound, tmp_path, kind, name):
    corpus = config(kind, tmp_path / kind)
    shutil.copytree(sound / kind, tmp_path / kind)
    data = (sound / kind / name).read_bytes()
    ends = set()
    for seed in SEEDS:
        (tmp_path / kind / name).write_bytes(damage(data, random.Random(f"{name}{seed}")))
        try:
            samples, _ = read_all(corpus, tmp_path / f"out{seed}")  # asserts that it adds up
        except Refused as error:
            ends.add(f"refused in {len(str(error).splitlines())} line")
        else:
            ends.update(fates(samples))
    assert len(ends) > 1  # the damage was felt
    assert {e for e in ends if e and e.startswith("refused")} <= {"refused in 1 line"}
