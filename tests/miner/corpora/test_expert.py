"""Annotated sets: every picture accounted for, outlines as published, texts that are true."""

import dataclasses
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from filters.completeness import add_extent
from filters.config import FilterConfig
from filters.decide import decide
from filters.stage import Score
from miner.barrier.states import negatives, states
from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.pixels import decode as pixels
from miner.core.store import Store
from miner.core.terminal import Terminal
from miner.corpora.corpus_folder import Folder
from miner.corpora.detect import detect
from miner.corpora.expert.glas import GlaS
from miner.corpora.expert.nucls import NuCLS
from miner.corpora.expert.outlines import drawn
from miner.corpora.expert.pannuke import open_array
from miner.corpora.expert.scale import nuclear_scale
from miner.corpora.expert.stems import pictures_in
from miner.corpora.expert.tile import BadTile, Outlined, Tile
from miner.corpora.inspect import examine, show
from miner.corpora.plan import load_unit, make_plan, reader
from ner.config import NerConfig
from ner.stage import ExtractMentions
from segmenters.config import SegmentConfig
from segmenters.expert import ExpertConfig as Expert
from segmenters.stage import Segment
from shards.build import grounded_sample
from shards.instruct.tasks import task
from tests.miner.corpora import expert_sets
from tests.miner.corpora.expert_sets import PLACES, discs, polygon, tissue, write_pannuke
from tests.miner.corpora.layouts import config, fates, read_all

# Rows of a set, its first and last units read, and the peak of memory in MB.
PEAK = r"""
import re, sys
from pathlib import Path
from miner.core.store import Store
from miner.corpora.plan import load_unit, make_plan
from tests.miner.corpora.layouts import config
corpus, store = config("pannuke", sys.argv[1]), Store(sys.argv[2])
plan = make_plan([corpus], 64, store)
refs = list(plan.refs())
for ref in (refs[0], refs[-1]):
    assert load_unit(ref, [corpus], store).samples["status"].null_count == ref.rows
# Not ru_maxrss: that is at least what the process that started this one had.
peak_kb = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]
print(plan.rows["pannuke"], int(peak_kb) // 1000)
"""


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


@pytest.mark.whole
def test_a_fold_of_gigabytes_needs_no_memory(tmp_path):
    """As long as the published ones, 8.3 GB of masks, and all of it nothing: no disk is needed."""
    place, shape = tmp_path / "set" / "fold1", (2656, 256, 256)
    place.mkdir(parents=True)
    for name, channels in (("images", 3), ("masks", 6)):
        array = (*shape, channels)
        np.lib.format.open_memmap(place / f"{name}.npy", "w+", np.float64, array).flush()
    np.save(place / "types.npy", np.array(["Breast"] * shape[0]))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "set"), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    rows, peak_mb = map(int, done.stdout.split())
    assert rows == 2656
    assert peak_mb < 1000


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


# By kind: what the set of `expert_sets` shows, as (concept, apart, objects); what it denies; um per
# pixel; group.
SETS = {
    "lizard": (
        {("nucleus", True, 3), ("lymphocyte", True, 2), ("plasma cell", True, 1)},
        {"neutrophil", "epithelial cell", "eosinophil", "stromal cell"},
        0.5,
        "consep_1",
    ),
    "consep": (
        {("nucleus", True, 3), ("tumor cell", True, 2), ("endothelial cell", True, 1)},
        {"inflammatory cell", "epithelial cell", "fibroblast", "smooth muscle cell"},
        0.25,
        "train_1",
    ),
    "monuseg": ({("nucleus", True, 3)}, set(), 0.25, "TCGA-A7-A13E"),
    "monusac": (
        {("lymphocyte", True, 2), ("macrophage", True, 1)},
        {"epithelial cell", "neutrophil"},
        0.25,
        "TCGA-5P-A9K0",
    ),
    # A lymphocyte has but a box: it cannot be told what is not there, nor where lymphocytes are.
    "nucls": ({("tumor cell", True, 2), ("fibroblast", True, 1)}, set(), 0.2, "TCGA-A1-A0SP"),
    "panoptils": (
        {
            ("nucleus", True, 3), ("tumor cell", True, 2), ("lymphocyte", True, 1),
            ("tumor", False, 1), ("stroma", False, 1),
        },
        {
            "stromal cell", "plasma cell", "epithelial cell", "lymphocytic infiltrate",
            "epithelium", "debris", "blood",
        },
        0.25,
        "TCGA-A1-A0SP",
    ),
    "segpath": (
        {("lymphocyte", False, 1)},
        set(),
        0.22,
        "CD3CD20_Lymphocyte_Colon_001_000000_000984",
    ),
    "bcss": ({("tumor", False, 1), ("stroma", False, 1)}, set(), 0.25, "TCGA-A2-A0SX"),
    "glas": ({("gland", True, 3)}, set(), 0.62, "4"),
    "tnbc": ({("nucleus", True, 3)}, set(), 0.25, "slide-01"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SETS)
def test_a_set_as_published(tmp_path, kind):
    there, denied, mpp, group = SETS[kind]
    getattr(expert_sets, f"write_{kind}")(tmp_path / "set")
    assert detect(str(tmp_path / "set")).kind == kind
    (sample,), images = read_all(config(kind, tmp_path / "set"), tmp_path / "out")
    (image,) = images.values()
    assert sample["status"] is None
    found = {(c, apart, len(masks)) for c, (apart, masks) in given(image).items() if masks}
    assert found == there
    assert {c for c, polarity in said(sample).values() if polarity == "negated"} == denied
    assert {c for c, polarity in said(sample).values() if polarity == "affirmed"} == {
        concept for concept, _, _ in there
    }
    assert (image["mpp"], sample["group"]) == (mpp, group)
    assert image["data"] is not None


@pytest.mark.parametrize("kind", ["lizard", "consep", "monuseg", "monusac", "nucls", "panoptils"])
def test_outlines_lie_where_they_were_drawn(tmp_path, kind):
    getattr(expert_sets, f"write_{kind}")(tmp_path / "set")
    _, images = read_all(config(kind, tmp_path / "set"), tmp_path / "out")
    (image,) = images.values()
    drawn = [
        m for c, (_, masks) in given(image).items() if c not in ("tumor", "stroma") for m in masks
    ]
    for y, x in PLACES:
        covering = [mask for mask in drawn if mask[y, x]]
        assert covering
        for mask in covering:
            ys, xs = np.nonzero(mask)
            assert (ys.min(), ys.max()) == pytest.approx((y - 5, y + 5), abs=1)
            assert (xs.min(), xs.max()) == pytest.approx((x - 5, x + 5), abs=1)


def test_what_lies_in_what_is_said_where_it_is_so(tmp_path):
    """All tumor cells lie left of x = 52, in the tumor; one lymphocyte makes no statement."""
    expert_sets.write_panoptils(tmp_path / "set")
    (sample,), _ = read_all(config("panoptils", tmp_path / "set"), tmp_path / "out")
    assert "There are 3 nuclei, 2 tumor cells and 1 lymphocyte." in sample["caption"]
    assert "The picture shows tumor (81% of it) and stroma (19% of it)." in sample["caption"]
    assert "Tumor cells lie in the tumor." in sample["caption"]
    assert "Lymphocytes lie" not in sample["caption"]


def test_cells_that_are_not_told_apart_are_not_counted(tmp_path):
    expert_sets.write_segpath(tmp_path / "set")
    (sample,), _ = read_all(config("segpath", tmp_path / "set"), tmp_path / "out")
    assert sample["caption"] == "H&E section. The picture shows lymphocytes (6% of it)."


def test_the_plain_form_and_its_captions(tmp_path):
    expert_sets.write_plain(tmp_path / "set")
    samples, images = read_all(config("expert", tmp_path / "set"), tmp_path / "out")
    assert detect(str(tmp_path / "set")).kind == "expert"
    assert [s["caption"] for s in samples] == [
        "Lymphocytes around a gland.",
        "H&E section of the colon. There are 2 Lymphocytes and 1 gland.",
    ]
    assert [s["told"] is None for s in samples] == [True, False]
    assert [s["group"] for s in samples] == ["p1", "p2"]
    assert len(given(images["expert/a"])["lymphocyte"][1]) == 2
    assert images["expert/a"]["mpp"] == 0.5


def test_tables_of_the_plain_form_name_pictures_with_or_without_suffix(tmp_path):
    folder = tmp_path / "set"
    expert_sets.write_plain(folder)
    _, plain = read_all(config("expert", folder), tmp_path / "plain")
    for table in (folder / "classes.csv", folder / "pictures.csv"):
        table.write_text(table.read_text().replace("\na,", "\na.PNG,"))
    samples, images = read_all(config("expert", folder), tmp_path / "out")
    assert samples[0]["caption"] == "Lymphocytes around a gland."
    assert images == plain
    assert reader(config("expert", folder)).layout.problems == []


@pytest.mark.parametrize("table", ["classes.csv", "pictures.csv"])
def test_rows_of_the_plain_form_that_name_no_picture_are_said(tmp_path, table):
    expert_sets.write_plain(tmp_path / "set")
    with (tmp_path / "set" / table).open("a") as file:
        file.write("c.png,1,gland\n" if table == "classes.csv" else "c.png,,,,,\n")
    problems = examine(str(tmp_path / "set"))["problems"]
    assert problems == [f"{table}: rows that name no picture: 1, such as 'c.png'"]


def test_numbers_without_a_class_are_told_with_what_to_do(tmp_path, capsys):
    expert_sets.write_plain(tmp_path / "set")
    (tmp_path / "set" / "classes.csv").write_text("id,class\n300,nucleus\n")
    show(examine(str(tmp_path / "set")), Terminal(width=200))
    said = capsys.readouterr().out
    assert "of 2 rows looked at, with notes: unclassed_ids 2" in said
    assert "give classes.csv the columns image, id and class" in said


def test_a_caption_that_names_nothing_is_rewritten_where_asked(tmp_path):
    expert_sets.write_plain(tmp_path / "set")
    facts = "a,0.5,colon,H&E,p1,A biopsy without necrosis.\nb,0.5,colon,H&E,p2,A gland.\n"
    head = "image,mpp,organ,stain,group,caption\n"
    (tmp_path / "set" / "pictures.csv").write_text(head + facts)
    corpus = config("expert", tmp_path / "set", rewrite=True)
    (one, two), _ = read_all(corpus, tmp_path / "out")
    assert one["caption"] == (
        "A biopsy without necrosis. H&E section of the colon. There are 2 Lymphocytes and 1 gland."
    )
    assert said(one) == {
        "necrosis": ("necrosis", "negated"),
        "lymphocytes": ("lymphocyte", "affirmed"),
        "gland": ("gland", "affirmed"),
    }
    assert (one["notes"], two["notes"]) == (["rewritten"], [])
    # What names something stays as published, and nothing is rewritten unasked.
    assert (two["caption"], two["told"]) == ("A gland.", None)
    (one, _), _ = read_all(config("expert", tmp_path / "set"), tmp_path / "unasked")
    assert (one["caption"], one["told"]) == ("A biopsy without necrosis.", None)


def test_a_composed_text_is_instruction_data(tmp_path):
    """Counts, absences and the text itself, of what experts outlined."""
    expert_sets.write_pannuke(tmp_path / "set", tiles=1)
    corpus, store = config("pannuke", tmp_path / "set"), Store(str(tmp_path / "out"))
    (ref,) = make_plan([corpus], 4, store).refs()
    unit = load_unit(ref, [corpus], store)
    for stage in (ExtractMentions(NerConfig()), Segment(SegmentConfig(segmenters=(Expert(),)))):
        unit = stage(unit)
    filters = FilterConfig(clip=None)
    judged = add_extent(decide(Score(filters)(unit).candidates, filters), filters)
    candidates = judged.to_pylist()
    (row,), (image,) = unit.samples.to_pylist(), unit.images.to_pylist()
    kept = [c for c in candidates if c["keep"]]
    known = states(row["mentions"], candidates, [c["concept"] for c in kept], 0.5)
    denied = negatives(row["mentions"], known)
    sample = grounded_sample(row, image, kept, "train", denied, concepts=known)
    assert {r["exhaustive"] for r in sample["regions"]} == {1.0}
    for region in sample["regions"]:
        n = len(region["instances"])
        assert (region["count"]["low"], region["count"]["high"]) == (n, n)
    assert sample["generated"]
    rng = random.Random(0)
    asked = {name: task(name)(sample, rng) for name in ("describe", "count", "absent")}
    assert asked["describe"].answer == row["caption"]
    assert [asked["describe"].answer[a:b] for a, b, _ in asked["describe"].grounded] == [
        "nuclei", "neoplastic cells", "inflammatory cell",
    ]  # fmt: skip
    assert any(str(len(r["instances"])) in asked["count"].answer for r in sample["regions"])
    assert {n["concept"] for n in sample["negatives"]} == {
        "stromal cell", "degenerated cell", "epithelial cell",
    }  # fmt: skip


def test_expert_reads_any_of_the_layouts(tmp_path):
    expert_sets.write_tnbc(tmp_path / "set")
    samples, images = read_all(config("expert", tmp_path / "set"), tmp_path / "out")
    assert len(given(images[samples[0]["image_id"]])["nucleus"][1]) == 3


def test_what_is_wrong_with_outlines_costs_what_is_wrong(tmp_path):
    expert_sets.write_monuseg(tmp_path / "set")
    (name,) = (tmp_path / "set" / "Annotations").iterdir()
    bow = [(40.0, 40.0), (50.0, 50.0), (50.0, 40.0), (40.0, 50.0)]
    wrong = [
        [(5.0, 5.0), (9.0, 9.0)],  # no area
        polygon(200, 200),  # beside the picture
        bow,  # crosses itself
        polygon(*PLACES[0]),  # the same as the first
        polygon(12, 62),  # reaches out of the picture
    ]
    good = [polygon(*place) for place in PLACES]
    name.write_text(expert_sets.aperio([("", good + wrong)]))
    (sample,), images = read_all(config("monuseg", tmp_path / "set"), tmp_path / "out")
    (image,) = images.values()
    notes = dict(note.split(":") for note in sample["notes"])
    assert {k: v for k, v in notes.items() if k != "overlapping_px"} == {
        "too_few_points": "1",
        "outside_picture": "1",
        "crossing_outlines": "1",
        "hidden_outlines": "1",
    }
    assert int(notes["overlapping_px"]) > 50
    assert len(given(image)["nucleus"][1]) == 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<Annotations><Annotation>", "malformed_xml"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Annotations/>', "malformed_xml"),
        ('<X><Annotation><Region><Vertex X="a" Y="1"/></Region></Annotation></X>', "malformed_xml"),
    ],
)  # fmt: skip
def test_xml_that_is_none(tmp_path, text, reason):
    expert_sets.write_monuseg(tmp_path / "set")
    (name,) = (tmp_path / "set" / "Annotations").iterdir()
    name.write_text(text)
    samples, _ = read_all(config("monuseg", tmp_path / "set"), tmp_path / "out")
    assert fates(samples) == [f"unreadable:{reason}"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(500), "mat_v7_3"),
        (b"MATLAB 5.0 MAT-file" + bytes(40), "damaged_mat"),
        (b"", "damaged_mat"),
    ],
)
def test_matlab_files_that_are_not_read(tmp_path, data, reason):
    expert_sets.write_lizard(tmp_path / "set")
    (tmp_path / "set" / "Lizard_Labels" / "Labels" / "consep_1.mat").write_bytes(data)
    samples, _ = read_all(config("lizard", tmp_path / "set"), tmp_path / "out")
    assert fates(samples) == [f"unreadable:{reason}"]


def test_boxes_beside_the_picture_and_classes_of_boxes(tmp_path):
    rows = [expert_sets.nucls_row("tumor", 12, 12 + 4 * i) for i in range(4)]
    rows += [expert_sets.nucls_row("tumor", y, 60, "rectangle") for y in (-20, 60, 400)]
    rows.append(expert_sets.nucls_row("fibroblast", 40, 30))
    expert_sets.write_nucls(tmp_path / "set", rows)
    (sample,), images = read_all(config("nucls", tmp_path / "set"), tmp_path / "out")
    assert "boxes_only:3" in sample["notes"]
    (image,) = images.values()
    assert set(given(image)) & {"tumor cell", "fibroblast"} == {"fibroblast"}


def test_pictures_without_outlines_and_outlines_without_pictures(tmp_path):
    expert_sets.write_tnbc(tmp_path / "set")
    expert_sets.png(tmp_path / "set" / "Slide_01" / "01_2.png", tissue(64, 64))
    expert_sets.png(tmp_path / "set" / "Slide_02" / "02_1.png", tissue(64, 64))
    expert_sets.png(tmp_path / "set" / "GT_02" / "02_1.png", np.zeros((60, 64), np.uint8))
    expert_sets.png(tmp_path / "set" / "GT_02" / "02_9.png", np.zeros((64, 64), np.uint8))
    samples, _ = read_all(config("tnbc", tmp_path / "set"), tmp_path / "out")
    assert fates(samples) == [None, "unreadable:missing_masks", "unreadable:another_size"]
    problems = json.loads((tmp_path / "out" / "plan" / "tnbc.json").read_text())["problems"]
    assert problems == ["tnbc: : 1 annotations without a picture, such as GT_02/02_9.png"]


@pytest.mark.parametrize(
    "array", [np.array(5.0), np.array([{}], dtype=object), np.asfortranarray(np.ones((2, 3)))]
)
def test_an_array_that_is_no_row_of_plain_numbers_is_damaged(tmp_path, array):
    np.save(tmp_path / "masks.npy", array, allow_pickle=True)
    with pytest.raises(BadTile, match="damaged_array"):
        open_array(Folder(str(tmp_path), "corpora.x.path"), "masks.npy")


def test_only_nuclei_say_what_scale_a_picture_has():
    labels = np.zeros((120, 120), np.int32)
    for i in range(16):
        y, x = divmod(i, 4)
        labels[y * 30 : y * 30 + 12, x * 30 : x * 30 + 12] = i + 1
    tile = Tile(b"", (Outlined("gland", "glands", labels),), mpp=0.5)
    assert nuclear_scale(tile) == {}
    nuclei = dataclasses.replace(tile, outlined=(Outlined("nucleus", "nuclei", labels),))
    assert nuclear_scale(nuclei)["nuclei_um"] == pytest.approx(6.77, abs=0.05)


def test_pictures_lie_in_a_folder_of_that_name_at_any_depth():
    names = ["Fold 1/images/a.png", "Fold 1/labels/a.png", "images/b.png", "c.png"]
    assert pictures_in(names, "images") == {"a": "Fold 1/images/a.png", "b": "images/b.png"}


def test_a_triangle_is_an_outline_and_a_line_is_none():
    triangle = np.array([[1.0, 1.0], [8.0, 1.0], [1.0, 8.0]])
    labels, kept, notes = drawn([triangle, triangle[:2]], (10, 10))
    assert (kept, notes) == ([0], ("too_few_points:1",))
    assert labels.sum() > 20


def test_the_picture_of_glands_is_not_their_annotation(tmp_path):
    expert_sets.write_glas(tmp_path / "set")
    glands = GlaS(Folder(str(tmp_path / "set"), "corpora.x.path"))
    (item,) = glands.items
    assert np.array_equal(pixels(glands.read(item).picture), tissue(64, 64))


def test_nuclei_of_a_class_that_is_not_known_are_of_no_concept(tmp_path):
    rows = [expert_sets.nucls_row(c, *at) for c, at in zip(("?", "tumor"), PLACES, strict=False)]
    expert_sets.write_nucls(tmp_path, rows)
    nuclei = NuCLS(Folder(str(tmp_path), "corpora.x.path"))
    (item,) = nuclei.items
    found = {one.concept for one in nuclei.read(item).outlined if one.labels.any()}
    assert found == {"tumor cell"}
