"""The report of a finished OUT: complete, self-contained, the same every time."""

import ast
import base64
import hashlib
import io
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser

import nbformat
import numpy as np
import pyarrow as pa
import pytest
from nbclient import NotebookClient
from PIL import Image
from rich.console import Console

import miner
from miner.barrier.config import SamplingConfig
from miner.commits import marks
from miner.core.errors import Refused
from miner.core.layout import CALIBRATION, CHANGES, REPORT
from miner.core.masks import encode
from miner.core.store import Store
from miner.demo.render import tile
from miner.load_config import check_config
from miner.report import charts, gallery, gather, masks, pick, words, write_report
from miner.report.calibration import calibration_charts
from miner.report.figure import SIDE_PX, closer, figure, scale_bar, trace
from miner.report.show import _ledger_row, find
from miner.report.summary import print_summary, unreadable_corpora
from shards import GroundedCaptions
from tests.miner.finished import ROWS, expert_masks, finished


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = finished(tmp_path_factory.mktemp("finished out"))
    write_report(store)
    return store


@pytest.fixture(scope="module")
def page(store):
    return store.read("report/index.html").decode()


class Tags(HTMLParser):
    """Collects tags with their attributes, and complains about what is not closed."""

    VOID = frozenset({"meta", "img", "br", "rect", "path", "line", "polyline", "input"})

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_page_is_well_formed_and_needs_nothing_from_outside(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for _, attributes in tags.found:
        for name in ("src", "href"):
            value = attributes.get(name, "#")
            assert value.startswith(("data:", "#")), value
    assert "url(" not in page
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    assert page.count("<script") == 2  # the other one is data
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert len(page) < 10e6


def test_every_section_of_the_navigation_exists(page):
    targets = re.findall(r'<a href="#([a-z]+)">', page)
    assert len(targets) >= 8
    assert all(f'<section id="{name}"' in page for name in targets)


def test_rows_add_up_in_the_funnel(store):
    rows = gather.row_counts(store)
    assert rows["rows"] == 2 * ROWS
    assert sum(counts[-1] for counts in rows["table"].values()) == rows["rows"]
    steps = gather.row_funnel(rows)
    counts = [n for _, n, _ in steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == rows["written"] > 0
    assert rows["table"]["unreadable"] == [1, 1, 2]


def test_the_funnel_is_text_that_keeps_its_size():
    drawn = charts.funnel([("caption rows", 1200, ""), ("a < b", 300, "−900 gone")], "rows")
    assert "<svg" not in drawn
    assert "1,200" in drawn
    assert "a &lt; b" in drawn
    assert [float(s) for s in re.findall(r"--share:([\d.]+)", drawn)] == [1.0, 0.25]


def rates(target, right, accepted=26):
    low, middle, high = right
    return {
        "target": target,
        "fdr": {
            "accepted": accepted,
            "right": {"least": low, "expected": middle, "most": high},
            "decoys": 40,
            "decoy": 0.4,
            "governs": "expected",
        },
    }


def test_what_was_asked_and_what_is_expected_stand_side_by_side():
    page = rates(["precision", 0.9], (17, 21, 25))
    assert "at least 90% of the labelled masks were right" in words.asked(page)
    said = words.expected(page)
    assert said.startswith("Of the 26 accepted masks, ")
    assert "about 21 should be right (81%), the sum of their scores" in said
    assert "17 to 25 (65% to 96%) in 95 of 100 such runs. The 90% asked for lie within" in said
    low = words.expected(rates(["precision", 0.9], (1680, 1712, 1744), 2000))
    assert "less than the 90% asked for" in low
    assert "filters.fdr=0.1 holds the rate" in low
    enough = words.expected(rates(["precision", 0.9], (1800, 1850, 1900), 2000))
    assert enough.endswith("such runs.")
    assert words.expected(rates(["fdr", 0.1], (17, 21, 23))).endswith("such runs.")
    assert "wrong ones at 10% or below" in words.asked(rates(["fdr", 0.1], (1, 1, 1)))
    assert "raw thresholds" in words.asked(rates(None, (1, 1, 1)))
    assert "nothing to expect" in words.expected({"fdr": {"right": None, "accepted": 0}})


def test_the_bound_that_governs_is_said_and_the_other_one_explained():
    by_scores = rates(["precision", 0.9], (17, 21, 25))
    assert "40.0%" not in words.expected(by_scores)
    assert "at most 40.0% of the accepted are wrong" in words.other_estimate(by_scores)
    assert "No verdict rests on it" in words.other_estimate(by_scores)
    assert "so the scores govern" in words.other_estimate(rates(["fdr", 0.1], (17, 21, 25)))
    by_decoys = rates(["fdr", 0.1], (17, 21, 25))
    by_decoys["fdr"]["governs"] = "decoy"
    assert "at most 40.0% are wrong, as decoys tell" in words.expected(by_decoys)
    assert "By their scores 21 of the 26 should be right" in words.other_estimate(by_decoys)
    by_decoys["fdr"]["decoy"] = None
    assert words.other_estimate(by_decoys) == ""


def test_thresholds_and_calibrations_are_said_in_words():
    limits = {"concept:gland": 0.8123, "global": None}
    assert words.threshold(limits, "concept:gland") == "0.812"
    assert words.threshold(limits, "global") == "no score reaches it"
    assert words.threshold(limits, None) == words.threshold({}, "global") == ""
    assert [words.level(n) for n in ("concept:gland", "family:cell", "global")] == [
        "gland alone", "all of the family cell", "all concepts together",
    ]  # fmt: skip


def test_masks_add_up_over_concepts(store):
    table = masks.masks_table(store)
    concepts = masks.concept_rows(table)
    assert sum(r["asked"] + r["denied"] + r["decoys"] for r in concepts) == table.num_rows
    area = table["area_px"].combine_chunks().to_numpy() * (np.arange(table.num_rows) % 2)
    table = table.set_column(table.column_names.index("area_px"), "area_px", pa.array(area))
    counts = masks.mask_counts(table)  # where half of them were asked for in vain
    for name in ("asked", "drawn", "written", "controls"):
        assert sum(r[name] for r in masks.concept_rows(table)) == counts[name] > 0
    assert sum(r["kept"] for r in concepts) == gather.row_counts(store)["regions"]
    for row in concepts:
        assert row["asked"] == row["kept"] + sum(n for _, n in row["reasons"])


def test_a_corpus_that_is_mostly_unreadable_is_said(store, page):
    rows = gather.row_counts(store)
    assert unreadable_corpora(rows) == []
    assert "cannot be read</b>" not in page
    bad = {**rows, "table": {**rows["table"], "unreadable": [1, 6, 7]}}
    assert unreadable_corpora(bad) == ["quilt: 6 of 7 rows cannot be read"]


def test_a_picture_is_shown_by_a_bare_name_that_only_it_has(store):
    named = find(store, "pathcap-00000002-00ff00")
    assert named.sample["image"] == "2.jpg"
    with pytest.raises(Refused, match=r"2: 2 pictures are called so: pathcap/2\.jpg, quilt/2\.jpg"):
        find(store, "2")
    with pytest.raises(Refused, match=r"no such sample in [^;]*$"):
        find(store, "nothing")


@pytest.mark.parametrize("said", ["A.B.JPG", "Deep/a.b.jpg", "a,b.jpg", "A.b"])
def test_pictures_of_nearly_that_name_are_named(tmp_path, said):
    store = Store(tmp_path)
    columns = {"sample_id": ["q-00000001-00ff00", "q-00000002-00ff00"], "key": [None, None],
               "corpus": ["q", "q"], "image": ["deep/a.b.jpg", "other.png"]}  # fmt: skip
    store.write_table("ledger/samples/q-000000.parquet", pa.table(columns))
    with pytest.raises(Refused, match=r"no such sample in .*; did you mean deep/a\.b\.jpg\?$"):
        _ledger_row(store, said)


def test_a_bare_name_of_one_picture(tmp_path):
    store = Store(tmp_path)
    columns = {"sample_id": ["q-00000001-00ff00"], "key": [None], "corpus": ["q"],
               "image": ["deep/a.b.jpg"]}  # fmt: skip
    store.write_table("ledger/samples/q-000000.parquet", pa.table(columns))
    for name in ("deep/a.b.jpg", "a.b.jpg", "a.b"):
        assert _ledger_row(store, name)[0]["sample_id"] == "q-00000001-00ff00"


def test_captions_are_escaped_and_their_phrases_marked(page):
    assert "Here are <b>" not in page
    assert "Here are &lt;b&gt;<mark" in page
    assert '<span class="m negated" title="keratin">keratin</span>' in page


def test_galleries_show_no_picture_twice_and_only_what_their_heading_says(store):
    table = masks.masks_table(store)
    found = pick.pick(table)
    assert len(found["samples"]) == pick.SAMPLES
    assert {s.split("-")[0] for s in found["samples"]} == {"quilt", "pathcap"}
    picture = dict(zip(*(table[c].to_pylist() for c in ("sample_id", "picture")), strict=True))
    cards = [r for g in ("accepted", "others") for rows in found[g].values() for r in rows]
    shown = [picture[s] for s in found["samples"]] + [card["picture"] for card in cards]
    assert cards
    assert len(shown) == len(set(shown))
    assert all(c["state"] == "written" for rows in found["accepted"].values() for c in rows)
    for state, rows in found["others"].items():
        assert state != "written"
        assert all(card["state"] == state for card in rows)
    some = pick.pick(table, used=shown)
    assert not set(shown) & {picture[s] for s in some["samples"]}


def test_a_mask_that_two_captions_name_counts_once(tmp_path):
    columns = {
        "sample_id": ["q-1", "q-2", "q-3", "q-1"], "concept": ["gland", "gland", "gland", "fat"],
        "polarity": ["negated", "affirmed", "affirmed", None], "segmenter": ["s"] * 4,
        "keep": [False, True, True, False], "reason": ["negated", None, None, "decoy"],
        "score": [0.9, 0.9, 0.8, 0.2], "area_px": [9, 9, 5, 4], "calibration": ["global"] * 4,
    }  # fmt: skip
    rows = {
        "sample_id": ["q-1", "q-2", "q-3"], "corpus": ["q"] * 3,
        "image": ["a.jpg", "a.jpg", "b.jpg"], "status": ["rejected", "written", "duplicate"],
    }  # fmt: skip
    store = Store(tmp_path)
    store.write_table("ledger/candidates/q.parquet", pa.table(columns))
    store.write_table("ledger/samples/q.parquet", pa.table(rows))
    table = masks.masks_table(store)
    assert sorted(table.select(["sample_id", "concept", "state"]).to_pylist(), key=str) == [
        {"sample_id": "q-1", "concept": "fat", "state": "decoy"},
        {"sample_id": "q-2", "concept": "gland", "state": "written"},
        {"sample_id": "q-3", "concept": "gland", "state": "duplicate"},
    ]
    assert masks.mask_counts(table) == {
        "asked": 2, "drawn": 2, "accepted": 2, "written": 1, "controls": 1,
    }  # fmt: skip
    steps = masks.mask_funnel(masks.mask_counts(table), regions=1)
    assert [n for _, n, _ in steps] == [2, 2, 2, 1]
    assert "−1 duplicates and exclusions" in steps[-1][2]


def test_one_place_counts_masks(store, page):
    """Status, page and notebook say the same."""
    counts = miner.open(store.root).counts()
    out = io.StringIO()
    print_summary(store, Console(file=out, width=200))
    said = " ".join(out.getvalue().split())
    assert f"{counts['asked']} concepts of pictures were asked for, {counts['drawn']} got" in said
    assert f"{counts['accepted']} were accepted, {counts['written']} are in the shards" in said
    assert f"<b>{counts['written']}</b><span>masks in the shards, named by captions as" in page
    marked = sum(mark["masks"] for mark in marks(store).values())
    assert marked == counts["drawn"] + counts["controls"]
    listed = sum(len(rows) for rows in shard_regions(store))
    assert gather.row_counts(store)["regions"] == listed


def test_the_card_and_the_report_count_alike(store):
    rows = gather.row_counts(store)
    card = store.read("shards/README.md").decode()
    pairs = f"{rows['written']:,} pathology image-caption pairs whose phrases point to "
    assert f"{pairs}{rows['regions']:,} regions, from 2 corpora" in card
    assert f"and {rows['groups']:,} groups" in card
    table = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    head, *told = table[next(i for i, row in enumerate(table) if row[:2] == ["corpus", "rows"]) :]
    for at, corpus in enumerate(rows["corpora"]):
        said = dict(zip(head, next(row for row in told if row[0] == corpus), strict=True))
        counts = {status: str(n[at]) for status, n in rows["table"].items()}
        assert said == {"corpus": corpus, "rows": str(rows["totals"][at]), **counts}
    listed = {row[0]: row[1] for row in table if len(row) == 5}
    named = Counter(r["concept"] for regions in shard_regions(store) for r in regions)
    assert {name: listed[name] for name in named} == {n: str(c) for n, c in named.items()}


def shard_regions(store):
    samples = GroundedCaptions(store.url, decode=False)
    return [samples[i]["sample"]["regions"] for i in range(len(samples))]


def test_outlines_lie_on_the_pixels_that_masks_were_drawn_on(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees when it is shown
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 80, 3), 200, np.uint8)).save(buffer, "jpeg", exif=exif.tobytes())
    mask = np.zeros((40, 80), bool)
    mask[10:30, 50:70] = True
    pictures = gallery.Pictures(Store(tmp_path), set())
    pictures.samples["s"] = {"image_id": "i"}
    pictures.images["i"] = {"data": buffer.getvalue(), "mpp": 0.5}
    pictures.masks["i", "gland", "one"] = encode(mask)
    drawn = pictures.figure("s", [{"concept": "gland", "segmenter": "one"}])
    assert (drawn.width, drawn.height) == (SIDE_PX, SIDE_PX // 2)
    shown = Image.open(io.BytesIO(base64.b64decode(drawn.src.split(",")[1])))
    assert shown.size == (drawn.width, drawn.height)
    corners = np.array(re.findall(r"([\d.]+) ([\d.]+)", drawn.paths[0]), float) / SIDE_PX * 80
    assert np.abs(corners.min(0) - (50, 10)).max() < 0.5
    assert np.abs(corners.max(0) - (70, 30)).max() < 0.5
    # 40 um across: the bar may take .3 of it, which 10 um fit into.
    assert drawn.bar == (SIDE_PX / 4, "10 µm")


def test_scale_bars_are_round_and_left_out_where_nothing_is_known():
    assert scale_bar(400, 0.5) == (100.0, "50 µm")
    assert scale_bar(400, 20.0) == (100.0, "2 mm")
    assert scale_bar(400, 0.001) is None
    picture = np.zeros((4, 4, 3), np.uint8)
    assert figure(picture, [], None).bar is None


def test_holes_of_a_mask_are_paths_of_their_own():
    ring = np.zeros((20, 20), bool)
    ring[2:18, 2:18] = True
    ring[8:12, 8:12] = False
    assert trace(ring, 1.0).count("M") == 2


def test_small_objects_are_shown_closer():
    labels = tile(3, 512, 0.8, "brain", flaws=0).labels["nuclei"] > 0
    rows, columns = closer(labels)
    assert rows.stop - rows.start < 300
    assert labels[rows, columns].mean() > labels.mean()
    assert closer(np.ones((64, 64), bool)) == (slice(None), slice(None))


def test_equal_outs_give_equal_pages(store, tmp_path):
    again = finished(tmp_path / "other place")
    write_report(again)

    def bare(which):
        text = which.read("report/index.html").decode()
        return re.sub(r"<h3>Time \(not reproducible\)</h3>.*?</table>", "", text)

    assert bare(again) == bare(store)
    for name in ("report/audit.ipynb", "report/calibration.json"):
        assert again.read(name) == store.read(name)


@pytest.mark.parametrize("rows", [{}, {"rows": {"written": [3, 2], "excluded: cap:a=b": [0, 1]}}])
def test_the_last_refilter_is_shown_with_and_without_rows(store, tmp_path, rows):
    copied = Store(shutil.copytree(store.url, tmp_path / "out"))
    changes = {"settings": ["seed: 0 -> 1"], "concepts": {}, "reasons": {}, "gained": 0, "lost": 0}
    copied.write_json(CHANGES, changes | rows)
    write_report(copied)
    shown = copied.read(REPORT).decode()
    assert "seed: 0 -&gt; 1" in shown
    assert ("excluded: cap:a=b" in shown) == bool(rows)


def test_calibration_counts_every_mask_once(store):
    page = store.read_json(CALIBRATION)
    candidates = masks.masks_table(store).to_pylist()
    drawn = [c for c in candidates if c["area_px"]]
    bins = page["histograms"]
    assert sum(bins["target"]) == sum(c["polarity"] == "affirmed" for c in drawn)
    assert sum(bins["decoy"]) == sum(c["concept"] == "necrosis" for c in drawn)
    assert sum(bins["accepted"]) == sum(c["keep"] for c in candidates)
    assert all("<svg" in chart["svg"] for chart in calibration_charts(page))


def test_what_was_left_out_is_said(page):
    assert "LLM extractor" in page
    assert "ner.llm" in page
    assert f"<b>llm:timeout</b> {2 * ROWS}" in page


def test_a_run_that_kept_nothing_has_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.miner.finished.NAMED", ())
    store = finished(tmp_path)
    write_report(store)
    text = store.read("report/index.html").decode()
    assert "No mask was accepted." in text
    nbformat.validate(json.loads(store.read("report/audit.ipynb")))


def test_histogram_heights_are_in_proportion():
    svg = charts.histogram([0, 1, 2], {"a": (charts.KEPT, [4, 2])})
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.02)


def test_notebook_imports_of_ours_the_front_door_alone(store):
    cells = nbformat.reads(store.read("report/audit.ipynb").decode(), as_version=4).cells
    tree = ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    found = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    rooms = ("filters", "miner", "ner", "segmenters", "shards")
    assert {name for name in found if name.split(".")[0] in rooms} == {"miner"}


@pytest.mark.whole
def test_notebook_runs(store, monkeypatch, tmp_path):
    """Every cell runs where it lies, with truth at hand."""
    expert_masks(store, tmp_path)
    monkeypatch.setenv("HISTOMINE_MASKS", str(tmp_path))
    notebook = nbformat.reads(store.read("report/audit.ipynb").decode(), as_version=4)
    client = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": store.path("report")}}
    )
    done = client.execute()
    text = "".join(
        output.get("text", "") for cell in done.cells for output in cell.get("outputs", ())
    )
    assert f"{2 * ROWS} caption rows" in text
    assert "all: precision 1.00" in text
    figures = [o for cell in done.cells for o in cell.get("outputs", ()) if "data" in o]
    assert sum("image/png" in o["data"] for o in figures) == 4


CLICKS = """
buttons["right"].click(); buttons["wrong_object"].click(); undo.click(); buttons["right"].click()
print(len(session.judgements().found), "judged")
print(said.value)
"""


@pytest.mark.whole
def test_buttons_of_the_notebook_record_judgements(store, tmp_path):
    """In a copy of OUT that was moved; its own kernel clicks."""
    pytest.importorskip("ipywidgets", reason="pip install 'histomine[notebook]'")
    shutil.copytree(store.root, tmp_path / "moved")
    notebook = nbformat.read(tmp_path / "moved/report/audit.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells]
    judge = next(i for i, source in enumerate(sources) if "run.audit(" in source)
    notebook.cells.insert(judge + 1, nbformat.v4.new_code_cell(CLICKS))
    done = NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": tmp_path / "moved/report"}}
    ).execute()
    said = [o.get("text", "") for cell in done.cells[judge:] for o in cell.get("outputs", ())]
    assert "2 judged" in "".join(said)
    assert "&lt;b&gt;" in "".join(said)  # captions of `finished` have tags
    assert "Here are <b>" not in "".join(said)
    lines = (tmp_path / "moved/judgements/me.jsonl").read_text().splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == ["right", "right"]


def test_sampling_is_left_out_unless_something_is_capped(tmp_path):
    store = Store(tmp_path)
    plain = check_config({"corpora": [{"kind": "quilt", "path": "x"}]}, "c")
    caps = {"caps": [{"by": ["organ"], "max_samples": 5}]}
    for sampling, there in ((SamplingConfig(), True), (SamplingConfig(**caps), False)):
        config = plain.model_copy(update={"sampling": sampling})
        store.write_json("run.json", {"config": config.model_dump(mode="json")})
        left_out = dict(gather.run_facts(store)["left_out"])
        assert ("caps and targets" in left_out) is there


def test_of_a_large_run_the_gallery_is_drawn_with_a_seed_and_the_largest_groups_stay():
    n = 3000
    rng = np.random.default_rng(7)
    concept = np.where(np.arange(n) % 10 == 0, "gland", "nucleus")
    table = pa.table(
        {
            **{name: pa.array([name] * n) for name in ("asked_as", "segmenter", "prompt")},
            "sample_id": [f"quilt-{i:08d}-00ff00" for i in range(n)],
            "picture": [f"quilt/{i}.jpg" for i in range(n)],
            "polarity": ["affirmed"] * n,
            "concept": concept,
            "area_px": [9] * n,
            "score": rng.random(n),
            "q_value": rng.random(n),
            "calibration": ["global"] * n,
            "keep": [True] * n,
            "state": ["written"] * (n - 10) + ["duplicate"] * 10,
        }
    )
    found = pick.pick(table)
    assert found == pick.pick(table)
    assert list(found["accepted"]) == ["nucleus", "gland"]
    assert [row["state"] for row in found["others"]["duplicate"]] == ["duplicate"] * pick.PER_GROUP
    best = max(row["score"] for row in found["accepted"]["nucleus"])
    assert best > 0.95  # of 400 drawn, but for those that are shown as samples


def test_reliability_is_drawn_where_there_are_masks():
    reliability = {"predicted": [0.1, 0.5, 0.9], "observed": [0.2, 0.0, 0.8], "count": [4, 0, 6]}
    ends = {"false_positive_rate": [0, 1], "true_positive_rate": [0, 1]}
    one = {"reliability": reliability, "roc": ends, "threshold": [0, 1], "precision": [0.5, 1]}
    bins = {"edges": [0, 1], "target": [1], "accepted": [1], "decoy": [0], "negated": [0]}
    page = {"levels": {"global": 10}, "calibrations": {"global": one}, "histograms": bins}
    drawn = calibration_charts(page)[0]["svg"]
    (line,) = re.findall(r'points="([^"]+)"', drawn)
    assert len(line.split()) == 2


def test_of_several_masks_of_a_concept_the_gallery_shows_the_best(tmp_path):
    pictures = gallery.Pictures(Store(tmp_path), set())
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "png")
    pictures.samples["s"] = {
        "image_id": "i", "sample_id": "s", "corpus": "q", "caption": "Glands.", "mentions": [],
    }  # fmt: skip
    pictures.images["i"] = {"data": buffer.getvalue(), "mpp": None}
    rows = [
        {"concept": "gland", "asked_as": None, "segmenter": name, "score": score, "area_px": 9}
        for name, score in (("a", None), ("b", 0.4), ("c", 0.9))
    ]
    for row in rows:
        pictures.masks["i", "gland", row["segmenter"]] = encode(np.ones((16, 16), bool))
    (shown,) = gallery._sample(pictures, "s", rows)["legend"]
    assert shown[3] == 0.9
