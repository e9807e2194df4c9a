"""Phantom corpora: the publishers' layouts, captions of every sort, truth that fits."""

import ast
import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from miner.demo import captions, render, write_demo
from miner.demo.corpora import QUILT_COLUMNS
from miner.demo.words import WORDS

pytestmark = pytest.mark.whole

CAPTIONS = 54


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "corpora"
    write_demo(folder, CAPTIONS, seed=1)
    return folder


@pytest.fixture(scope="module")
def quilt(demo):
    with open(demo / "quilt/quilt_1M_lookup.csv", newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == QUILT_COLUMNS
        return list(reader)


@pytest.fixture(scope="module")
def pathcap(demo):
    return json.loads((demo / "pathcap/data.json").read_text())


@pytest.fixture(scope="module")
def pathgen(demo):
    return json.loads((demo / "pathgen/PathGen-1.6M.json").read_text())


@pytest.fixture(scope="module")
def gold(demo):
    return [json.loads(line) for line in (demo / "gold.jsonl").read_text().splitlines()]


def tree(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(folder.rglob("*"))
        if f.is_file()
    }


def test_rows_add_up(quilt, pathcap, pathgen):
    assert len(quilt) + len(pathcap) + len(pathgen) == CAPTIONS
    assert len(quilt) > len(pathcap) > len(pathgen) > 0


def test_equal_seeds_give_equal_bytes(tmp_path):
    write_demo(tmp_path / "a", 8, seed=3)
    write_demo(tmp_path / "b", 8, seed=3)
    write_demo(tmp_path / "c", 8, seed=4)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a") != tree(tmp_path / "c")


def test_quilt_looks_like_the_published_table(quilt):
    for row in quilt:
        for name in ("pathology", "roi_text", "noisy_text", "corrected_text", "med_umls_ids"):
            assert not row[name] or isinstance(ast.literal_eval(row[name]), list)
        assert row["magnification"] in ("", "0.0", "1.0", "2.0")
    names = Counter(row["image_path"] for row in quilt)
    assert names.most_common(1)[0][1] > 1  # several captions of one picture
    assert {n[0] for n in names if n} == {"P", "-", "_"}
    assert {row["not_histology"] for row in quilt} == {"0.0", "1.0"}
    for name in ("pathology", "roi_text", "magnification", "height"):
        assert 0 < sum(not row[name] for row in quilt) < len(quilt)


def test_pathcap_and_pathgen_look_like_the_published_files(pathcap, pathgen):
    assert all(set(row) == {"img", "caption"} for row in pathcap)
    for row in pathgen:
        assert list(row) == ["wsi_id", "position", "caption", "file_id"]
        assert all(isinstance(v, str) and int(v) % 32 == 0 for v in row["position"])
        assert "." in row["wsi_id"]


def test_slides_open_and_hold_the_patches(demo, pathgen, gold):
    slides = sorted((demo / "pathgen/slides").iterdir())
    named = {f"{row['wsi_id']}.tif" for row in pathgen}
    assert {s.name for s in slides} <= named
    for file in slides:
        slide = openslide.OpenSlide(file)
        assert [round(d) for d in slide.level_downsamples] == [1, 4, 16]
        mpp = float(slide.properties["openslide.mpp-x"])
        assert mpp == pytest.approx(0.5, abs=1e-3) or mpp == pytest.approx(0.25, abs=1e-3)
    rows = [g for g in gold if g["corpus"] == "pathgen"]
    slide = openslide.OpenSlide(demo / f"pathgen/slides/{rows[0]['wsi_id']}.tif")
    at = tuple(int(v) for v in rows[0]["position"])
    patch = np.array(slide.read_region(at, 0, (672, 672)))
    assert (patch[..., 3] == 255).all()
    truth = label_map(demo, "pathgen", rows[0]["image"], "nuclei")
    gray = patch[..., :3].astype(float).mean(2)
    ring = cv2.dilate((truth > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert gray[truth > 0].mean() < gray[ring & (truth == 0)].mean() - 8


def label_map(demo: Path, corpus: str, stem: str, entity: str) -> np.ndarray:
    file = demo / "expert_masks" / corpus / stem / f"{entity}.png"
    return cv2.imread(str(file), cv2.IMREAD_UNCHANGED)


def test_gold_fits_captions_and_masks(demo, gold, quilt, pathcap, pathgen):
    published = {("quilt", r["image_path"], r["caption"]) for r in quilt}
    published |= {("pathcap", r["img"], r["caption"]) for r in pathcap}
    published |= {
        ("pathgen", "_".join([r["wsi_id"], *r["position"]]), r["caption"]) for r in pathgen
    }
    assert {(g["corpus"], g["image"], g["caption"]) for g in gold} <= published
    for row in gold:
        stem = row["image"] if row["corpus"] == "pathgen" else Path(row["image"]).stem
        folder = demo / "expert_masks" / row["corpus"] / stem
        here = {f.stem for f in folder.iterdir()}
        end = 0
        for m in row["mentions"]:
            assert end <= m["start"] < m["end"] <= len(row["caption"])
            assert row["caption"][m["start"] : m["end"]] == m["text"] == m["text"].strip()
            end = m["end"]
            if m["mask"]:
                assert m["polarity"] == "affirmed"
                assert m["mask_path"] == str((folder / m["mask"][5:]).relative_to(demo))
                assert Path(m["mask_path"]).stem in here
                assert "present" not in m
            elif m["kind"] in ("object", "stuff") and m["polarity"] == "affirmed":
                assert m["present"] is False


def test_label_maps_have_the_size_of_the_picture(demo, gold):
    for row in gold[::7]:
        stem = row["image"] if row["corpus"] == "pathgen" else Path(row["image"]).stem
        size = (672, 672)
        if row["corpus"] != "pathgen":
            image = cv2.imread(str(demo / row["corpus"] / "images" / row["image"]))
            size = image.shape[:2]
        for file in (demo / "expert_masks" / row["corpus"] / stem).iterdir():
            labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            objects = np.unique(labels[labels > 0])
            assert labels.shape == size
            assert len(objects) > 0
            assert np.array_equal(objects, np.arange(1, len(objects) + 1))


def test_captions_of_every_sort_occur(gold, quilt, pathcap):
    mentions = [m for row in gold for m in row["mentions"]]
    found = Counter((m["polarity"], m.get("present", True)) for m in mentions)
    assert found["affirmed", True] > 3 * found["negated", False] > 0
    assert found["affirmed", False] > 0  # said of another picture
    assert found["uncertain", False] > 0
    assert {m["kind"] for m in mentions} == {"object", "stuff", "site", "diagnosis", "other"}
    assert any(not row["mentions"] for row in gold)
    assert any(not row["caption"] for row in [*quilt, *pathcap])
    assert any("(TILs)" in row["caption"] or "(RBCs)" in row["caption"] for row in pathcap)


def test_pictures_of_every_sort_occur(demo, quilt, pathcap):
    files = [*(demo / "quilt/images").iterdir(), *(demo / "pathcap/images").iterdir()]
    same = Counter(hashlib.sha256(f.read_bytes()).hexdigest() for f in files)
    assert max(same.values()) > 1  # an exact copy under another name
    pictures = [cv2.imread(str(f)) for f in files]
    assert any(p is None for p in pictures)  # empty, or a web page
    assert close_pairs([p for p in pictures if p is not None]) > 0


def close_pairs(pictures) -> int:
    """Pairs of equal size that differ, by little."""
    found = 0
    small = [(p.shape, cv2.resize(p, (24, 24), interpolation=cv2.INTER_AREA)) for p in pictures]
    for i, (shape, one) in enumerate(small):
        for other_shape, two in small[:i]:
            if shape == other_shape:
                apart = np.abs(one.astype(int) - two).mean()
                found += 0 < apart < 12
    return found


def test_words_name_what_the_concept_table_knows():
    from ner.config import NerConfig
    from ner.extractor import Extractor

    extract = Extractor(NerConfig())
    wordings = [(c, w) for c, words in WORDS.items() for w in words]
    found = extract([f"The image shows numerous {w}." for _, w in wordings])
    wrong = [
        w
        for (concept, w), one in zip(wordings, found, strict=True)
        if [m.concept for m in one.mentions] != [concept]
    ]
    assert len(wrong) <= 0.03 * len(wordings), wrong


@pytest.mark.parametrize("manner", [captions.spoken, captions.legend, captions.machine])
def test_a_caption_names_a_structure_as_seen_and_as_missing_never_both(manner):
    tile = render.tile(2, 128, 0.5, "colon")
    for seed in range(40):
        caption = manner(np.random.default_rng(seed), tile)
        sides = {}
        for m in caption.mentions:
            if m["kind"] in ("object", "stuff"):
                sides.setdefault(m["concept"], set()).add(m["polarity"])
        assert all(len(s) == 1 for s in sides.values())
        assert all(c not in tile.present for c, s in sides.items() if s == {"negated"})


def test_nothing_is_overwritten(demo, tmp_path):
    before = tree(demo)
    with pytest.raises(Refused, match="something already"):
        write_demo(demo, 10)
    assert tree(demo) == before
    with pytest.raises(Refused, match="at least 3"):
        write_demo(tmp_path / "few", 2)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("miner.demo.corpora.write_slide", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_demo(tmp_path / "corpora", 4)
    assert list(tmp_path.iterdir()) == []


def test_command_line(tmp_path):
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "d"), "--captions", "3", "--seed", "9"])
    assert done.exit_code == 0
    assert "wrote 3 captions" in done.output
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == [
        "expert_masks", "gold.jsonl", "pathcap", "pathgen", "quilt",
    ]  # fmt: skip
