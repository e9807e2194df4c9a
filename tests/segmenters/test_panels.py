"""Phrases of compound figures: masks lie in the panels that the words speak of."""

import json

import cv2
import numpy as np
import pytest

from miner.core.masks import bbox, decode
from miner.core.store import Store
from miner.corpora.plan import load_unit, make_plan
from ner.config import NerConfig
from ner.stage import ExtractMentions
from segmenters import registry
from segmenters.config import SegmentConfig
from segmenters.protocol import Candidate, Segmenter
from segmenters.stage import Segment
from tests.miner.corpora.layouts import config


class Everywhere(Segmenter):
    """An object in each corner, whatever is asked; the right half alone for mucin."""

    name = "everywhere"

    def supports(self, concept):
        return True

    def encode(self, image, mpp):
        return image.shape[:2]

    def segment(self, encoded, prompts):
        found = []
        for p in prompts:
            labels = np.zeros(encoded, np.int32)
            labels[10:20, -20:-10] = 2
            if p.concept != "mucin":
                labels[10:20, 10:20] = 1
            found.append(Candidate(p.concept, p.wordings[0], labels > 0, labels, 0.9))
        return found


def mined(tmp_path, monkeypatch, caption, **settings):
    """Candidates by concept and mentions of a figure of two panels."""
    rng = np.random.default_rng(0)
    figure = np.full((100, 212, 3), 255, np.uint8)
    figure[:, :100], figure[:, 112:] = rng.integers(90, 200, (2, 100, 100, 3))
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "1234567_f1.png"), figure)
    records = [{"img": "1234567_f1.png", "caption": caption}]
    (tmp_path / "data.json").write_text(json.dumps(records))
    monkeypatch.setattr(registry, "build", lambda config, threads: [Everywhere()])
    corpus, store = config("pathcap", tmp_path, **settings), Store(str(tmp_path / "out"))
    (ref,) = make_plan([corpus], 4, store).refs()
    unit = load_unit(ref, [corpus], store)
    for stage in (ExtractMentions(NerConfig()), Segment(SegmentConfig(decoys=0))):
        unit = stage(unit)
    (sample,) = unit.samples.to_pylist()
    return {c["concept"]: c for c in unit.candidates.to_pylist()}, sample


def test_masks_lie_in_their_panels(tmp_path, monkeypatch):
    caption = "Colon with fibrosis. (A) Glands. (B) Stroma with glands and mucin."
    found, _ = mined(tmp_path, monkeypatch, caption, compound=True)
    # Of both panels, of the second, and of the whole figure.
    assert len(found["gland"]["instances"]) == 2
    assert found["stroma"]["bbox"] == [192, 10, 202, 20]
    assert found["fibrosis"]["area_px"] == 200


def test_objects_are_those_of_the_panel(tmp_path, monkeypatch):
    found, _ = mined(tmp_path, monkeypatch, "(A) Glands and mucin. (B) Stroma.", compound=True)
    (gland,) = found["gland"]["instances"]
    assert bbox(decode(gland, 100, 212)) == (10, 10, 20, 20)
    assert (found["mucin"]["counts"], found["mucin"]["reason"]) == (None, "outside_panel")


def test_phrases_of_panels_that_cannot_be_told_are_not_asked_for(tmp_path, monkeypatch):
    caption = "Colon with fibrosis. (A) Glands. (B) Stroma. (C) Mucin."
    found, sample = mined(tmp_path, monkeypatch, caption, compound=True)
    assert set(found) == {"fibrosis"}
    why = {m["concept"]: m["reason"] for m in sample["mentions"]}
    assert why == {"fibrosis": None, "gland": "panel", "stroma": "panel", "mucin": "panel"}


def test_a_row_of_such_phrases_alone_says_so(tmp_path, monkeypatch):
    found, sample = mined(tmp_path, monkeypatch, "(A) Glands. (B) Fat. (C) Mucin.", compound=True)
    assert (found, sample["status"], sample["reason"]) == ({}, "no_entity", "panel")


@pytest.mark.parametrize("settings", [{}, {"compound": True}])
def test_a_caption_without_letters_speaks_of_the_whole_figure(tmp_path, monkeypatch, settings):
    found, _ = mined(tmp_path, monkeypatch, "Glands.", **settings)
    assert len(found["gland"]["instances"]) == 2
