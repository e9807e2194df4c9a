"""Protected sets: read from what people have, found at every level, a control that must hold."""

import hashlib
import io
import json
import os
import tarfile

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from filters.dedupe import leaks, near
from filters.dedupe.items import lacking
from filters.dedupe.leaks import control, matches
from filters.dedupe.prints import Prints, from_bytes, read
from filters.layout import describe
from miner.core.errors import Refused
from tests.filters.test_dedupe import COPIES, field
from tests.miner.corpora import expert_sets


def png(image):
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()


FIELDS = [field(seed) for seed in range(5)]
DATA = [png(image) for image in FIELDS]


def prints(path):
    return read(str(path), "embedded", describe, "protect.0.path")


@pytest.fixture
def folder(tmp_path):
    """Pictures in folders, beside what is none."""
    place = tmp_path / "set"
    for i, data in enumerate(DATA):
        (place / f"part{i % 2}").mkdir(parents=True, exist_ok=True)
        (place / f"part{i % 2}" / f"TCGA-AB-{i:04d}-01_{i}.png").write_bytes(data)
    (place / "masks.json").write_text("{}")
    (place / ".hidden").mkdir()
    (place / ".hidden" / "x.png").write_bytes(b"no picture")
    return place


def test_a_folder(folder):
    found = prints(folder)
    assert len(found) == 5
    assert set(found.hashes) == {hashlib.sha256(data).hexdigest() for data in DATA}
    assert found.patients == {f"TCGA-AB-{i:04d}" for i in range(5)}
    assert found.thumbs.shape == (5, 64, 64)


def test_items_name_the_pictures_that_must_be_there(tmp_path):
    """PathMMU's data.json; its PathCLS is fetched from elsewhere, and must not be forgotten."""
    names = ["a.png", "b.jpg", "c.png"]
    items = [{"No": i, "img": name, "question": "?", "options": []} for i, name in enumerate(names)]
    subsets = {
        "PubMed": {"val": items[:1], "test": items[1:2]},
        "PathCLS": {"test_tiny": items[2:]},
    }
    (tmp_path / "images").mkdir()
    (tmp_path / "data.json").write_text(json.dumps(subsets))
    for name, data in zip(names[:2], DATA, strict=False):
        (tmp_path / "images" / name).write_bytes(data)
    with pytest.raises(Refused, match=r"1 pictures that data\.json names are not there \(c\.png\)"):
        prints(tmp_path)
    assert len(prints(tmp_path / "images")) == 2
    (tmp_path / "images" / "c.png").write_bytes(DATA[2])
    assert len(prints(tmp_path)) == 3


def test_boxes_name_pictures_too(tmp_path):
    """RefPath; JSON lines of anything else name nothing."""
    lines = [{"image_id": "8006.jpg", "bbox": [1, 2, 3, 4], "expression": ["x"]}, {"image_id": "y"}]
    (tmp_path / "testA.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "0.png").write_bytes(DATA[0])
    with pytest.raises(Refused, match=r"1 pictures that testA\.jsonl names .* \(8006\.jpg\)"):
        prints(tmp_path)
    (tmp_path / "8006.jpg").write_bytes(DATA[1])
    assert len(prints(tmp_path)) == 2


def test_its_file_holds_the_same_and_no_picture(folder, tmp_path):
    found = prints(folder)
    file = tmp_path / "prints.parquet"
    file.write_bytes(found.to_bytes())
    again = prints(file)
    assert again.to_bytes() == found.to_bytes()
    assert (again.names, again.hashes, again.model) == (found.names, found.hashes, "embedded")
    assert (again.thumbs == found.thumbs).all()
    assert not any(data[40:200] in file.read_bytes() for data in DATA)


def test_shards_hub_files_and_arrays(tmp_path):
    with tarfile.open(tmp_path / "test-000000.tar", "w") as tar:
        for i, data in enumerate(DATA):
            for name, member in ((f"{i}.png", data), (f"{i}.json", b"{}"), (f"._{i}.png", b"x")):
                info = tarfile.TarInfo(name)
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member))
    images = [{"bytes": data, "path": None} for data in DATA]
    pq.write_table(pa.table({"image": images, "question": ["?"] * 5}), tmp_path / "hub.parquet")
    np.save(tmp_path / "images.npy", np.stack(FIELDS).astype(np.float64))
    expected = prints(tmp_path / "test-000000.tar").pixel_hashes
    assert len(set(expected)) == 5
    assert prints(tmp_path / "hub.parquet").pixel_hashes == expected
    assert prints(tmp_path / "images.npy").pixel_hashes == expected
    assert len(prints(tmp_path)) == 15


def test_hashes_and_embeddings(tmp_path):
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {i}.png\n" for i, data in enumerate(DATA))
    (tmp_path / "set.sha256").write_text(sums)
    assert prints(tmp_path / "set.sha256").hashes == tuple(
        hashlib.sha256(data).hexdigest() for data in DATA
    )
    np.save(tmp_path / "set.npy", np.stack([describe(image) for image in FIELDS]))
    assert prints(tmp_path / "set.npy").vectors.shape == (5, len(describe(FIELDS[0])))


def empty(place):
    place.mkdir()


def masks_alone(place):
    place.mkdir()
    (place / "masks.json").write_text("{}")


def broken(place):
    place.mkdir()
    (place / "a.png").write_bytes(DATA[0])
    (place / "b.png").write_bytes(DATA[1][:300])


def no_hashes(place):
    place.write_text("these are no hashes\n")


def text_as_table(place):
    place.with_suffix(".parquet").write_text("no parquet")


def nan_vectors(place):
    values = np.ones((3, 4), np.float32)
    values[1, 2] = np.nan
    np.save(place.with_suffix(".npy"), values)


WRONG = {
    "": (lambda place: None, "no such file"),
    "empty": (empty, "holds nothing to protect"),
    "masks": (masks_alone, "holds nothing to protect"),
    "broken": (broken, "b.png"),
    "hashes": (no_hashes, "holds nothing to protect"),
    "table.parquet": (text_as_table, "cannot be read"),
    "vectors.npy": (nan_vectors, "row 1 has a value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_guard_that_would_guard_less_is_refused(tmp_path, name):
    make, said = WRONG[name]
    place = tmp_path / (name.split(".")[0] or "nothing")
    make(place)
    with pytest.raises(Refused, match=rf"^protect\.0\.path: .*{said}"):
        prints(place.with_name(name) if "." in name else place)


def test_a_folder_that_cannot_be_listed_is_refused(folder, monkeypatch):
    """Also one inside: half of the pictures would be left out, unsaid."""
    plain = os.scandir

    def closed(place):
        if str(place).endswith(shut):
            raise PermissionError(13, "Permission denied", str(place))
        return plain(place)

    monkeypatch.setattr(os, "scandir", closed)
    for shut in (folder.name, "part1"):
        with pytest.raises(Refused, match=rf"^protect\.0\.path: .*Permission denied: '.*{shut}'"):
            prints(folder)
    shut = "nowhere"
    assert len(prints(folder)) == 5


def test_links_that_would_be_left_out_are_refused(folder):
    """A linked picture is one; a linked folder is not looked into, and a link may lead nowhere."""
    (folder / "one.png").symlink_to(next(folder.glob("part0/*.png")))
    assert len(prints(folder)) == 6
    (folder / "gone.png").symlink_to(folder / "no.png")
    with pytest.raises(Refused, match="No such file"):
        prints(folder)
    (folder / "gone.png").unlink()
    (folder / "linked").symlink_to(folder / "part1")
    with pytest.raises(Refused, match="linked: a link to a folder; name the folder itself"):
        prints(folder)


def test_what_is_like_a_protected_picture_is_found_at_every_level(folder):
    protected = prints(folder)
    other = [field(seed) for seed in range(20, 24)]
    changed = [COPIES[kind](FIELDS[i % 5]) for i, kind in enumerate(COPIES)]
    images = [*other, FIELDS[2], *changed]
    place = folder.parent / "mined"
    place.mkdir()
    for i, image in enumerate(images):
        (place / f"{i:03d}.png").write_bytes(png(np.ascontiguousarray(image)))
    found = matches(prints(place), protected, 0.84)
    assert set(found) == set(range(4, len(images)))
    order = [int(name.split("_")[1].split(".")[0]) for name in protected.names]
    assert order[found[4].protected] == 2
    assert found[4][1:] == ("exact", 1.0)
    for i, kind in enumerate(COPIES):
        assert order[found[5 + i].protected] == i % 5, kind
        assert found[5 + i].reason in ("near", "exact")


def test_embeddings_alone_are_compared_by_their_cosine():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 16)).astype(np.float32)
    none = ("",) * 6
    protected = Prints(tuple("abcdef"), none, none, vectors=vectors, model="m")
    mined = Prints(("x", "y"), ("", ""), ("", ""), vectors=np.stack([vectors[3] * 2, -vectors[3]]))
    assert matches(mined, protected, 0.9) == {0: (3, "semantic", pytest.approx(1, abs=1e-5))}
    short = Prints(("x",), ("",), ("",), vectors=vectors[:1, :8])
    with pytest.raises(Refused, match="8: they are another model's"):
        matches(short, protected, 0.9)


@pytest.mark.parametrize("kind", ["pictures", "hashes", "vectors"])
def test_the_control_finds_its_copies(folder, kind):
    protected = prints(folder)
    if kind == "hashes":
        protected = Prints(protected.names, protected.hashes, protected.pixel_hashes)
    elif kind == "vectors":
        protected = Prints(protected.names, ("",) * 5, ("",) * 5, vectors=protected.vectors)
    planted, found = control(protected, 0.84)
    assert planted == found > 0


def test_a_control_that_is_missed_tells(folder, monkeypatch):
    monkeypatch.setattr(leaks, "located", lambda *pair: 0.0)
    planted, found = control(prints(folder), 0.84)
    assert found < planted
    monkeypatch.undo()
    monkeypatch.setattr(near, "ALIKE_AMONG_FEW", 1.1)
    planted, found = control(prints(folder), 0.84)
    assert found < planted


def test_bytes_survive(folder):
    found = prints(folder)
    assert from_bytes(found.to_bytes()).to_bytes() == found.to_bytes()


def test_a_tar_with_a_damaged_header_is_refused_not_read_in_part(tmp_path):
    place = tmp_path / "test.tar"
    with tarfile.open(place, "w") as tar:
        for i, data in enumerate(DATA):
            info = tarfile.TarInfo(f"{i}.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with tarfile.open(place) as tar:
        at = tar.getmembers()[3].offset
    broken = bytearray(place.read_bytes())
    broken[at + 150] ^= 255
    place.write_bytes(broken)
    with pytest.raises(Refused, match=rf"from byte {at} on this is no tar"):
        prints(place)


@pytest.mark.parametrize(("kind", "pictures"), [("pannuke", 3), ("monuseg", 1), ("glas", 2)])
def test_an_annotated_set_as_published_is_protected_as_it_lies(tmp_path, kind, pictures):
    """Its masks, where they are pictures as well, do no harm."""
    getattr(expert_sets, f"write_{kind}")(tmp_path / "set")
    assert len(prints(tmp_path / "set")) == pictures


def test_lines_that_are_no_items_name_no_picture(tmp_path):
    (tmp_path / "notes.jsonl").write_text('["bbox", "image_id"]\n"bbox"\n\n{"other": 1}\n')
    (tmp_path / "boxes.jsonl").write_text('{"image_id": "a/b.png", "bbox": [0, 0, 1, 1]}\n')
    assert lacking(tmp_path, []) == {"boxes.jsonl": ["b.png"]}
