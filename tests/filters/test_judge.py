"""The vision-model judge against a loopback server that speaks the protocol."""

import asyncio
import base64
import io
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image

from filters.config import JudgeConfig
from filters.judge import Judge, outlined_crop, parse
from tests.llm_server import completion

MASK = np.zeros((60, 80), bool)
MASK[20:40, 30:50] = True
IMAGE = np.full((60, 80, 3), 120, np.uint8)
RIGHT = '{"verdict": "right", "confidence": 0.9}'


@dataclass
class Result:
    scores: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def replies(*answers):
    """Answers in this order, a status for a failure; then `RIGHT` as often as it is asked."""
    left = list(answers)

    def answer(body):
        one = left.pop(0) if left else RIGHT
        return (one, b'{"error": "no"}') if isinstance(one, int) else completion(one)

    return answer


def judge(url, n=1, **settings):
    config = JudgeConfig(base_url=url, model="m", retries=0, in_flight=1, **settings)
    results = [Result() for _ in range(n)]
    rows = [{"prompt": f"nuclei {i}", "concept": "nucleus"} for i in range(n)]
    Judge(config).score(IMAGE, rows, [MASK] * n, results)
    return results


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (RIGHT, 0.9),
        ('{"verdict": "wrong_object", "confidence": 0.8}', 0.2),
        ('Sure!\n```json\n{"verdict": "wrong_extent", "confidence": 0.7}\n```', 0.3),
    ],
)
def test_answers_become_a_score(serve, answer, expected):
    (result,) = judge(serve(replies(answer)).url)
    assert result.scores["judge_right"] == pytest.approx(expected)
    assert result.notes == []


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("I cannot say.", "not the JSON object"),
        ('{"verdict": "maybe", "confidence": 0.5}', "not the JSON object"),
        ('{"verdict": "right", "confidence": 7}', "not the JSON object"),
        ('{"verdict": "right", "confidence": NaN}', "not the JSON object"),
        ("", "not the JSON object"),
        (500, "request failed"),
        (401, "request failed"),
    ],
)
def test_bad_answers_leave_the_score_undefined(serve, answer, note):
    (result,) = judge(serve(replies(answer)).url)
    assert result.scores == {}
    assert note in result.notes[0]


def test_no_server_is_a_note():
    (result,) = judge("http://127.0.0.1:9/v1", timeout_s=2)
    assert "request failed" in result.notes[0]


def test_recorded_answers_cost_no_call(serve, tmp_path):
    one = serve(replies())
    judge(one.url, 2, cache=str(tmp_path))
    assert len(one.requests) == 2
    again = judge(one.url, 2, cache=str(tmp_path))
    assert len(one.requests) == 2
    assert all(r.scores["judge_right"] == pytest.approx(0.9) for r in again)
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_failures_are_not_recorded(serve, tmp_path):
    one = serve(replies("nonsense"))
    judge(one.url, cache=str(tmp_path))
    (again,) = judge(one.url, cache=str(tmp_path))
    assert again.scores["judge_right"] == pytest.approx(0.9)


def test_budget(serve):
    one = serve(replies())
    results = judge(one.url, 3, budget=2)
    assert len(one.requests) == 2
    assert sum("budget" in note for r in results for note in r.notes) == 1


def test_what_is_sent(serve):
    one = serve(replies())
    judge(one.url)
    text, image = one.requests[0]["messages"][0]["content"]
    assert "nuclei 0" in text["text"]
    data = base64.b64decode(image["image_url"]["url"].split(",")[1])
    crop = np.asarray(Image.open(io.BytesIO(data)))
    assert (crop == (255, 255, 0)).all(axis=2).any()  # the outline


def test_crops_of_any_place_and_shape():
    for mask in (np.ones((60, 80), bool), np.eye(60, 80, dtype=bool), MASK[::-1]):
        crop = Image.open(io.BytesIO(outlined_crop(IMAGE, mask, 128)))
        assert max(crop.size) == 128
    corner = np.zeros((60, 80), bool)
    corner[-1, -1] = True
    assert outlined_crop(IMAGE, corner, 64)


def test_parse_is_strict():
    assert parse("{") is None
    assert parse("}{") is None
    assert parse('["right"]') is None


def test_a_notebook_and_a_wrong_key(serve):
    """Inside a running loop, and no call after a key is refused."""
    one = serve(replies(401))

    async def notebook():
        return judge(one.url, 3)

    notes = [result.notes for result in asyncio.run(notebook())]
    assert [note for (note,) in notes] == [
        "judge: request failed: http_401",
        "judge: request failed: stopped",
        "judge: request failed: stopped",
    ]
    assert len(one.requests) == 1
