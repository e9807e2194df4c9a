"""Structures are spoken of in their number, without the capitals of where they stood."""

from __future__ import annotations

import random
import re

import pytest

from ner.concepts import concepts
from shards.instruct.nouns import many, named, numbered, one, plural, written
from shards.instruct.tasks import task
from shards.instruct.wordings import pick
from tests.shards.build import sample


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("Nuclei", "nuclei"),
        ("Tumor  cells", "tumor cells"),
        ("PLASMA CELLS", "plasma cells"),
        ("TILs", "TILs"),
        ("langerhans cells", "Langerhans cells"),
        ("Paneth cells", "Paneth cells"),
        ("t cells", "T cells"),
        ("Hassall's corpuscles", "Hassall's corpuscles"),
    ],
)
def test_capitals_are_those_of_names(text: str, within: str) -> None:
    assert written(text) == within


@pytest.mark.parametrize(
    ("concept", "name"),
    [
        ("mesangium", "mesangium"),
        ("bronchiole", "bronchioles"),
        ("fibrous septum", "fibrous septa"),
        ("epididymis", "epididymis"),
        ("crypt of lieberkuhn", "crypts of Lieberkühn"),
        ("reed sternberg cell", "Reed-Sternberg cells"),
        ("b cell", "B cells"),
        ("muscle fiber", "muscle fibers"),
        ("microglia", "microglia"),
        ("hyaline membrane", "hyaline membranes"),
        ("dermoepidermal junction", "dermoepidermal junction"),
    ],
)
def test_concepts_are_named_as_one_says_them(concept: str, name: str) -> None:
    assert named(concept) == name


def test_objects_of_the_table_are_named_in_the_plural() -> None:
    singular = [n for n in concepts() if numbered(n) and not many(named(n))]
    assert singular == ["microglia"]
    layers = {n for n, c in concepts().items() if c.kind == "object" and not numbered(n)}
    assert {"glomerular basement membrane", "dermoepidermal junction"} <= layers
    assert not any(many(named(n)) for n in layers)
    assert len(layers) < 16


@pytest.mark.parametrize("text", ["epithelium", "necrosis", "mucosa", "debris", "stroma", "pus"])
def test_what_is_not_counted_is_not_many(text: str) -> None:
    assert not many(text)


@pytest.mark.parametrize(
    ("single", "more"),
    [
        ("nucleus", "nuclei"),
        ("nest of tumor cells", "nests of tumor cells"),
        ("artery", "arteries"),
    ],
)
def test_one_and_many(single: str, more: str) -> None:
    assert (plural(single), plural(more), one(more)) == (more, more, single)
    assert many(more)
    assert not many(single)


@pytest.mark.parametrize(
    ("kind", "question", "x", "wrong"),
    [
        ("present", True, "mesangium", r"\bare\b"),
        ("present", True, "nuclei", r"\bIs there\b"),
        ("segment", True, "stroma", r"\bappear\b"),
        ("segment", False, "nuclei", r"nuclei.* is\b"),
        ("decoy", False, "nuclei", r"\bis\b"),
        ("locate", True, "stroma", r"\bboxes\b"),
        ("locate", True, "glands", r"\bbox\b"),
        ("refuse_decoy", False, "ducts", r"\bit (is|are)\b"),
        ("compare", False, "stroma", r"\b(cover|take)\b"),
        ("present", True, "dermoepidermal junction", r"(?<!\ba )dermo"),
        ("decoy", False, "capsule", r"(?<!\ba )(?<!convincing )capsule"),
        ("refuse_site", False, "nail plate", r"any\b"),
        ("negated", False, "capsule", r"of (a )?capsule|show capsule"),
        ("present", True, "stroma", r"\ba stroma"),
        ("refuse_site", False, "glands", r"\ba glands"),
    ],
)
def test_verbs_agree(kind: str, question: bool, x: str, wrong: str) -> None:
    said = {pick(kind, question, random.Random(i), x=x) for i in range(200)}
    assert not [text for text in said if re.search(wrong, text, re.IGNORECASE)]


def test_one_object_is_counted_as_one() -> None:
    value, _, _ = sample(0)
    (at,) = (i for i, r in enumerate(value["regions"]) if r["concept"] == "gland")
    region = value["regions"][at]
    region |= {"instances": region["instances"][:1], "count": {"low": 1, "n": 1, "high": 1}}
    answers = {task("count")(value, random.Random(i)).answer for i in range(40)}
    assert all(
        re.match(r"(I \w+( out)?|There is) 1 gland\b", answer.replace("can make", "make"))
        for answer in answers
    ), answers
