"""The scoring stage on small pictures: every score or a reason, and never an exception."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from filters.config import FilterConfig
from filters.decide import decide
from filters.scores import CLIP, GEOMETRY, SCORES
from filters.stage import Score
from miner.core import parts
from miner.core.errors import Refused
from miner.core.masks import bbox, encode
from miner.core.rle import encode_labels
from miner.core.unit import CANDIDATES, IMAGES, SAMPLES, Unit

SIDE = 96


def picture(seed=0, grey=False):
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), (225, 170, 200)) + rng.normal(0, 8, (SIDE, SIDE, 3))
    labels = np.zeros((SIDE, SIDE), np.int32)
    yy, xx = np.mgrid[:SIDE, :SIDE]
    for i, (y, x) in enumerate([(20, 20), (20, 60), (60, 20), (60, 60), (80, 40), (40, 80)], 1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < 81] = i
    image[labels > 0] -= (110, 100, 50)
    image = np.clip(image, 0, 255).astype(np.uint8)
    return (image[..., [1, 1, 1]] if grey else image), labels


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def candidate(mask, labels=None, **changes):
    row = {
        "image_id": "q/a",
        "concept": "nucleus",
        "kind": "object",
        "roles": ["positive"],
        "prompt": "nuclei",
        "segmenter": "embedded",
        "counts": encode(mask) if mask.any() else None,
        "instances": encode_labels(labels) if labels is not None else [],
        "bbox": list(bbox(mask)) if mask.any() else None,
        "area_px": int(mask.sum()),
        "confidence": 0.8,
        "reason": None if mask.any() else "empty",
    }
    return {**row, **changes}


def unit(image, rows, data=None):
    images = [
        {
            "image_id": "q/a",
            "data": png(image) if data is None else data,
            "format": "png",
            "width": SIDE,
            "height": SIDE,
            "mpp": 0.5,
            "mpp_source": "slide",
            "sha256": "",
        }
    ]
    return Unit(
        SAMPLES.empty_table(),
        pa.Table.from_pylist(images, IMAGES),
        pa.Table.from_pylist(rows, CANDIDATES),
    )


@pytest.fixture(scope="module")
def score():
    return Score(FilterConfig())


def test_a_right_mask_has_all_scores(score):
    image, labels = picture()
    done = score(unit(image, [candidate(labels > 0, labels)]))
    (row,) = done.candidates.to_pylist()
    expected = {
        *GEOMETRY,
        *CLIP,
        "ks_d",
        "ks_p",
        "ks_rim",
        "ks_effect",
        "ks_support",
        "ks_d_object",
    }
    expected -= {"geometry_overlap", "geometry_inside"}
    missing = {name for name in expected if row[name] is None}
    assert not missing, row["notes"]
    assert row["geometry_objects"] == 6


def test_the_same_unit_gives_the_same_scores_in_any_order(score):
    image, labels = picture()
    rows = [candidate(labels > 0, labels), candidate(labels == 1, concept="lymphocyte")]
    forward = score(unit(image, rows)).candidates.to_pylist()
    backward = score(unit(image, rows[::-1])).candidates.to_pylist()[::-1]
    assert forward == backward


@pytest.mark.parametrize(
    ("make", "note", "reason"),
    [
        (lambda m: np.zeros_like(m), None, "empty"),
        (lambda m: np.ones_like(m), "no complement", "whole_image"),
        (lambda m: np.eye(SIDE, dtype=bool) & (np.arange(SIDE) == 40), "fewer than", "speck"),
    ],
)
def test_odd_masks_are_never_accepted(score, make, note, reason):
    image, labels = picture()
    done = score(unit(image, [candidate(make(labels > 0))]))
    (row,) = decide(done.candidates, FilterConfig()).to_pylist()
    assert row["reason"] == reason
    assert not row["keep"]
    if note:
        assert any(note in n for n in row["notes"])


def test_grey_pictures_are_out_of_support(score):
    image, labels = picture(grey=True)
    done = score(unit(image, [candidate(labels > 0, labels)]))
    (row,) = decide(done.candidates, FilterConfig()).to_pylist()
    assert row["reason"] == "out_of_support"
    assert any("grey" in n for n in row["notes"])


def test_a_concept_without_reference_says_so(score):
    image, labels = picture()
    row = candidate(labels > 0, labels, concept="dendritic spine nobody drew")
    done = score(unit(image, [row])).candidates.to_pylist()[0]
    assert done["ks_d"] is None
    assert any("no reference" in n for n in done["notes"])


@pytest.mark.parametrize("data", [b"no picture", b""])
def test_unreadable_pictures_have_no_scores(score, data):
    _, labels = picture()
    done = score(unit(None, [candidate(labels > 0)], data=data))
    assert done.candidates["ks_d"].to_pylist() == [None]
    (row,) = decide(done.candidates, FilterConfig()).to_pylist()
    assert row["reason"] == "undefined"


def test_no_candidates(score):
    image, _ = picture()
    done = score(unit(image, []))
    assert done.candidates.num_rows == 0
    assert set(SCORES) <= set(done.candidates.column_names)


def test_biomedparse_needs_probabilities(shared):
    table = str(shared / "biomedparse" / "target_dist.json")
    stage = Score(FilterConfig(biomedparse_table=table, clip=None))
    image, labels = picture()
    done = stage(unit(image, [candidate(labels > 0, concept="tumor cell")])).candidates
    assert any("no pixel probabilities" in n for n in done["notes"][0].as_py())
    with_mean = unit(image, [candidate(labels > 0, concept="tumor cell")])
    with_mean = with_mean.with_columns("candidates", {"mean_probability": pa.array([0.9])})
    (row,) = stage(with_mean).candidates.to_pylist()
    assert 0 <= row["biomedparse_p"] <= 1


def test_missing_files_are_refused():
    with pytest.raises(Refused, match=r"filters\.references"):
        Score(FilterConfig(references="/none.json", clip=None))
    with pytest.raises(Refused, match=r"filters\.biomedparse_table"):
        Score(FilterConfig(biomedparse_table="/none.json", clip=None))


def test_a_score_of_a_part_is_a_column_with_its_meaning_and_a_threshold(monkeypatch):
    monkeypatch.setitem(parts.BUILT_IN["scores"], "redness", "tests.filters.scorers:PART")
    image, labels = picture()
    small, large = labels == 1, np.ones_like(labels, bool)
    rows = [candidate(small), candidate(large, concept="stroma", kind="stuff")]
    settings = {"clip": None, "scores": [{"kind": "redness"}], "support_alpha": 0}
    config = FilterConfig.model_validate({**settings, "at_least": {"redness": 0.9}})
    done = Score(config)(unit(image, rows)).candidates
    field = done.schema.field("redness")
    assert (field.type, field.metadata) == (pa.float64(), {b"description": b"mean red, 0..1"})
    expected = round(float(image[small][:, 0].mean()) / 255, 6)
    assert done["redness"].to_pylist() == [expected, None]
    assert "redness: failed with ValueError" in done["notes"].to_pylist()[1]
    assert decide(done, config)["reason"].to_pylist()[0] == "at_least:redness"
    easy = config.model_copy(update={"at_least": {"redness": 0.1}})
    assert decide(done, easy)["keep"].to_pylist()[0]


def test_a_score_for_which_memory_is_lacking_is_no_value_of_the_mask(monkeypatch):
    monkeypatch.setitem(parts.BUILT_IN["scores"], "redness", "tests.filters.scorers:PART")
    image, labels = picture()
    scores = [{"kind": "redness", "memory_px": 0}]
    config = FilterConfig.model_validate({"clip": None, "scores": scores})
    with pytest.raises(MemoryError):
        Score(config)(unit(image, [candidate(labels == 1)]))
