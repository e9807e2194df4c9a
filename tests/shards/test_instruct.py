"""Dialogues say only what the sample supports, in the shares that were asked for."""

from __future__ import annotations

import dataclasses
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from miner.core.built_in import BUILT_IN
from miner.core.errors import Refused
from miner.core.masks import decode, encode
from ner.concepts import concepts
from shards.export.dialogue import Answering, Shows, answering
from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from shards.instruct.called import counted_name
from shards.instruct.captions import description
from shards.instruct.denials import absences, refuse
from shards.instruct.mix import Mix, read_mix
from shards.instruct.nouns import article, plural
from shards.instruct.numbers import said
from shards.instruct.paraphrase import keeps, reworded
from shards.instruct.run import instructed
from shards.instruct.tasks import task as of_kind
from shards.instruct.wordings import ANSWERS, QUESTIONS, THINK, expanded, wordings
from tests.shards.build import sample

SAID = ("So here are glands.", "Um, stroma?", "They are pale.", "In the last slide.", "Fat.")


def made(i: int, **change: object) -> Sample:
    value, image, extension = sample(i)
    return Sample({**value, **change}, image, extension, "train")


def many(n: int = 120) -> list[Sample]:
    return [made(i) for i in range(n)]


@pytest.mark.parametrize("task", QUESTIONS)
@pytest.mark.parametrize("shows", ["masks", "boxes", "either"])
def test_thirty_wordings_a_task(task: str, shows: Shows) -> None:
    assert len(wordings(task, True, shows)) >= 30
    assert not any("[" in w or "|" in w for w in wordings(task, True))


def test_every_answer_names_what_it_must() -> None:
    for kind in ANSWERS:
        more = {"count": {"n"}, "count_least": {"n", "m"}, "compare": {"y", "p", "q"}}
        fields = {"x"} | more.get(kind, set())
        fields |= {"s"} if kind.endswith("site") else {"a"} if kind.startswith("pres") else set()
        for wording in wordings(kind, False):
            assert fields == set(re.findall(r"{(\w)}", wording)), wording


def test_brackets_expand() -> None:
    assert expanded("[a|b] c[?|]") == ("a c?", "a c", "b c?", "b c")


def test_same_seed_same_dialogues() -> None:
    first, again = (list(instructed(many(20), Mix(seed=4))) for _ in range(2))
    other = list(instructed(many(20), Mix(seed=5)))
    assert first == again
    assert first != other


def test_shares_are_met() -> None:
    shares = {"segment": 2.0, "count": 1.0, "present": 1.0}
    asked = Counter(
        task
        for s in instructed(many(), Mix(tasks=shares, refusals=0.2))
        for task in s.value["tasks"]
    )
    total = sum(asked.values())
    expected = {"segment": 0.4, "count": 0.2, "present": 0.2, "refuse": 0.2}
    assert asked.keys() == expected.keys()
    for task, share in expected.items():
        assert abs(asked[task] / total - share) < 0.03


def test_refusals_can_be_all_or_none() -> None:
    for share, expected in ((0.0, set(BUILT_IN["tasks"]) - {"refuse"}), (1.0, {"refuse"})):
        tasks = {t for s in instructed(many(40), Mix(refusals=share)) for t in s.value["tasks"]}
        assert tasks == expected


def test_a_stratum_can_be_held_back() -> None:
    source = [made(i - i % 3 if i % 10 else i) for i in range(200)]
    found = Counter(
        next(x for x in s.value["strata"] if x.startswith("organ="))
        for s in instructed(source, Mix(max_share=0.5))
    )
    assert max(found.values()) <= 0.5 * sum(found.values()) + 20


@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(st.integers(0, 200), st.sampled_from(sorted(BUILT_IN["tasks"])), st.integers(0, 99))
def test_exchanges_are_supported(i: int, kind: str, seed: int) -> None:
    value = made(i).value
    exchange = of_kind(kind)(value, random.Random(seed))
    if exchange is None:
        return
    for start, end, region in exchange.grounded:
        words = exchange.answer[start:end].lower()
        assert words in {m["text"].lower() for m in value["mentions"] if region in m["regions"]}
    if kind == "count":
        ((_, _, region),) = exchange.grounded
        n = len(value["regions"][region]["instances"])
        assert re.findall(r"\b\d+\b(?!\.\d| µ)", exchange.answer.split(" Their")[0]) == [str(n)]
        assert ("µm" in exchange.answer) == (value["mpp"] is not None)
    if kind == "prompted":
        ((_, _, region),) = exchange.grounded
        assert exchange.prompt
        mask = decode(value["regions"][region]["rle"]["counts"], value["height"], value["width"])
        if exchange.prompt["kind"] != "box":
            assert all(mask[y, x] for x, y in exchange.prompt["points"])
        assert exchange.question.count("<vp>") == 1
        whole = value["regions"][region]["exhaustive"] >= 0.9
        assert bool(re.search(r"\ball\b|\bevery\b", exchange.answer)) == whole
        assert whole or not re.search(r"\ball\b|\bevery", exchange.question)
    if kind in ("absent", "refuse"):
        assert not exchange.grounded
        assert "gland" not in exchange.answer.lower()


def test_absence_needs_a_reason() -> None:
    value = made(0).value  # kidney; necrosis denied, fat searched for
    found = dict(absences(value))
    assert found["necrosis"] == "negated"
    assert found["fat"] == "decoy"
    assert "gland" not in found
    assert set(found.values()) <= {"negated", "decoy", "site"}
    unknown = {**value, "facts": [], "negatives": []}
    assert absences(unknown) == []
    assert refuse(unknown, random.Random(0)) is None


def test_no_is_said_only_of_what_is_confirmed() -> None:
    value = made(0).value  # kidney: hepatocytes would not be there, but nobody looked
    assert dict(absences(value))["hepatocyte"] == "site"
    asked = {of_kind("absent")(value, random.Random(i)).question for i in range(60)}
    assert not any("hepatocyte" in question for question in asked)
    open_ = [{**c, "state": "unknown"} for c in value["concepts"]]
    assert of_kind("absent")({**value, "concepts": open_}, random.Random(0)) is None
    found = [
        {"concept": "hepatocyte", "state": "unknown", "p": 0.7, "why": "found"}, *value["concepts"]
    ]  # fmt: skip
    assert "hepatocyte" not in dict(absences({**value, "concepts": found}))


@pytest.mark.parametrize(
    ("there", "decoy", "why", "denied"),
    [
        ("epithelium", "glandular epithelium", "decoy", False),
        ("stroma", "fibrous septum", "decoy", False),
        ("stroma", "fat", "decoy", True),
        ("stroma", "fibrous septum", "negated", True),  # the text itself denies it
    ],
)
def test_kinds_of_what_is_there_are_not_denied(
    there: str, decoy: str, why: str, denied: bool
) -> None:
    value = made(0).value
    regions = [{**r, "concept": there} for r in value["regions"][:1]]
    negatives = [{"concept": decoy, "why": why, "start": None, "end": None}]
    known = [{"concept": decoy, "state": "absent", "p": 0.05, "why": why}]
    change = {"regions": regions, "mentions": [], "negatives": negatives, "concepts": known}
    assert (decoy in dict(absences({**value, **change}))) is denied


def test_answers_speak_of_the_picture() -> None:
    texts = [w for kind in ANSWERS for w in wordings(kind, False)]
    texts += [str(refuse(made(0).value, random.Random(i))) for i in range(40)]
    assert not [t for t in texts if re.search(r"description of|description denies|is stated", t)]


@pytest.mark.parametrize(
    ("caption", "told"),
    [
        ("Nests  of cells. H&E, ×400.\nNo necrosis.", "Nests  of cells. H&E, ×400.\nNo necrosis."),
        ("Crypts, all right side up.", "Crypts, all right side up."),
        ("All right, um, here you can see glands.", "Here you can see glands."),
        ("So yeah, this is an adenocarcinoma.", "This is an adenocarcinoma."),
        ("Well differentiated glands.", "Well differentiated glands."),
        ("Here are glands, you see that? Stroma is pale.", "Stroma is pale."),
        ("There is stuff in it. They are glands. Stroma is pale.", "Stroma is pale."),
        ("Pale stroma. In the slide before we had tumor. That was big.", "Pale stroma."),
        ("So there are no mitoses, which is nice.", "There are no mitoses."),
        ("Mucin, which is good evidence. Fat.", "Mucin, which is good evidence. Fat."),
        ("Glands, as in the previous figure.", ""),
        ("After treatment, with other changes.", "After treatment, with other changes."),
        ("You've got lymphocytes mainly.", ""),
        ("Looks at low power like glands.", "Looks at low power like glands."),
        ("", ""),
    ],
)
def test_descriptions_speak_of_their_picture_and_to_nobody_else(caption: str, told: str) -> None:
    assert description(caption).text == told


@given(st.text(alphabet="aB ,.?\n") | st.lists(st.sampled_from(SAID), max_size=6).map(" ".join))
def test_what_is_left_of_a_caption_keeps_its_words(caption: str) -> None:
    told = description(caption)
    for start, end, _ in told.spans:
        for at in range(start, end):
            (here, after) = told.at(at, at + 1) or (0, 0)
            assert told.text[here:after].lower() == caption[at : at + 1].lower()
    assert sum(end - start for start, end, _ in told.spans) <= len(told.text)


def test_descriptions_point_to_their_phrases() -> None:
    value = made(0).value
    opened = "Okay, so " + value["caption"]
    moved = [{**m, "start": m["start"] + 9, "end": m["end"] + 9} for m in value["mentions"]]
    talk = of_kind("describe")({**value, "caption": opened, "mentions": moved}, random.Random(0))
    plain = of_kind("describe")(value, random.Random(0))
    assert talk.answer == plain.answer
    assert talk.grounded == plain.grounded != ()
    lost = {**value, "caption": value["caption"].replace(".", "?")}
    assert of_kind("describe")(lost, random.Random(0)) is None


@pytest.mark.parametrize(("second", "all_marked"), [([1], True), ([], False)])
def test_all_that_is_named_is_asked_for_where_all_of_it_is_marked(
    second: list[int], all_marked: bool
) -> None:
    value = made(1).value
    first = {**value["mentions"][0], "polarity": "affirmed", "regions": [0]}
    mentions = [
        first,
        {**first, "regions": second},
        {**first, "polarity": "negated", "regions": []},
    ]
    asked = {
        of_kind("describe")({**value, "mentions": mentions}, random.Random(i)).question
        for i in range(60)
    }
    can = {question for question in asked if re.search(r"mark .*you can\b", question, re.I)}
    named = {q for q in asked if re.search(r"you name|you mention|it names|structure(s\.|\.)", q)}
    assert bool(named) == all_marked
    assert bool(can) != all_marked


@pytest.mark.parametrize(
    ("name", "asked"),
    [("nuclei", False), ("cell nuclei", False), ("tumor nuclei", True), ("naked nuclei", True)],
)
def test_nobody_asks_whether_there_are_nuclei(name: str, asked: bool) -> None:
    value = made(1).value
    nuclei = {**value["regions"][0], "concept": "nucleus"}
    mention = {**value["mentions"][0], "text": name, "concept": "nucleus", "regions": [0]}
    sample = {**value, "regions": [nuclei], "mentions": [mention]}
    assert (of_kind("present")(sample, random.Random(0)) is not None) is asked
    assert of_kind("segment")(sample, random.Random(0)) is not None


def test_nobody_asks_for_what_was_just_marked() -> None:
    mix = Mix(tasks={"present": 2, "segment": 1, "locate": 1, "prompted": 2}, exchanges=6)
    asked = 0
    for talk in instructed(many(60), mix):
        marked: set[int] = set()
        for turn, name in enumerate(talk.value["tasks"]):
            pointed = {
                region
                for m in talk.value["mentions"]
                if m["turn"] == 2 * turn + 1
                for region in m["regions"]
            }
            assert name not in ("segment", "locate") or not pointed & marked
            asked += name == "segment"
            marked |= pointed
    assert asked > 10


@pytest.mark.parametrize(
    ("there", "seen"),
    [
        (("cell", "nucleus"), "nuclei can be seen"),
        (("cell",), "cells can be seen"),
        (("chromatin", "nucleus"), "nuclei can be seen"),
        (("nucleus", "epithelial nucleus", "tumor cell"), "epithelial nuclei and tumor cells can"),
    ],
)
def test_what_is_seen_is_named_once_and_tells_something(there: tuple[str, ...], seen: str) -> None:
    value = made(1).value
    regions = [{**value["regions"][0], "concept": concept} for concept in there]
    sample = {**value, "regions": regions, "mentions": []}
    assert f"; {seen}" in refuse(sample, random.Random(0)).think


@pytest.mark.parametrize(
    ("site", "tissue"),
    [
        ("kidney", "kidney tissue"),
        ("soft tissue", "soft tissue"),
        ("oral cavity", "tissue of the oral cavity"),
        ("peripheral blood", "peripheral blood"),
    ],
)
def test_what_a_picture_of_an_organ_shows(site: str, tissue: str) -> None:
    value = made(0).value
    fact = {**value["facts"][0], "kind": "site", "value": site}
    think = refuse({**value, "facts": [fact]}, random.Random(0)).think
    assert f"this appears to be {tissue};" in think


@pytest.mark.parametrize(
    ("low", "n", "high", "words"),
    [
        (12, 12, 12, "12"),
        (18, 20, 22, "20"),
        (17, 20, 22, "about 20"),
        (20, 20, 25, "about 20"),
        (15, 20, 40, "at least 15"),
        (7, 20, 21, "at least 7"),
        (6, 20, 21, None),  # below a third of what was found
        (1, 1, 2, None),
        (0, 1, 1, None),
        (2, 3, 9, "at least 2"),
        (155, 200, 900, "at least 150"),
        (29, 60, 99, "at least 20"),
        (3456, 4800, 9000, "at least 3,400"),
    ],
)
def test_a_number_is_said_no_closer_than_its_interval(
    low: int, n: int, high: int, words: str | None
) -> None:
    assert said({"low": low, "n": n, "high": high}) == words


def test_a_count_that_was_not_measured_is_not_asked_for() -> None:
    value = made(0).value
    regions = [{**r, "count": None} for r in value["regions"]]
    assert of_kind("count")({**value, "regions": regions}, random.Random(0)) is None


@pytest.mark.parametrize(("objects", "asked"), [(0, False), (1, True), (32, True), (33, False)])
def test_places_are_asked_where_every_object_has_a_box(objects: int, asked: bool) -> None:
    value = made(0).value
    (gland,) = (r for r in value["regions"] if r["concept"] == "gland")
    region = {**gland, "instances": gland["instances"][:1] * objects}
    mentions = [{**m, "regions": [0] if m["concept"] == "gland" else []} for m in value["mentions"]]
    change = {"regions": [region], "mentions": mentions}
    assert (of_kind("locate")({**value, **change}, random.Random(0)) is not None) is asked


def test_what_lies_in_another_is_not_weighed_against_it() -> None:
    value = made(1).value
    gland, stroma = value["regions"]
    apart = {**value, "regions": [gland, {**stroma, "area_px": stroma["area_px"] + 99}]}
    inside = {**value, "regions": [gland, {**gland, "concept": "stroma", "area_px": 9999}]}
    seeds = range(5)
    assert any(of_kind("compare")(apart, random.Random(i)) for i in seeds)
    assert not any(of_kind("compare")(inside, random.Random(i)) for i in seeds)


@pytest.mark.parametrize(
    ("first", "second", "weighed"),
    [
        ("gland", "stroma", True),
        ("epithelium", "fat", True),
        ("nucleus", "epithelial nucleus", False),  # the one is a kind of the other
        ("connective tissue", "stroma", False),
        ("nucleus", "fat", False),  # nobody weighs cells against tissue
    ],
)
def test_only_alternatives_are_weighed(first: str, second: str, weighed: bool) -> None:
    value = made(1).value
    gland, stroma = value["regions"]
    regions = [
        {**gland, "concept": first, "kind": concepts()[first].kind, "area_px": 100},
        {**stroma, "concept": second, "kind": concepts()[second].kind, "area_px": 300},
    ]
    sample = {**value, "regions": regions, "mentions": []}
    part = [{**regions[0], "area_px": 10}, regions[1]]  # perhaps not all of it
    assert of_kind("compare")({**sample, "regions": part}, random.Random(0)) is None
    assert (of_kind("compare")(sample, random.Random(0)) is not None) is weighed
    too_much = [
        {**r, "area_px": 0.6 * value["width"] * value["height"] + i}
        for i, r in zip((0, 99), regions, strict=True)
    ]
    assert of_kind("compare")({**sample, "regions": too_much}, random.Random(0)) is None


@pytest.mark.parametrize(
    ("concept", "side", "asked"),
    [("stroma", 10, True), ("stroma", 24, False), ("cytoplasm", 10, False)],
)
def test_a_substance_is_somewhere_or_all_over_it(concept: str, side: int, asked: bool) -> None:
    value = made(1).value
    stroma = {**value["regions"][1], "concept": concept, "bbox": [0, 0, side, side]}
    stroma["rle"] = {**stroma["rle"], "size": [24, 24]}
    sample = {**value, "regions": [stroma], "mentions": [], "width": 24, "height": 24}
    assert (of_kind("locate")(sample, random.Random(0)) is not None) is asked
    named = concept != "cytoplasm"  # which is where cells are: nobody asks whether there is some
    assert (of_kind("present")(sample, random.Random(0)) is not None) is named


@pytest.mark.parametrize("concept", ["cell", "chromatin"])
@pytest.mark.parametrize("task", ["segment", "present", "locate", "prompted"])
def test_nobody_asks_whether_there_are_cells(task: str, concept: str) -> None:
    value = made(1).value
    cell = {**value["regions"][0], "concept": concept}
    sample = {**value, "regions": [cell], "mentions": []}
    assert of_kind(task)(sample, random.Random(0)) is None
    tumor = {**sample, "regions": [{**cell, "concept": "tumor cell"}]}
    assert of_kind(task)(tumor, random.Random(0)) is not None


def test_nobody_asks_whether_there_is_what_was_just_pointed_to() -> None:
    mix = Mix(tasks={"present": 1, "segment": 3, "describe": 1}, refusals=0, exchanges=6)
    asked = 0
    for talk in instructed(many(60), mix):
        seen: set[int] = set()
        for turn, name in enumerate(talk.value["tasks"]):
            pointed = {
                region
                for m in talk.value["mentions"]
                if m["turn"] == 2 * turn + 1
                for region in m["regions"]
            }
            assert name != "present" or not pointed & seen
            asked += name == "present"
            seen |= pointed
    assert asked > 10


def test_no_concept_takes_most_of_the_denials() -> None:
    """Else its name alone would tell the answer."""
    mix = Mix(tasks={"absent": 1}, refusals=0.3, exchanges=1)
    source = [made(i, facts=[]) for i in range(60)]
    talks = list(instructed(source, mix))
    assert talks
    found = Counter(
        "fat" if re.search(r"\bfat\b", talk.value["turns"][0]["text"]) else "necrosis"
        for talk in talks
    )
    assert max(found.values()) <= 3
    assert len(talks) < len(source)
    more = mix.model_copy(update={"tasks": {"segment": 1.0, "absent": 1.0}})
    asked = [
        talk.value["turns"][0]["text"]
        for talk in instructed(many(60), more)
        if talk.value["tasks"] != ["segment"]
    ]
    found = Counter(
        word for text in asked for word in ("necrosis", "fat") if re.search(rf"\b{word}\b", text)
    )
    assert len(asked) > 15
    assert 1 < max(found.values()) <= max(3, 0.2 * len(asked))


@pytest.mark.parametrize("form", [Answering("masks"), Answering("boxes", max_boxes=1)])
def test_refusals_are_their_share_in_every_dialect(form: Answering) -> None:
    """Where little else can be asked, they took its place."""
    source = many(120)
    source = [
        dataclasses.replace(
            s,
            value={
                **s.value,
                "regions": s.value["regions"][: i % 2],
                "mentions": [
                    {**m, "regions": [r for r in m["regions"] if r < i % 2]}
                    for m in s.value["mentions"]
                ],
            },
        )
        for i, s in enumerate(source)
    ]
    tasks = [
        name for talk in instructed(source, Mix(refusals=0.2), form) for name in talk.value["tasks"]
    ]
    assert len(tasks) > 40
    assert abs(tasks.count("refuse") - 0.2 * len(tasks)) <= 1


@pytest.mark.parametrize(
    ("text", "with_article"),
    [("gland", "a "), ("acinus", "an "), ("epithelial nucleus", "an "), ("uterine gland", "a ")],
)
def test_articles(text: str, with_article: str) -> None:
    assert article(text) == with_article


def test_one_object_is_there_with_an_article() -> None:
    value = made(0).value
    (gland,) = (r for r in value["regions"] if r["concept"] == "gland")
    one = {**gland, "instances": gland["instances"][:1]}
    sample = {**value, "regions": [one], "mentions": []}
    for seed in range(9):
        said = of_kind("present")(sample, random.Random(seed))
        assert re.match(r"Yes, .* a gland\b", said.answer)
        ((start, end, _),) = said.grounded
        assert said.answer[start:end] == "gland"


def test_nothing_is_denied_twice_in_one_dialogue() -> None:
    for talk in instructed(many(60), Mix(tasks={"absent": 1}, refusals=0.5, exchanges=6)):
        text = " ".join(t["text"] for t in talk.value["turns"] if t["role"] == "user")
        assert max(text.count(word) for word in ("necrosis", " fat", "adipose")) <= 1


def test_where_is_not_asked_of_dialects_with_boxes_when_there_are_too_many(tmp_path: Path) -> None:
    """The words stay of answers that say more than a place; mask tokens have no such limit."""
    talks = list(instructed(many(12), Mix(tasks={"locate": 1, "count": 1}, refusals=0.2)))
    options = Options(max_boxes=1)
    for to in ("llava", "qwen", "llamafactory", "ms-swift"):
        done = export(talks, to, tmp_path / to, options)
        text = next((tmp_path / to).glob("train.json*")).read_text()
        assert any("asked where more than 1 objects are" in loss for loss in done.losses)
        assert any("the phrase stays without boxes" in loss for loss in done.losses)
        assert "glands" in text
    places = [
        e["conversations"][::2] for e in json.loads((tmp_path / "llava/train.json").read_text())
    ]
    asked = [t["value"] for turns in places for t in turns]
    assert not [t for t in asked if re.search(r"(Where|Locate|Find|Box|boxes).*glands", t)]
    seg = Options(max_boxes=1, grounding="seg")
    assert not any(
        "asked where" in loss for loss in export(talks, "llava", tmp_path / "s", seg).losses
    )


@pytest.mark.parametrize("task", sorted({*QUESTIONS} | {*ANSWERS}))
def test_wordings_speak_of_what_answers_show(task: str) -> None:
    """A box answers no "segment", a mask no "draw a box": in questions, answers and refusals."""
    outlines, boxed = re.compile("segment|outlin|delineat", re.I), re.compile("box")
    for question in [
        part for part, table in ((True, QUESTIONS), (False, ANSWERS)) if task in table
    ]:
        found = {shows: " ".join(wordings(task, question, shows)) for shows in get_args(Shows)}
        assert all(found.values())
        assert not outlines.search(found["boxes"] + found["either"])
        assert not boxed.search(found["masks"] + found["either"])
    if task in ("segment", "refuse"):  # what is asked must not tell that it is not there
        assert outlines.search(" ".join(wordings(task, True, "masks")))
    if task in ("locate", "refuse"):
        assert boxed.search(" ".join(wordings(task, True, "boxes")))


def spread(concept: str, instances: int, side: int) -> Any:
    """A sample of 24 x 24 px with one region that has a box of that side."""
    value = made(1).value
    mask = np.zeros((24, 24), bool)
    mask[:side, :side] = True
    rle = {"size": [24, 24], "counts": encode(mask)}
    region = {
        **value["regions"][0],
        "concept": concept,
        "kind": concepts()[concept].kind,
        "bbox": [0, 0, side, side],
        "rle": rle,
        "instances": [rle] * instances,
        "count": {"low": 20, "n": instances, "high": 300},
    }
    text = plural(concept)
    mention = {
        **value["mentions"][0], "text": text, "concept": concept, "regions": [0], "start": 0,
        "end": len(text), "polarity": "affirmed",
    }  # fmt: skip
    change = {"regions": [region], "mentions": [mention], "caption": f"{text} in a row."}
    return {**value, **change, "width": 24, "height": 24, "mpp": None}


BOXED = Answering("boxes")


@pytest.mark.parametrize(
    ("concept", "instances", "side", "said"),
    [
        ("stroma", 0, 16, True),
        ("stroma", 0, 20, False),  # its box is .69 of the picture: so would be any answer right
        ("gland", 1, 20, False),
        ("gland", 2, 20, True),
        ("gland", 33, 10, False),
    ],
)
def test_boxes_are_asked_for_where_they_say_something(
    concept: str, instances: int, side: int, said: bool
) -> None:
    value, rng = spread(concept, instances, side), random.Random(0)
    for kind in ("segment", "locate") + ("prompted",) * (instances > 1):
        assert (of_kind(kind, form=BOXED)(value, rng) is not None) is said
        assert of_kind(kind, form=Answering("masks"))(value, rng) is not None
    for seed in range(20):
        told = of_kind("describe", form=BOXED)(value, random.Random(seed))
        assert bool(told.grounded) is said
        assert bool(re.search(r"\b[Mm]ark\b", told.question)) is said
        yes = of_kind("present", form=BOXED)(value, random.Random(seed))
        assert yes.answer.startswith("Yes, ")
        assert bool(yes.grounded) is said
        assert said or "marked" not in yes.answer


@pytest.mark.parametrize(("shows", "marks"), [("masks", True), ("boxes", False)])
def test_fewer_than_are_marked_are_told_apart_from_the_marks(shows: Shows, marks: bool) -> None:
    """ "I can make out at least 20" beside 56 outlines reads as a wrong number."""
    value = spread("gland", 56, 10)
    for seed in range(20):
        told = of_kind("count", form=Answering(shows))(value, random.Random(seed))
        assert ("marked 56 glands" in told.answer) is marks
        assert "at least 20" in told.answer
        assert bool(told.grounded) is marks


@pytest.mark.parametrize(
    ("to", "options", "form"),
    [
        ("llava", Options(max_boxes=3), Answering("boxes", 3)),
        ("qwen", Options(grounding="seg"), Answering("masks")),
        ("ms-swift", Options(), Answering("boxes")),
        ("llamafactory", Options(), Answering("boxes")),
        ("muse", Options(), Answering("masks", always=True)),
    ],
)
def test_a_dialect_gets_what_its_answers_can_show(
    to: str, options: Options, form: Answering, tmp_path: Path
) -> None:
    """Nothing is taken out once tasks are chosen, so that their shares hold in every dialect."""
    assert answering(to, options) == form
    talks = list(instructed(many(30), Mix(), form))
    done = export(talks, to, tmp_path / to, options)
    assert done.written == done.samples > 10
    assert not [loss for loss in done.losses if "asked where" in loss or "without boxes" in loss]
    assert not [loss for loss in done.losses if loss.startswith("dropped")]
    assert all(talk.value["mentions"] for talk in talks) or not form.always


def test_refusals_think_in_four_steps() -> None:
    thoughts = {refuse(made(0).value, random.Random(i)).think for i in range(60)}
    for think in thoughts:
        assert "kidney" in think
        assert any(_steps(think, wording) for wording in THINK)
    assert all(any(_steps(think, wording) for think in thoughts) for wording in THINK)
    (talk,) = instructed([made(0)], Mix(refusals=1.0, exchanges=1))
    assert talk.value["turns"][1]["text"].startswith("<think>")
    (talk,) = instructed([made(0)], Mix(refusals=1.0, exchanges=1, think=False))
    assert "think" not in talk.value["turns"][1]["text"]


def _steps(think: str, wording: str) -> bool:
    return re.fullmatch(re.sub(r"{\w+}", ".*", wording), think) is not None


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_right_answers_think_at_a_share(share: float) -> None:
    thinks = []
    for talk in instructed(many(), Mix(tasks={"segment": 1, "present": 1}, think_share=share)):
        texts = [t["text"] for t in talk.value["turns"] if t["role"] == "assistant"]
        told = zip(talk.value["tasks"], texts, strict=True)
        thinks += [text.startswith("<think>") for task, text in told if task != "refuse"]
        for m in talk.value["mentions"]:
            text = talk.value["turns"][m["turn"]]["text"]
            assert text[m["start"] : m["end"]] == m["text"]
            assert m["start"] > text.rfind("</think>")
    assert abs(sum(thinks) / len(thinks) - share) < 0.1


def test_dialogues_reach_the_consumers(tmp_path: Path) -> None:
    talks = list(instructed(many(12), Mix()))
    for to in ("llava", "qwen", "muse", "granDf", "xsam"):
        export(talks, to, tmp_path / to, Options(think_open="<t>", think_close="</t>"))
    text = (tmp_path / "llava/train.json").read_text()
    assert "<t>" in text
    assert "<think>" not in text
    assert "<vp>" not in text
    for entry in json.loads(text):
        assert "".join(t["value"] for t in entry["conversations"]).count("<image>") == 1


def test_mix_files_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text("tasks: {segmnt: 1}\n")
    with pytest.raises(Refused, match=r"tasks: unknown task segmnt; did you mean segment\?"):
        read_mix(str(path))
    path.write_text("stratum: site\n")  # no sample has one: half of the dialogues were left out
    with pytest.raises(Refused, match="unknown stratum site; known: corpus, organ, system"):
        read_mix(str(path))
    path.write_text("refusals: 2\n")
    with pytest.raises(Refused, match="refusals"):
        read_mix(str(path))
    with pytest.raises(Refused, match="no such configuration file"):
        read_mix(str(tmp_path / "none.yaml"))
    path.write_text("refusals: 0.5\nseed: 3\n")
    assert read_mix(str(path)).seed == 3
    assert read_mix("default") == Mix()


ORIGINAL = "I count 3 instances of tumor cells."


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("One can make out 3 single tumor cells here.", False),  # "one" is a number
        ("There are 3 of the tumor cells.", True),
        ("There are about 3 of the tumor cells.", False),  # was exact
        ("These are all 3 of the tumor cells.", False),
        ("There are 4 of the tumor cells.", False),
        ("There are three of the tumor cells.", False),
        ("There are 3 of the neoplastic cells.", False),
        ("There are not 3 of the tumor cells.", False),
        ("There are 3 of the tumor cells, tumor cells.", False),
        ("3 tumor cells [SEG].", False),
        ("", False),
    ],
)
def test_a_rewording_must_keep_the_facts(reply: str, kept: bool) -> None:
    assert keeps(ORIGINAL, reply, ["tumor cells"]) is kept


def test_a_rewording_moves_the_spans() -> None:
    exchange = of_kind("present")(made(0).value, random.Random(2))
    assert exchange
    phrase = exchange.answer[slice(*exchange.grounded[0][:2])]
    moved = reworded(exchange, f"Indeed, the {phrase} is there.")
    assert moved.answer[slice(*moved.grounded[0][:2])] == phrase
    assert moved.answer != exchange.answer
    assert dataclasses.replace(moved, answer=exchange.answer).task == "present"


def test_a_task_may_have_a_share_of_nothing() -> None:
    assert Mix(tasks={"segment": 1.0, "count": 0.0}).tasks["count"] == 0.0
    with pytest.raises(ValueError, match="must not be negative"):
        Mix(tasks={"segment": 1.0, "count": -0.1})


@pytest.mark.parametrize(
    ("text", "called"), [("Gland", "glands"), ("glands", "glands"), ("glandular pattern", "glands")]
)
def test_objects_are_called_by_a_word_that_can_be_counted(text: str, called: str) -> None:
    value: Any = {
        "regions": [{"concept": "gland", "kind": "object"}],
        "mentions": [{"text": text, "regions": [0]}],
    }
    assert counted_name(value, 0) == called
