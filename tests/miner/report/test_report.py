"""The report of a finished OUT: complete, self-contained, the same every time."""

import ast
import base64
import io
import json
import re
from html.parser import HTMLParser

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from miner.barrier.sampling import SamplingConfig
from miner.core.layout import CALIBRATION
from miner.core.masks import encode
from miner.core.store import Store
from miner.demo.render import tile
from miner.load_config import check_config
from miner.report import charts, gallery, gather, words, write_report
from miner.report.calibration import calibration_charts
from miner.report.outlines import SIDE_PX
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

    VOID = frozenset({"meta", "img", "br", "rect", "path", "line", "polyline"})

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
    assert "<script" not in page
    assert len(page) < 10e6


def test_every_section_of_the_navigation_exists(page):
    targets = re.findall(r'<a href="#([a-z]+)">', page)
    assert len(targets) >= 8
    assert all(f'<section id="{name}">' in page for name in targets)


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


def test_masks_add_up_over_concepts(store):
    candidates = gather.candidates_table(store)
    concepts = gather.concept_rows(candidates)
    assert sum(r["asked"] + r["denied"] + r["controls"] for r in concepts) == candidates.num_rows
    assert sum(r["kept"] for r in concepts) == gather.row_counts(store)["regions"]
    for row in concepts:
        assert row["asked"] == row["kept"] + sum(n for _, n in row["reasons"])


def test_captions_are_escaped_and_their_phrases_marked(page):
    assert "Here are <b>" not in page
    assert "Here are &lt;b&gt;<mark" in page
    assert '<span class="m negated" title="keratin">keratin</span>' in page


def test_gallery_shows_both_accepted_and_rejected(store):
    found = gallery.examples(store, gather.candidates_table(store))
    assert len(found["samples"]) == gallery.SAMPLES
    assert {s["corpus"] for s in found["samples"]} == {"quilt", "pathcap"}
    assert found["accepted"]
    assert dict(found["rejected"])["at_least:ks_rim"]
    for _, cards in found["accepted"] + found["rejected"]:
        for card in cards:
            data = base64.b64decode(card["picture"].split(",")[1])
            assert max(Image.open(io.BytesIO(data)).size) == SIDE_PX


def test_outlines_lie_on_the_pixels_that_masks_were_drawn_on(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees when it is shown
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 80, 3), 200, np.uint8)).save(buffer, "jpeg", exif=exif.tobytes())
    mask = np.zeros((40, 80), bool)
    mask[10:30, 50:70] = True
    pictures = gallery.Pictures(Store(tmp_path), set())
    pictures.samples["s"] = {"image_id": "i"}
    pictures.images["i"] = {"data": buffer.getvalue()}
    pictures.masks["i", "gland", "one"] = encode(mask)
    uri = pictures.outlined("s", [{"concept": "gland", "segmenter": "one"}])
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))).astype(int)
    assert drawn.shape[:2] == (SIDE_PX // 2, SIDE_PX)
    ys, xs = np.nonzero(np.abs(drawn - 200).max(axis=2) > 60)
    assert np.abs(np.array([ys.min(), ys.max()]) / SIDE_PX * 80 - (10, 30)).max() < 2
    assert np.abs(np.array([xs.min(), xs.max()]) / SIDE_PX * 80 - (50, 70)).max() < 2


def test_small_objects_are_shown_closer():
    labels = tile(3, 512, 0.8, "brain", flaws=0).labels["nuclei"] > 0
    rows, columns = gallery.closer(labels)
    assert rows.stop - rows.start < 300
    assert labels[rows, columns].mean() > labels.mean()
    assert gallery.closer(np.ones((64, 64), bool)) == (slice(None), slice(None))


def test_equal_outs_give_equal_pages(store, tmp_path):
    again = finished(tmp_path / "other place")
    write_report(again)

    def bare(which):
        text = which.read("report/index.html").decode()
        return re.sub(r"<h3>Time \(not reproducible\)</h3>.*?</table>", "", text)

    assert bare(again) == bare(store)
    for name in ("report/audit.ipynb", "report/calibration.json"):
        assert again.read(name) == store.read(name)


def test_calibration_counts_every_mask_once(store):
    page = store.read_json(CALIBRATION)
    candidates = gather.candidates_table(store).to_pylist()
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
    assert sum("image/png" in o["data"] for o in figures) == 3


def test_sampling_is_left_out_unless_something_is_capped(tmp_path):
    store = Store(tmp_path)
    plain = check_config({"corpora": [{"kind": "quilt", "path": "x"}]}, "c")
    caps = {"caps": [{"by": ["organ"], "max_samples": 5}]}
    for sampling, there in ((SamplingConfig(), True), (SamplingConfig(**caps), False)):
        config = plain.model_copy(update={"sampling": sampling})
        store.write_json("run.json", {"config": config.model_dump(mode="json")})
        left_out = dict(gather.run_facts(store)["left_out"])
        assert ("caps and targets" in left_out) is there
