"""The segmenting stage with a segmenter that thresholds colour."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from miner.core.errors import Refused
from miner.core.masks import decode
from miner.core.parts import Part
from miner.core.unit import CANDIDATES, FACT, IMAGES, MENTION, SAMPLES, Unit
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter
from segmenters.stage import Segment
from segmenters.stain.segmenter import StainConfig
from segmenters.unet.segmenter import UnetConfig


class DarkSegmenter(Segmenter):
    """Everything dark is a nucleus; a gland makes it fail; of stroma it finds nothing."""

    name = "dark"
    encoded = 0

    def supports(self, concept):
        return concept in {"nucleus", "gland", "stroma"}

    def encode(self, image, mpp):
        type(self).encoded += 1
        return image, mpp

    def segment(self, encoded, prompts):
        image, mpp = encoded
        assert mpp in (None, 0.5)
        out = []
        for prompt in prompts:
            if prompt.concept == "gland":
                raise ValueError("odd input")
            mask = (image.mean(-1) < 128) & (prompt.concept == "nucleus")
            labels = mask.astype(np.int32)
            out.append(
                Candidate(
                    prompt.concept, prompt.wordings[0], mask, labels, 0.5, None, {"darkness": 1.0}
                )
            )
        return out


@pytest.fixture
def answering(monkeypatch):
    """Puts other segmenters in the place of those that ship."""

    def replace(**classes):
        def find(group, kind):
            columns = {"darkness": "1 where it is dark"}
            return Part(
                kind=kind,
                Settings=StainConfig,
                build=lambda config, threads: classes[kind](),
                columns=columns,
            )

        for module in ("registry", "config"):
            monkeypatch.setattr(f"segmenters.{module}.find", find)

    return replace


@pytest.fixture
def stage(monkeypatch, answering):
    answering(stain=DarkSegmenter)
    monkeypatch.setattr(DarkSegmenter, "encoded", 0)
    return lambda **kw: Segment(SegmentConfig(segmenters=(StainConfig(),), decoys=0, **kw))


def png():
    picture = np.full((20, 30, 3), 240, np.uint8)
    picture[5:10, 5:15] = 20
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def mention(concept, polarity="affirmed", groundable=True, kind="object"):
    return {
        "start": 0, "end": 1, "text": concept, "concept": concept, "kind": kind,
        "polarity": polarity, "sources": ["lexicon"], "groundable": groundable,
    }  # fmt: skip


def unit(captions, data=None, facts=None):
    """One picture with several captions: lists of mentions, or a status."""
    rows = [
        {"sample_id": str(i), "image_id": "a", "status": None if isinstance(c, list) else c}
        for i, c in enumerate(captions)
    ]
    samples = pa.Table.from_pylist(rows, SAMPLES)
    samples = samples.append_column(
        "mentions",
        pa.array([c if isinstance(c, list) else [] for c in captions], pa.list_(MENTION)),
    )
    samples = samples.append_column("facts", pa.array([facts or []] * len(rows), pa.list_(FACT)))
    image = {"image_id": "a", "data": png() if data is None else data, "mpp_source": "none"}
    return Unit(samples, pa.Table.from_pylist([image], IMAGES))


def test_captions_of_one_picture_are_asked_together_and_encoded_once(stage):
    out = stage()(
        unit([[mention("nucleus")], [mention("stroma", kind="stuff"), mention("nucleus")]])
    )
    rows = out.candidates.to_pylist()
    assert [r["concept"] for r in rows] == ["nucleus", "stroma"]
    assert DarkSegmenter.encoded == 1
    assert rows[0]["area_px"] == 50
    assert rows[0]["bbox"] == [5, 5, 15, 10]
    assert decode(rows[0]["counts"], 20, 30)[5:10, 5:15].all()
    assert rows[0]["instances"] == [rows[0]["counts"]]
    assert rows[0]["darkness"] == 1.0
    assert (rows[1]["counts"], rows[1]["reason"]) == (None, "empty")
    assert out.images["asks"][0].as_py()[0]["roles"] == ["positive"]
    assert out.samples["status"].to_pylist() == [None, None]


def test_unsupported_concepts_and_failures_leave_rows_with_reasons(stage):
    out = stage()(unit([[mention("gland"), mention("necrosis", kind="stuff")]]))
    assert out.candidates["reason"].to_pylist() == ["failed:ValueError", "unsupported"]


def test_unreadable_picture_leaves_rows_with_reasons(stage):
    out = stage()(unit([[mention("nucleus")]], data=b"\xff\xd8nothing"))
    assert out.candidates["reason"].to_pylist() == ["unreadable"]


def test_negated_mentions_are_asked_beside_positive_ones_only(stage):
    denied = mention("stroma", "negated", False, "stuff")
    assert stage()(unit([[denied]])).candidates.num_rows == 0
    both = stage()(unit([[denied, mention("nucleus")]]))
    assert both.candidates["roles"].to_pylist() == [["negated"], ["positive"]]
    keep = Segment(SegmentConfig(segmenters=(StainConfig(),), decoys=0), keep_negatives=True)
    assert keep(unit([[denied]])).candidates["roles"].to_pylist() == [["negated"]]


def test_settled_samples_and_uncertain_mentions_are_not_asked(stage):
    out = stage()(unit(["unreadable", [mention("nucleus", "uncertain", False)]]))
    assert out.candidates.num_rows == 0
    assert out.images["asks"].to_pylist() == [[]]
    assert set(CANDIDATES.names) | {"darkness"} == set(out.candidates.column_names)


def test_decoys_are_absent_supported_and_reproducible(answering):
    answering(stain=DarkSegmenter)
    config = SegmentConfig(segmenters=(StainConfig(),), decoys=2)
    asked = [Segment(config)(unit([[mention("nucleus")]])).images["asks"].to_pylist() for _ in "ab"]
    assert asked[0] == asked[1]
    decoys = [a["concept"] for a in asked[0][0] if a["roles"] == ["decoy"]]
    assert decoys
    assert set(decoys) <= {"gland", "stroma"}


def test_two_segmenters_agree_by_a_score(answering):
    class OtherSegmenter(DarkSegmenter):
        name = "other"

        def segment(self, encoded, prompts):
            mask = np.zeros((20, 30), bool)
            mask[5:10, 5:10] = True
            return [Candidate(p.concept, p.concept, mask, None, 0.5) for p in prompts]

    answering(stain=DarkSegmenter, unet=OtherSegmenter)
    config = SegmentConfig(segmenters=(StainConfig(), UnetConfig()), decoys=0)
    out = Segment(config)(unit([[mention("nucleus"), mention("stroma", kind="stuff")]]))
    rows = {(r["segmenter"], r["concept"]): r for r in out.candidates.to_pylist()}
    assert rows["dark", "nucleus"]["ensemble_iou"] == 0.5
    assert rows["other", "nucleus"]["ensemble_iou"] == 0.5
    # The other one found no stroma where this one did.
    assert rows["other", "stroma"]["ensemble_iou"] == 0.0
    assert rows["dark", "stroma"]["ensemble_iou"] is None
    assert rows["other", "nucleus"]["darkness"] is None


def test_columns_are_those_that_segmenters_declare(stage):
    out = stage()(unit(["unreadable"]))
    assert "darkness" in out.candidates.column_names


def test_segmenters_need_distinct_names():
    with pytest.raises(Refused, match="same name"):
        registry.build(SegmentConfig(segmenters=(StainConfig(), StainConfig())))


def test_a_segmenter_that_states_no_confidence_has_none():
    assert Candidate("nucleus", "nuclei", None).confidence == 0
