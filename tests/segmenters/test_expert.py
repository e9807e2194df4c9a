"""What experts outlined as candidates: as it is, trusted, and nothing where they did not look."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from miner.core.masks import decode, encode
from miner.core.rle import encode_labels
from miner.core.unit import IMAGES, MENTION, SAMPLES, Unit
from segmenters.config import SegmentConfig
from segmenters.expert import ExpertConfig
from segmenters.stage import Segment
from segmenters.stain.segmenter import StainConfig


def unit(given, concepts=("nucleus", "lymphocyte", "stroma", "gland")):
    """A picture with outlines, and a caption that names concepts."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 200, np.uint8)).save(buffer, "PNG")
    image = {"image_id": "a", "data": buffer.getvalue(), "given": given, "mpp_source": "none"}
    mentions = [
        {
            "start": 0, "end": 1, "text": "x", "concept": name, "polarity": "affirmed",
            "kind": "stuff" if name == "stroma" else "object", "groundable": True,
        }
        for name in concepts
    ]  # fmt: skip
    samples = pa.Table.from_pylist([{"sample_id": "s", "image_id": "a"}], SAMPLES)
    samples = samples.append_column("mentions", pa.array([mentions], pa.list_(MENTION)))
    return Unit(samples, pa.Table.from_pylist([image], IMAGES))


def outlines():
    labels = np.zeros((20, 30), np.int32)
    labels[2:6, 2:6], labels[10:14, 20:25] = 1, 2
    region = np.zeros((20, 30), np.int32)
    region[:, :15] = 1
    return labels, region


def test_outlines_become_candidates_as_they_are():
    labels, region = outlines()
    given = [
        {"concept": "nucleus", "apart": True, "complete": True, "counts": encode_labels(labels)},
        {"concept": "lymphocyte", "apart": True, "complete": True, "counts": []},
        {"concept": "stroma", "apart": False, "complete": True, "counts": encode_labels(region)},
    ]
    stage = Segment(SegmentConfig(segmenters=(ExpertConfig(),)))
    rows = {row["concept"]: row for row in stage(unit(given)).candidates.to_pylist()}
    assert {name: row["reason"] for name, row in rows.items()} == {
        "nucleus": None, "lymphocyte": "empty", "stroma": None, "gland": "unannotated",
    }  # fmt: skip
    assert rows["nucleus"]["instances"] == encode_labels(labels)
    assert {name: row["roles"] for name, row in rows.items()} == {
        "nucleus": ["complete", "positive", "trusted"],
        "lymphocyte": ["complete", "positive", "trusted"],
        "stroma": ["complete", "positive", "trusted"],
        "gland": ["positive", "trusted"],
    }
    np.testing.assert_array_equal(decode(rows["stroma"]["counts"], 20, 30), region > 0)
    assert rows["stroma"]["instances"] == []


def test_objects_that_are_not_told_apart_are_not_counted():
    labels, _ = outlines()
    given = [
        {"concept": "lymphocyte", "apart": False, "complete": True, "counts": encode_labels(labels)}
    ]
    stage = Segment(SegmentConfig(segmenters=(ExpertConfig(),)))
    (row,) = stage(unit(given, ("lymphocyte",))).candidates.to_pylist()
    assert (row["area_px"], row["instances"]) == (16 + 20, [])
    assert "complete" not in row["roles"]


def test_the_outlines_as_a_whole_are_their_union():
    labels, region = outlines()
    for drawn in (labels, region):
        given = [
            {"concept": "nucleus", "apart": True, "complete": True, "counts": encode_labels(drawn)}
        ]
        stage = Segment(SegmentConfig(segmenters=(ExpertConfig(),)))
        (row,) = stage(unit(given, ("nucleus",))).candidates.to_pylist()
        assert row["counts"] == encode(drawn > 0)
        assert row["area_px"] == np.count_nonzero(drawn)


def test_a_picture_that_nobody_looks_at_is_not_decoded(monkeypatch):
    def decoded(data):
        raise AssertionError("decoded")

    monkeypatch.setattr("segmenters.stage.decode", decoded)
    labels, _ = outlines()
    given = [
        {"concept": "nucleus", "apart": True, "complete": True, "counts": encode_labels(labels)}
    ]
    stage = Segment(SegmentConfig(segmenters=(ExpertConfig(),)))
    (row,) = stage(unit(given, ("nucleus",))).candidates.to_pylist()
    assert row["instances"] == encode_labels(labels)


def test_experts_are_asked_for_no_decoys_and_take_none_from_others():
    alone = Segment(SegmentConfig(segmenters=(ExpertConfig(),)))
    assert "decoy" not in str(alone(unit([], ("nucleus",))).images["asks"].to_pylist())
    stain = Segment(SegmentConfig(segmenters=(StainConfig(),)))
    both = Segment(SegmentConfig(segmenters=(StainConfig(), ExpertConfig())))
    asks = [stage(unit([], ("nucleus",))).images["asks"].to_pylist() for stage in (stain, both)]
    assert asks[0] == asks[1]
    assert "decoy" in str(asks[0])
