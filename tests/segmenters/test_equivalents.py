"""Concepts that are answered through each other."""

import numpy as np
import pytest

from ner.concepts import concepts
from segmenters.ask import ask
from segmenters.embedded import EmbeddedSegmenter
from segmenters.equivalents import answered_as, arises_in_epithelium, equivalents
from segmenters.protocol import Candidate, Prompt, Segmenter

KNOWN = {"nucleus", "epithelial nucleus", "epithelium", "stroma", "gland", "muscle", "lymphocyte"}


def known(concept: str, site: str | None = None, diagnoses: tuple[str, ...] | None = ()):
    return answered_as(concept, KNOWN.__contains__, site, diagnoses)


@pytest.mark.parametrize(
    ("concept", "answer"),
    [
        ("nucleus", "nucleus"),
        ("bare nucleus", "nucleus"),
        ("cell", "nucleus"),
        ("epithelial cell", "epithelial nucleus"),
        ("inflammatory cell", "lymphocyte"),
        ("collagen", "stroma"),
        ("fibrous septum", "stroma"),
        ("connective tissue", "stroma"),
        ("muscularis propria", "muscle"),
        ("endometrial gland", "gland"),
        # Not every mask of the wider concept is one of the narrower.
        ("goblet cell", None),
        ("t cell", None),
        ("plasma cell", None),
        ("artery", None),
        ("nucleolus", None),
        ("no such thing", None),
    ],
)
def test_a_concept_is_answered_as_one_with_the_same_mask(concept, answer):
    assert known(concept) == answer


@pytest.mark.parametrize(
    ("site", "diagnoses", "tumor", "nest"),
    [
        ("colon", ("adenocarcinoma",), "epithelium", "epithelium"),
        ("brain", ("carcinoma",), "epithelium", "epithelium"),
        (None, (), "epithelium", None),
        (None, None, "epithelium", "epithelium"),
        ("brain", (), None, None),
        (None, ("lymphoma",), None, None),
        ("skin", ("nevus",), None, None),
        ("uterus", ("leiomyosarcoma",), None, None),
    ],
)
def test_a_tumor_is_epithelium_where_the_captions_allow_it(site, diagnoses, tumor, nest):
    assert known("tumor", site, diagnoses) == tumor
    assert known("tumor cell", site, diagnoses) == (tumor and "epithelial nucleus")
    assert known("nest", site, diagnoses) == nest


def test_what_the_captions_say_of_a_tumor():
    assert arises_in_epithelium("liver", ["hepatocellular carcinoma"]) is True
    assert arises_in_epithelium("liver", ["carcinosarcoma"]) is True
    assert arises_in_epithelium("liver", ["cirrhosis"]) is None
    assert arises_in_epithelium("soft tissue", []) is False


def test_every_name_is_of_the_table_and_no_chain_comes_back():
    for name in concepts():
        chain = list(equivalents(name))
        assert set(chain) <= set(concepts())
        assert name not in chain


class Stroma(Segmenter):
    """Knows stroma alone, everywhere in the left half; two blobs are epithelium."""

    name = "halves"

    def supports(self, concept):
        return concept in ("stroma", "epithelium")

    def encode(self, image, mpp):
        return image

    def segment(self, encoded, prompts):
        masks = {"stroma": np.zeros((8, 12), bool), "epithelium": np.zeros((8, 12), bool)}
        masks["stroma"][:, :6] = True
        masks["epithelium"][1:3, 1:3] = masks["epithelium"][5:7, 5:9] = True
        return [Candidate(p.concept, p.wordings[0], masks[p.concept]) for p in prompts]


def test_any_segmenter_is_asked_for_what_it_knows_and_the_answer_says_so():
    prompts = [
        Prompt("collagen", "stuff", ("collagen",)),
        Prompt("stroma", "stuff", ("stroma",)),
        Prompt("nest", "object", ("nests",), None, ("carcinoma",)),
        Prompt("nest of something", "object", ("nests",)),
    ]
    collagen, stroma, nest, other = ask(Stroma(), np.zeros((8, 12, 3), np.uint8), None, prompts)
    assert (collagen.concept, collagen.asked_as) == ("collagen", "stroma")
    assert (stroma.concept, stroma.asked_as) == ("stroma", None)
    assert np.array_equal(collagen.mask, stroma.mask)
    assert (nest.asked_as, nest.labels.max()) == ("epithelium", 2)
    assert (other.asked_as, other.reason) == (None, "unsupported")


def test_the_shipped_one_says_what_it_answered():
    segmenter = EmbeddedSegmenter()
    image = np.full((64, 64, 3), 240, np.uint8)
    prompts = [
        Prompt("tumor", "stuff", ("tumor",), None, ("adenocarcinoma",)),
        Prompt("tumor", "stuff", ("tumor",), None, ("lymphoma",)),
        Prompt("gland", "object", ("gland",)),
    ]
    carcinoma, lymphoma, gland = segmenter.segment(segmenter.encode(image, 0.5), prompts)
    assert (carcinoma.concept, carcinoma.asked_as) == ("tumor", "epithelium")
    assert (lymphoma.asked_as, lymphoma.reason) == (None, "unsupported")
    assert gland.asked_as is None
