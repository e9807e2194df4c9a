"""What counts of a content: the last complete answer outside of the thinking."""

import json
import time

import pytest

from miner.core.answers import sentence, text_of, values
from ner.llm.reply import items

ITEM = {"text": "necrosis", "polarity": "negated"}
FINAL = json.dumps({"mentions": [ITEM]})
DRAFT = '{"text": "necrosis", "polarity": "affirmed"}'
OTHER = f'{{"mentions": [{DRAFT}]}}'

AROUND = {
    "nothing": FINAL,
    "thinking": f"<think>Perhaps {OTHER}.</think>\n{FINAL}",
    "another tag": f"<thinking>{OTHER}</thinking>{FINAL}",
    "only a closing tag": f"So {OTHER}\n</think>\n\n{FINAL}",
    "thinking twice": f"<think>{OTHER}</think>{FINAL}<think>Is {OTHER} better? No.</think>",
    "thinking in thinking": f"<think><think>{OTHER}</think>{OTHER}</think>{FINAL}",
    "thinking that never ends behind it": f"{FINAL}<think>But {OTHER}",
    "Mistral's tags": f"[THINK]{OTHER}[/THINK]{FINAL}",
    "channels": "<|channel|>analysis<|message|>"
    f"{OTHER}<|end|><|start|>assistant<|channel|>final<|message|>{FINAL}<|return|>",
    "a marker": f"Draft: {OTHER}\n**Final answer:** {FINAL}\nThe draft was {OTHER}"[: -len(OTHER)],
    "a marker in a heading": f"{OTHER}\n## Final Answer\n\n```json\n{FINAL}\n```",
    "an answer tag": f"{OTHER} <answer>{FINAL}</answer> unlike {OTHER}",
    "a marker behind it": f"{OTHER}\n{FINAL}\nFinal answer: as above.",
    "fenced drafts": f"```json\n{OTHER}\n```\nNo.\n```json\n{FINAL}\n```",
    "draft items": f"Candidates: {DRAFT}, {DRAFT}. So: {FINAL} Done [1].",
    "a bare list": f"{OTHER} then [{json.dumps(ITEM)}]",
    "a list beside it": f"{FINAL} (left out: [])",
    "line feeds in strings": FINAL.replace("negated", "negated").replace("}]", ', "why": "a\nb"}]'),
    "cut": "<think>" + OTHER + "</think>" + FINAL[:-2] + ', {"text": "fa',
    "a draft, then cut": f'I had {DRAFT}. {{"mentions": [{json.dumps(ITEM)}, {{"te',
}


@pytest.mark.parametrize("around", AROUND)
def test_the_last_complete_answer_counts(around):
    (item,) = items(AROUND[around])
    assert (item["text"], item["polarity"]) == ("necrosis", "negated")


@pytest.mark.parametrize(
    "content",
    [
        f"<think>{OTHER}",
        f"<think>{OTHER}</think>",
        f"{OTHER}</think>",
        "<|channel|>analysis<|message|>" + OTHER,
        "There is no necrosis.",
        "{" * 5000,
    ],
)
def test_thinking_alone_is_no_answer(content):
    assert items(content) is None


def test_json_as_a_whole_is_one_value_whatever_its_strings_say():
    value = {"mentions": [{"text": "</think> final answer: []"}]}
    assert values(json.dumps(value)) == [value]
    assert items(json.dumps(value)) == value["mentions"]
    assert items('{"mentions": []}') == []


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "thinking", "text": "no"}, {"type": "output_text", "text": "a"}], "a"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}, "a"], "a"),
        ({"type": "text", "text": "a"}, "a"),
        ([{"type": "image_url", "image_url": {}}], ""),
        (None, None),
        (7, None),
    ],
)
def test_content_may_be_blocks(content, text):
    assert text_of(content) == text


@pytest.mark.parametrize(
    "content",
    [
        "No necrosis.",
        ' "No necrosis."\n',
        "<think>Necrosis?</think> No necrosis.",
        "Draft: Some necrosis.\nFinal answer: No necrosis.",
        "Draft:\n```\nSome necrosis.\n```\nBetter:\n```\nNo\nnecrosis.\n```",
    ],
)
def test_a_sentence_is_the_last_that_was_meant(content):
    assert sentence(content) == "No necrosis."


ENDLESS = {
    "line feeds": "\n" * 1_000_000 + "no",
    "thoughts that never end": "<think>" * 100_000,
    "a channel that never ends": "<|channel|>" + "a" * 1_000_000,
    "markers": "final answer: " * 70_000,
    "brackets": "[" * 1_000_000,
    "objects": '{"a":' * 200_000,
    "a fence and spaces": "```\n" + " " * 1_000_000,
    "fences": "```\n[" * 200_000,
}


@pytest.mark.whole  # measures time
@pytest.mark.parametrize("name", ENDLESS)
def test_megabytes_take_seconds_at_most(name):
    begun = time.process_time()
    assert [value for value in values(ENDLESS[name]) if value] == []
    sentence(ENDLESS[name])
    assert time.process_time() - begun < 5


def test_of_megabytes_the_end_counts():
    assert values("{" * 300_000 + "\n" * 200_000 + '{"a": 1}') == [{"a": 1}]
    whole = [{"a": "x" * 300_000}]
    assert values(json.dumps(whole)) == [whole]
