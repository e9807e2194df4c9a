"""Segmenters and filters on annotated sets as published, and the sets as labelled tiles."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from filters.config import FilterConfig
from miner.cli import app
from miner.core.errors import Refused
from miner.corpora.expert.labelled import read_masks
from miner.evaluate.direct import auroc, evaluate_sets
from miner.evaluate.truth import truth_of
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter
from tests.miner.corpora import expert_sets


def test_sets_are_labelled_tiles(tmp_path):
    expert_sets.write_pannuke(tmp_path / "pannuke", tiles=4)
    expert_sets.write_bcss(tmp_path / "bcss")
    *cells, region = read_masks([tmp_path / "pannuke", tmp_path / "bcss"])
    assert [t.name for t in cells] == [f"pannuke/fold1_{i:05d}" for i in range(4)]
    assert (cells[0].group, cells[0].site, cells[0].mpp) == ("fold1", "breast", 0.25)
    assert set(cells[0].truth) == {"nucleus", "tumor cell", "inflammatory cell"}
    assert cells[0].truth["tumor cell"].labels.max() == 2
    assert cells[0].absent == ("stromal cell", "degenerated cell", "epithelial cell")
    # What nobody looked at is neither there nor absent.
    assert region.truth["tumor"].unknown[:, :8].all()
    assert region.absent == ()
    assert len(list(read_masks([tmp_path / "pannuke"], most=2))) == 2
    with pytest.raises(Refused, match="no such folder"):
        list(read_masks([tmp_path / "none"]))


class Half(Segmenter):
    """Knows tumor cells half: the left one of two, and sees them where there are none."""

    name = "half"

    def supports(self, concept):
        return concept in ("tumor cell", "epithelial cell")

    def encode(self, image, mpp):
        return image.shape[:2]

    def segment(self, encoded, prompts):
        labels = expert_sets.discs(*encoded, [(12, 12)])
        return [Candidate(p.concept, p.wordings[0], labels > 0, labels, 0.9) for p in prompts]


def test_figures_of_a_segmenter_that_is_half_right(tmp_path, monkeypatch):
    expert_sets.write_pannuke(tmp_path, tiles=2)
    monkeypatch.setattr(registry, "build", lambda config, threads: [Half()])
    filters = FilterConfig(clip=None, at_least={"geometry_area_fraction": 0.0})
    found = evaluate_sets(read_masks([tmp_path]), SegmentConfig(), filters)
    cells = found["concepts"]["tumor cell"]
    # One of two equal discs: Dice 2/3, IoU 1/2; one hit of two objects.
    assert (cells["present"], cells["dice"], cells["pq"], cells["aji"]) == (2, 0.6667, 0.6667, 0.5)
    assert found["concepts"]["epithelial cell"]["absent"] == 2
    assert found["concepts"]["nucleus"]["dice"] == 0.0
    assert set(found["organs"]) == {"breast", "colon"}
    assert found["tiles"] == 2


def test_chance_that_what_is_there_scores_higher():
    assert auroc([0.9, 0.5], [0.5, 0.1]) == 0.875
    assert auroc([0.9], []) is None


def test_what_experts_outlined_is_right_and_kept(tmp_path):
    """The command, on a set with its own outlines as the segmenter's answers."""
    expert_sets.write_tnbc(tmp_path / "set")
    (tmp_path / "own.yaml").write_text(
        "segment: {segmenters: [{kind: stain}]}\nfilters: {clip: null}"
    )
    result = CliRunner().invoke(
        app,
        ["evaluate", "--masks", str(tmp_path / "set"), "--config", str(tmp_path / "own.yaml"),
         "--set", "corpora=[{kind: pairs, path: x}]", "--json", str(tmp_path / "f.json")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["concepts"]["nucleus"]["present"] == 1
    assert np.isfinite(found["all"]["dice"])
    assert "nucleus" in result.output


def test_a_set_is_the_truth_for_what_was_mined_from_it(tmp_path):
    expert_sets.write_pannuke(tmp_path / "pannuke", tiles=1)
    expert_sets.write_bcss(tmp_path / "bcss")
    truth = truth_of(tmp_path / "pannuke")
    assert truth.labels("pannuke", "fold1_00000", "tumor cell").max() == 2
    assert truth.outlined("pannuke", "fold1_00000", "nucleus")
    assert truth.absent("pannuke", "fold1_00000", "epithelial cell")
    assert not truth.absent("pannuke", "fold1_00000", "gland")
    assert not truth.outlined("pannuke", "fold9_00000", "nucleus")
    # Where parts of a picture were looked at by nobody, it judges no region of it.
    (name,) = (path.stem for path in (tmp_path / "bcss" / "masks").iterdir())
    assert not truth_of(tmp_path / "bcss").outlined("bcss", name, "tumor")
