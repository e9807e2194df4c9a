"""RefPath's expressions: boxes as published, what is wrong with some, and figures that add up."""

import json
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from filters.config import FilterConfig
from miner.cli import app
from miner.core.errors import Refused
from miner.evaluate.boxes import UNNAMED, box_iou, evaluate_boxes
from miner.evaluate.refpath import Box, read_boxes
from ner.config import NerConfig
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter
from tests.miner.corpora.expert_sets import discs, png, tissue


def record(name="1.jpg", box=(10, 10, 40, 30), text=("Glands in the upper left.",), **more):
    row = {"image_id": name, "bbox": list(box), "expression": list(text), "bbox_id": 1}
    return {**row, "height": 64, "width": 64, **more}


def write(folder, records, name="testA.jsonl"):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    (folder / name).write_text("\n".join(lines))


def test_records_as_published(tmp_path):
    png(tmp_path / "refpath_image" / "1.jpg", tissue(64, 64))
    png(tmp_path / "2.jpg", tissue(64, 64))
    write(
        tmp_path,
        [
            record(image="refpath_image/1.jpg"),
            "",
            record("2.jpg", box=(1.5, 2, 3, 4), text=["[A mitotic figure.]", "another"]),
            record("3.jpg"),
            record(box=(10, 10, 10, 30)),
            record(box=(1, 2, 3)),
            record(box=(1, 2, 3, "x")),
            record(text=[]),
            '{"image_id": ',
            "[]",
        ],
    )
    faults = Counter()
    found = list(read_boxes(tmp_path, faults))
    assert found == [
        Box(tmp_path / "refpath_image" / "1.jpg", "Glands in the upper left.", (10, 10, 40, 30)),
        Box(tmp_path / "2.jpg", "A mitotic figure.", (1.5, 2, 3, 4)),
    ]
    assert faults == {
        "missing_image": 1, "no_box": 3, "no_expression": 1, "malformed_json": 1, "no_record": 1,
    }  # fmt: skip
    assert list(read_boxes(tmp_path / "testA.jsonl", Counter())) == found
    with pytest.raises(Refused, match="expected a JSON lines file"):
        list(read_boxes(tmp_path / "refpath_image", Counter()))


def test_boxes_overlap_as_areas_do():
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(50 / 150)
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0.0
    assert box_iou((1, 1, 3, 3), (1, 1, 3, 3)) == 1.0


class Corners(Segmenter):
    """Two glands, on the left and on the right; knows nothing else."""

    name = "corners"
    encoded = 0

    def supports(self, concept):
        return concept == "gland"

    def encode(self, image, mpp):
        type(self).encoded += 1
        return image.shape[:2]

    def segment(self, encoded, prompts):
        labels = discs(*encoded, [(12, 12), (12, 40)])
        return [Candidate(p.concept, p.wordings[0], labels > 0, labels, 0.9) for p in prompts]


def test_figures_of_expressions(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    png(picture, tissue(64, 64))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    whole, left = (7, 7, 46, 18), (7, 7, 18, 18)
    boxes = {
        picture: [
            Box(picture, "Two glands.", whole),
            Box(picture, "The gland on the left.", left),
            Box(picture, "Necrosis in the corner.", left),
            Box(picture, "The upper left.", left),
            Box(picture, "A gland.", (80, 8, 90, 18)),
            Box(picture, "A gland.", (8, 64, 18, 74)),  # below its last row
        ],
        tmp_path / "bad.png": [Box(tmp_path / "bad.png", "A gland.", left)],
    }
    monkeypatch.setattr(registry, "build", lambda config, threads: [Corners()])
    monkeypatch.setattr(Corners, "encoded", 0)
    filters = FilterConfig(clip=None, at_least={"geometry_area_fraction": 0.0})
    found = evaluate_boxes(boxes, NerConfig(), SegmentConfig(), filters)
    assert (found["pictures"], Corners.encoded) == (1, 1)
    assert found["faults"] == {"not_an_image": 1, "outside_picture": 2}
    glands = found["concepts"]["gland"]
    assert (glands["expressions"], glands["answered"], glands["kept"]) == (2, 2, 2)
    # The box of both holds that of the left one: 11 of 39 columns.
    assert glands["iou"] == round((1 + 11 / 39) / 2, 4)
    assert (glands["accuracy"], glands["nearest_iou"], glands["nearest_accuracy"]) == (0.5, 1, 1)
    assert found["concepts"]["necrosis"]["answered"] == 0
    assert found["concepts"][UNNAMED]["iou"] == 0.0
    assert (found["all"]["expressions"], found["all"]["accuracy"]) == (4, 0.25)


def test_the_command(tmp_path):
    png(tmp_path / "set" / "1.jpg", tissue(64, 64))
    write(tmp_path / "set", [record(), record("9.jpg")])
    (tmp_path / "c.yaml").write_text(
        "corpora: [{kind: pairs, path: x}]\nsegment: {segmenters: [{kind: stain}]}\n"
        "filters: {clip: null}"
    )
    result = CliRunner().invoke(
        app,
        ["evaluate", "--boxes", str(tmp_path / "set"), "--config", str(tmp_path / "c.yaml"),
         "--json", str(tmp_path / "f.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 left out: missing_image" in result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["concepts"]["gland"]["expressions"] == 1
    assert np.isfinite(found["all"]["iou"])
    for arguments in (["evaluate"], ["evaluate", "OUT", "--boxes", "x"]):
        assert isinstance(CliRunner().invoke(app, arguments).exception, Refused)
