"""Published dialogues at the consumers: what is grounded stands in answers and thoughts."""

import json
from pathlib import Path

import pytest

from shards.export.folder import Sample
from shards.export.options import Options
from shards.export.run import export
from tests.shards.build import mention, sample


def spoken(question: str, thought: str, answer: str) -> Sample:
    """A dialogue whose thought names the stroma and whose answer says yes to glands."""
    text = f"<think>{thought}</think>{answer}"
    mentions = [
        mention(question, "glands", "gland", "object", "uncertain") | {"turn": 0},
        mention(text, "stroma", "stroma", "stuff") | {"turn": 1},
        mention(text, "Yes", "gland", "object") | {"turn": 1},
    ]
    turns = [{"role": "human", "text": question}, {"role": "gpt", "text": text}]
    value, image, extension = sample(1, caption="", turns=turns, mentions=mentions)
    return Sample(value, image, extension, "train")


def test_a_thought_is_grounded_like_the_answer_behind_it(tmp_path: Path) -> None:
    one = spoken("Are there glands?", "I see stroma here.", "Yes, two.")
    options = Options(grounding="seg", think_open="<t>", think_close="</t>")
    export([one], "llava", tmp_path, options)
    (entry,) = json.loads((tmp_path / "train.json").read_text())
    question, answer = (turn["value"] for turn in entry["conversations"])
    assert question == "<image>\nAre there glands?"
    seg, p, q = options.seg_token, options.phrase_open, options.phrase_close
    assert answer == f"<t>I see {p} stroma {q} {seg} here.</t>{p} Yes {q} {seg}, two."


@pytest.mark.parametrize("to", ["granDf", "sa2va-gcg", "xsam", "muse"])
def test_a_thought_stays_out_of_dialects_that_have_no_place_for_it(to: str, tmp_path: Path) -> None:
    """It is a special token to them: the whole sample went with it."""
    export(
        [spoken("Are there glands?", "I see stroma here.", "Yes, two.")], to, tmp_path, Options()
    )
    (file,) = (f for f in tmp_path.rglob("*.json") if f.name != "LOSSES.jsonl")
    (entry,) = json.loads(file.read_text())
    if to == "muse":
        assert (entry["questions"], entry["text_answers"]) == (
            ["Are there glands?"],
            ["Yes {seg}, two."],
        )
    else:
        assert entry["caption"].lower() == "yes, two."
        ((phrase, place),) = entry["groundings"].items()
        assert (phrase.lower(), place["token_positives"]) == ("yes", [0, 3])
    assert "a chain of thought has no place in it" in (tmp_path / "LOSSES.jsonl").read_text()


def test_a_thought_that_holds_a_token_is_no_dialogue(tmp_path: Path) -> None:
    export([spoken("Are there glands?", "stroma <image>", "Yes")], "llava", tmp_path, Options())
    assert "special token" in (tmp_path / "LOSSES.jsonl").read_text()
