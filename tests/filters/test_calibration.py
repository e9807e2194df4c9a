"""Fitting: planted errors are errors, regressions agree with known answers, folders are read."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from filters import decide as deciding
from filters.batch import read_batch
from filters.calibration import candidates, curves, fit, labelled, logistic, planting, refit
from filters.calibration.fit_references import Collected, fit_references
from filters.config import FilterConfig
from filters.decision import load_decision
from filters.references import load_references
from miner.core.errors import Refused
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter


class TrueMasks(Segmenter):
    """Answers with the truth, and with a corner for what is not there."""

    name = "truth"

    def __init__(self, tile):
        self.tile = tile

    def supports(self, concept):
        return True

    def encode(self, image, mpp):
        return image

    def segment(self, encoded, prompts):
        found = []
        for prompt in prompts:
            known = self.tile.truth.get(prompt.concept)
            mask = np.zeros(encoded.shape[:2], bool) if known is None else known.labels > 0
            mask[:9, :9] |= known is None
            found.append(Candidate(prompt.concept, prompt.wordings[0], mask, confidence=0.7))
        return found


@pytest.fixture(scope="module")
def tiles():
    return list(labelled.phantoms(9, 41, 144))


def test_planted_errors_are_errors(tiles):
    seen = set()
    for tile in tiles:
        for one in candidates.of_tile(tile, TrueMasks(tile)):
            known = tile.truth.get(one.concept)
            actual = 0.0 if known is None else planting.iou(one.mask, known.labels > 0)
            assert actual == pytest.approx(one.iou)
            assert one.mask.any()
            seen.add(one.how)
            if one.how in ("concept", "shifted", "merged", "hallucinated", "absent"):
                assert one.iou < planting.RIGHT_IOU
            if one.how in planting.PLANTED:
                assert one.mask.mean() < planting.MOST_PLANTED
            if one.how == "asked":
                assert one.iou == 1
    assert seen == {*planting.NATURAL, *planting.PLANTED}


def test_a_tile_always_gives_the_same_candidates(tiles):
    tile = tiles[0]
    one, two = (candidates.of_tile(tile, TrueMasks(tile)) for _ in range(2))
    assert [(p.concept, p.how, p.mask.tobytes()) for p in one] == [
        (p.concept, p.how, p.mask.tobytes()) for p in two
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=40))
def test_isotonic_is_the_best_monotone_fit(pairs):
    x = np.array([p[0] for p in pairs])
    y = np.array([float(p[1]) for p in pairs])
    px, py, size = curves.isotonic(x, y, np.ones(len(x)))
    assert size.sum() == len(x)
    assert (np.diff(py) > 0).all()
    assert (np.diff(px) >= 0).all()
    assert y.mean() == pytest.approx(np.average(py, weights=_pool_sizes(x, y)), abs=1e-9)


def test_pools_of_the_isotonic_map_are_weighted_means():
    x, y = np.array([4.0, 1.0, 3.0, 2.0]), np.array([1.0, 0.0, 0.0, 1.0])
    px, py, size = curves.isotonic(x, y, np.array([2.0, 1.0, 3.0, 1.0]))
    np.testing.assert_allclose(px, [1, (2 + 3 * 3) / 4, 4])  # 2 and 3 come in the wrong order
    np.testing.assert_allclose(py, [0, 1 / 4, 1])
    np.testing.assert_allclose(size, [1, 4, 2])


def test_few_masks_are_no_certainty():
    logit = np.arange(6.0)
    one = curves.calibrate(logit, logit >= 3, np.ones(6))
    # Three of three right and one of even odds: 3.5 of 4, half of the doubt left at the far end.
    assert one.probability(np.array([4.0, 5.0])) == pytest.approx([3.5 / 4, 1 - 0.5 / 8])
    assert one.precision[-1] == pytest.approx(0.5)
    assert (np.diff(one.precision) <= 0).all()


def _pool_sizes(x, y):
    sizes, values = [], []
    for value in y[np.argsort(x, kind="stable")]:
        sizes.append(1)
        values.append(value)
        while len(values) > 1 and values[-2] >= values[-1]:
            total = sizes[-1] + sizes[-2]
            mean = (values[-1] * sizes[-1] + values[-2] * sizes[-2]) / total
            sizes[-2:], values[-2:] = [total], [mean]
    return sizes


def test_logistic_finds_known_weights():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 2))
    right = rng.uniform(size=20_000) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - 0.5)))
    model = logistic.fit_logistic(x, right, np.ones(20_000))
    assert model.weight == pytest.approx([1.5, 0], abs=0.08)
    assert model.square == pytest.approx([0, 0], abs=0.08)
    blank = x.copy()
    blank[:, 1] = np.nan
    assert np.isfinite(model.logit(blank)).all()


def test_one_class_is_refused():
    with pytest.raises(Refused, match="all candidates are right, or all are wrong"):
        logistic.fit_logistic(np.zeros((4, 1)), np.ones(4, bool), np.ones(4))


def test_thresholds_give_the_precision_they_state():
    rng = np.random.default_rng(1)
    logit = rng.normal(size=4000)
    right = rng.uniform(size=4000) < 1 / (1 + np.exp(-2 * logit))
    one = curves.calibrate(logit, right, np.ones(4000))
    new = rng.normal(size=20_000)
    truth = rng.uniform(size=20_000) < 1 / (1 + np.exp(-2 * new))
    for wanted in (0.7, 0.9):
        keep = one.probability(new) >= one.threshold_for(wanted)
        assert truth[keep].mean() == pytest.approx(wanted, abs=0.04)
    assert one.threshold_for(0.99999) == np.inf
    expected = 1 / (1 + np.exp(-2 * new))
    assert np.abs(one.probability(new) - expected).mean() < 0.04


def test_auroc():
    assert curves.auroc(np.array([3.0, 1, 2]), np.array([True, False, True])) == 1
    assert curves.auroc(np.ones(4), np.array([True, False, True, False])) == 0.5
    assert np.isnan(curves.auroc(np.ones(2), np.ones(2, bool)))


def test_references_leave_sources_out(tiles):
    collected = Collected()
    for i, tile in enumerate(tiles * 2):
        truth = {n: t for n, t in tile.truth.items() if n == "nucleus"}
        collected.add(
            labelled.Labelled(
                f"{tile.name}-{i}", f"set{i % 2}", str(i), tile.image, tile.mpp, truth
            )
        )
    found = fit_references(collected, Collected()).concepts["nucleus"]
    assert found.sources == ("set0", "set1")
    assert found.left_out == "source"
    assert len(found.heldout["raw"]) == len(collected.regions["nucleus"])
    with pytest.raises(Refused, match="no concept has 8 labelled regions"):
        fit_references(Collected(), Collected())


def test_too_few_labelled_regions_are_told_by_concept(tiles):
    collected = Collected()
    for tile in tiles[:3]:
        collected.add(dataclasses.replace(tile, truth={"nucleus": tile.truth["nucleus"]}))
    with pytest.raises(Refused, match=r"to refer to in one half; found: nucleus 3$"):
        fit_references(collected, Collected(), "one half")
    with pytest.raises(Refused, match=r"found: none$"):
        fit_references(Collected(), Collected())


def write_plain(folder, tiles):
    for tile in tiles:
        stem = tile.name.rsplit("/", 1)[-1]
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(tile.image).save(folder / "images" / f"{stem}.png")
        for name, truth in tile.truth.items():
            target = folder / "masks" / name.replace(" ", "_")
            target.mkdir(parents=True, exist_ok=True)
            Image.fromarray(truth.labels.astype(np.uint16)).save(target / f"{stem}.png")


def test_calibrate_on_a_plain_folder(tmp_path, tiles):
    write_plain(tmp_path / "mine", tiles)
    lines = refit.refit(
        labelled.read_folder(tmp_path / "mine"),
        tmp_path / "out",
        SegmentConfig(),
        FilterConfig(),
        references_only=True,
    )
    assert "--set filters.references=" in lines[-1]
    found = load_references(tmp_path / "out" / "references.json")
    assert not (tmp_path / "out" / "decision.json").exists()
    shipped = load_references()
    # Concepts with too few regions keep what they had, and are named.
    few = {line.partition(":")[0] for line in lines if "labelled regions are too few" in line}
    assert "gland" in few
    assert "nucleus" not in few
    for name in few & set(shipped.concepts):
        kept, had = (of.concepts[name].heldout["raw"] for of in (found, shipped))
        assert np.array_equal(kept, had)
    assert set(shipped.concepts) <= set(found.concepts)
    names = [t.name for t in labelled.read_folder(tmp_path / "mine")]
    assert names == sorted(names)


@pytest.mark.parametrize("content", [[], ["images"]])
def test_folders_without_labels_are_refused(tmp_path, content):
    for name in content:
        (tmp_path / name).mkdir()
    with pytest.raises(Refused, match="--masks"):
        refit.refit(
            labelled.read_folders([tmp_path]), tmp_path / "out", SegmentConfig(), FilterConfig()
        )
    with pytest.raises(Refused, match="no such folder"):
        labelled.read_folder(tmp_path / "none")


def test_published_layout(shared):
    found = list(labelled.read_folder(shared / "data" / "real"))
    assert len(found) > 30
    assert {t.source for t in found} == {"quilt", "pathcap", "pathgen"}
    assert all(t.image.shape[:2] == x.labels.shape for t in found for x in t.truth.values())
    assert any(t.mpp for t in found)


def test_decision_from_candidates(tmp_path):
    rng = np.random.default_rng(2)
    n = 400
    right = rng.uniform(size=n) < 0.5
    rim = np.where(right, 0.6, 0.3) + rng.normal(0, 0.1, n)
    table = pa.table(
        {
            "image_id": [str(i) for i in range(n)],
            "concept": ["nucleus"] * n,
            "kind": ["object"] * n,
            "segmenter": ["embedded"] * n,
            "roles": [["positive"]] * n,
            "reason": pa.nulls(n, pa.string()),
            "area_px": [100] * n,
            "confidence": rng.uniform(size=n),
            "ks_rim": rim,
            "right": right,
            "source": ["s"] * n,
            "group": [str(i % 40) for i in range(n)],
        }
    )
    ones = np.ones(n)
    found = fit.fit_decision(table, ones, ones, ["s"])
    assert curves.auroc(found.logit, right) > 0.9
    assert set(found.decision.models) == {"global", "cell"}
    assert "concept:nucleus" in found.decision.calibrations
    file = tmp_path / "decision.json"
    from filters.decision import to_json

    file.write_text(json.dumps(to_json(found.decision)))
    assert load_decision(file).segmenters == ("embedded",)
    gap = np.abs(found.probability - right).mean()
    assert gap < 0.3


def tissue(margin, right, **columns):
    """Masks of stroma by the network's lead."""
    n = len(margin)
    return pa.table(
        {
            "image_id": [str(i) for i in range(n)],
            "concept": ["stroma"] * n,
            "kind": ["stuff"] * n,
            "segmenter": ["embedded"] * n,
            "roles": [["positive"]] * n,
            "reason": pa.nulls(n, pa.string()),
            "area_px": [100] * n,
            "margin": margin,
            "right": right,
            "source": ["s"] * n,
            "group": [str(i % 40) for i in range(n)],
            **columns,
        }
    )


def test_no_mask_is_the_worse_for_a_larger_lead():
    rng = np.random.default_rng(5)
    margin = rng.uniform(0, 1, 400)
    right = margin > 0.4
    right[margin > 0.9] = False  # such few as there are, and wrong by chance
    table = tissue(margin, right)
    found = fit.fit_decision(table, np.ones(400), np.ones(400), ["s"]).decision
    for model in found.models.values():
        assert not model.square[found.features.index("margin")]
    sure = deciding.probabilities(read_batch(tissue([0.6, 0.95], [True, True])), found)[0]
    assert sure[1] >= sure[0]


def test_a_tissue_that_fills_its_picture_is_not_judged_by_the_frame():
    rng = np.random.default_rng(6)
    right = rng.uniform(size=400) < 0.5
    area = np.where(right, 0.3, 0.8) + rng.uniform(0, 0.05, 400)
    table = tissue(right * 0.2, right, geometry_area_fraction=area)
    ones = np.ones(400)
    found = fit.fit_decision(table, ones, ones, ["s"]).decision
    filled = tissue([0.1] * 3, [True] * 3, geometry_area_fraction=[0.92, 1.0, 0.8])
    first, second, part = deciding.probabilities(read_batch(filled), found)[0]
    assert first == second > part
    blunt = fit.fit_decision(table, ones, ones, ["s"], filled_from=None).decision
    assert deciding.probabilities(read_batch(filled), blunt)[0][1] < second


def test_a_concept_with_few_masks_is_judged_near_its_family():
    rng = np.random.default_rng(3)
    names = np.repeat(["stroma", "necrosis", "epithelium"], [300, 8, 300])
    n = len(names)
    right = rng.uniform(size=n) < 0.5
    table = pa.table(
        {
            "image_id": [str(i) for i in range(n)],
            "concept": names,
            "kind": ["stuff"] * n,
            "asked_as": pa.nulls(n, pa.string()),
            "segmenter": ["embedded"] * n,
            "roles": [["positive"]] * n,
            "reason": pa.nulls(n, pa.string()),
            "area_px": [100] * n,
            # In epithelium the score says nothing.
            "ks_rim": np.where(right & (names != "epithelium"), 0.8, 0.3) + rng.normal(0, 0.1, n),
            "right": right,
            "source": [f"s{i % 7}" for i in range(n)],
            "group": [str(i % 60) for i in range(n)],
        }
    )
    decision = fit.fit_decision(table, np.ones(n), np.ones(n), ["s"]).decision
    of = {name: decision.calibrations[f"concept:{name}"] for name in set(names)}
    # What its family's masks reach is within reach of a concept that has eight of its own.
    assert of["stroma"].threshold_for(0.9) <= 1
    assert of["necrosis"].threshold_for(0.8) <= 1
    assert (
        of["epithelium"].threshold_for(0.9) > 1
        or np.interp(
            of["epithelium"].threshold_for(0.9),
            of["epithelium"].threshold[::-1],
            of["epithelium"].kept[::-1],
        )
        < 0.1
    )
    assert of["necrosis"].right + of["necrosis"].wrong == 8


def test_small_sources_are_left_out_whole():
    source = ["large"] * 60 + ["one"] * 20 + ["two"] * 20
    table = pa.table({"source": source, "group": [str(i % 10) for i in range(100)]})
    part = fit.parts(table)
    assert len(set(part[:60])) > 1
    assert len(set(part[60:80])) == len(set(part[80:])) == 1


def test_what_is_unknown_counts_for_nothing():
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    truth = np.zeros((4, 4), bool)
    truth[0] = True
    unknown = np.zeros((4, 4), bool)
    unknown[1] = True
    assert planting.iou(mask, truth) == 0.5
    assert planting.iou(mask, truth, unknown) == 1.0


def test_as_many_masks_of_either_kind_as_are_asked_for_are_enough():
    right = np.array([True] * 5 + [False] * 3)
    assert fit._enough(right, 3)
    assert not fit._enough(right, 4)
    assert not fit._enough(~right, 4)
