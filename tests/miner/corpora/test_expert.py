"""Annotated sets: every picture accounted for, outlines as published, texts that are true."""

import json

import numpy as np
import pytest

from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.pixels import decode as pixels
from miner.corpora.detect import detect
from tests.miner.corpora.expert_sets import discs, tissue, write_pannuke
from tests.miner.corpora.layouts import config, fates, read_all


def given(image):
    """Outlines of a picture: apart, and masks, bool (n, H, W), by concept."""
    size = image["height"], image["width"]
    return {
        one["concept"]: (one["apart"], [decode(counts, *size) for counts in one["counts"]])
        for one in image["given"]
    }


def said(sample):
    """Concept and polarity by phrase of a text that was composed."""
    found = {}
    for m in sample["told"]:
        assert sample["caption"][m["start"] : m["end"]] == m["text"]
        found[m["text"].lower()] = (m["concept"], m["polarity"])
    return found


def test_pannuke(tmp_path):
    masks = write_pannuke(tmp_path / "set")
    write_pannuke(tmp_path / "set", tiles=1, fold=2)
    samples, images = read_all(config("pannuke", tmp_path / "set"), tmp_path / "out")
    assert fates(samples) == [None] * 4
    assert [s["group"] for s in samples] == ["fold1", "fold1", "fold1", "fold2"]
    assert samples[1]["caption"] == (
        "H&E section of the colon. There are 3 nuclei, 2 neoplastic cells and 1 inflammatory cell. "
        "No connective tissue cells, no dead cells and no epithelial cells can be seen."
    )
    assert said(samples[1])["inflammatory cell"] == ("inflammatory cell", "affirmed")
    assert said(samples[1])["dead cells"] == ("degenerated cell", "negated")
    assert json.loads(samples[2]["meta"])["organ"] == "head and neck"
    image = images["pannuke/fold1_00002"]
    assert (image["mpp"], image["format"]) == (0.25, "png")
    np.testing.assert_array_equal(pixels(image["data"]), tissue(64, 64, 2))
    apart, (one, two) = given(image)["tumor cell"]
    assert apart
    np.testing.assert_array_equal(one, masks[2, ..., 0] == 70_000)
    np.testing.assert_array_equal(two, masks[2, ..., 0] == 140_000)
    assert given(image)["epithelial cell"] == (True, [])
    assert len(given(image)["nucleus"][1]) == 3


def test_pannuke_is_known_from_its_files(tmp_path):
    write_pannuke(tmp_path, tiles=1)
    assert detect(str(tmp_path)).kind == "pannuke"


def test_pannuke_in_other_folders(tmp_path):
    """As it is often unpacked: `foldK/{images,masks,types}.npy`."""
    write_pannuke(tmp_path / "a", tiles=1)
    for part in ("images/fold1/images", "images/fold1/types", "masks/fold1/masks"):
        (tmp_path / "b" / "fold7").mkdir(parents=True, exist_ok=True)
        source = tmp_path / "a" / "Fold 1" / f"{part}.npy"
        source.rename(tmp_path / "b" / "fold7" / f"{part.rpartition('/')[2]}.npy")
    samples, _ = read_all(config("pannuke", tmp_path / "b"), tmp_path / "out")
    assert [(s["image"], s["status"]) for s in samples] == [("fold7_00000", None)]


def test_a_tile_of_nothing_denies_all_of_it(tmp_path):
    write_pannuke(tmp_path / "set", tiles=2)
    file = tmp_path / "set" / "Fold 1" / "masks" / "fold1" / "masks.npy"
    masks = np.load(file)
    masks[0, ..., :5] = 0
    np.save(file, masks)
    samples, images = read_all(config("pannuke", tmp_path / "set"), tmp_path / "out")
    assert {polarity for _, polarity in said(samples[0]).values()} == {"negated"}
    assert all(masks == [] for _, masks in given(images["pannuke/fold1_00000"]).values())


def test_what_is_wrong_with_a_fold_costs_what_is_wrong(tmp_path):
    write_pannuke(tmp_path / "set", tiles=5)
    write_pannuke(tmp_path / "set", tiles=0, fold=2)
    write_pannuke(tmp_path / "set", tiles=2, fold=3)
    file = tmp_path / "set" / "Fold 1" / "masks" / "fold1" / "masks.npy"
    masks = np.load(file)
    masks[0, 3, 3, 0] = 1.5  # no whole number
    masks[1, 3, 3, 0] = np.nan
    masks[2, 60:62, 60:62, 0] = 70_000  # a second part of an object
    masks[3, ..., 1] = masks[3, ..., 0]  # two classes at one place
    np.save(file, masks)
    whole = file.read_bytes()
    file.write_bytes(whole[: -len(whole) // 10])  # the last tile breaks off
    (tmp_path / "set" / "Fold 3" / "masks" / "fold3" / "masks.npy").unlink()
    samples, _ = read_all(config("pannuke", tmp_path / "set"), tmp_path / "out")
    assert fates(samples) == [
        "unreadable:fractional_ids",
        "unreadable:fractional_ids",
        None,
        None,
        "unreadable:truncated_array",
    ]
    assert samples[2]["notes"] == ["split_ids:1"]
    overlap = int((masks[3, ..., 0] > 0).sum())
    assert samples[3]["notes"] == [f"overlapping_px:{overlap}"]
    problems = json.loads((tmp_path / "out" / "plan" / "pannuke.json").read_text())["problems"]
    assert "Fold 2/images/fold2/images.npy: the fold is empty" in problems[0]
    assert "Fold 3/images/fold3/images.npy: missing_masks" in problems[1]


def test_no_fold_is_refused(tmp_path):
    with pytest.raises(Refused, match=r"no images\.npy of a fold in it"):
        read_all(config("pannuke", tmp_path), tmp_path / "out")


def test_the_nuclei_say_what_scale_a_picture_has(tmp_path):
    """Twelve discs of radius 12: 6.1 um at .25, 7.5 um at .306."""
    write_pannuke(tmp_path / "set", tiles=1, side=128)
    file = tmp_path / "set" / "Fold 1" / "masks" / "fold1" / "masks.npy"
    masks = np.zeros((1, 128, 128, 6))
    places = [(y, x) for y in (15, 45, 75) for x in (15, 45, 75, 105)]
    masks[0, ..., 0] = discs(128, 128, places, radius=12)
    np.save(file, masks)
    corpus = config("pannuke", tmp_path / "set")
    samples, images = read_all(corpus, tmp_path / "out")
    meta = json.loads(samples[0]["meta"])
    assert meta["nuclei_um"] == pytest.approx(6.0, abs=0.1)
    assert meta["nuclei_mpp"] == pytest.approx(0.31, abs=0.01)
    corrected = config("pannuke", tmp_path / "set", mpp=0.3)
    _, images = read_all(corrected, tmp_path / "corrected")
    assert images["pannuke/fold1_00000"]["mpp"] == 0.3


def test_without_composed_texts_the_pictures_have_a_reason(tmp_path):
    write_pannuke(tmp_path / "set", tiles=1)
    samples, _ = read_all(config("pannuke", tmp_path / "set", compose=False), tmp_path / "out")
    assert fates(samples) == ["no_entity:no_text"]
