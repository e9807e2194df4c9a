"""The vision-model judge against a loopback server that speaks the protocol."""

import base64
import io
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from filters.config import JudgeConfig
from filters.judge import Judge, outlined_crop, parse

MASK = np.zeros((60, 80), bool)
MASK[20:40, 30:50] = True
IMAGE = np.full((60, 80, 3), 120, np.uint8)
RIGHT = '{"verdict": "right", "confidence": 0.9}'


@dataclass
class Result:
    scores: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


class Server:
    """Answers chat completions from a list, and remembers what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked = list(answers), []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.asked.append(body)
                answer = server.answers.pop(0) if server.answers else RIGHT
                status = answer if isinstance(answer, int) else 200
                reply = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "m",
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "message": {"role": "assistant", "content": answer},
                        }
                    ],
                }
                data = json.dumps(reply if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    made = []

    def make(*answers):
        made.append(Server(answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


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
def test_answers_become_a_score(server, answer, expected):
    (result,) = judge(server(answer).url)
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
def test_bad_answers_leave_the_score_undefined(server, answer, note):
    (result,) = judge(server(answer).url)
    assert result.scores == {}
    assert note in result.notes[0]


def test_no_server_is_a_note():
    (result,) = judge("http://127.0.0.1:9/v1", timeout_s=2)
    assert "request failed" in result.notes[0]


def test_recorded_answers_cost_no_call(server, tmp_path):
    one = server()
    judge(one.url, 2, cache=str(tmp_path))
    assert len(one.asked) == 2
    again = judge(one.url, 2, cache=str(tmp_path))
    assert len(one.asked) == 2
    assert all(r.scores["judge_right"] == pytest.approx(0.9) for r in again)
    assert not list(tmp_path.rglob("*.tmp-*"))


def test_failures_are_not_recorded(server, tmp_path):
    one = server("nonsense")
    judge(one.url, cache=str(tmp_path))
    (again,) = judge(one.url, cache=str(tmp_path))
    assert again.scores["judge_right"] == pytest.approx(0.9)


def test_budget(server):
    one = server()
    results = judge(one.url, 3, budget=2)
    assert len(one.asked) == 2
    assert sum("budget" in note for r in results for note in r.notes) == 1


def test_what_is_sent(server):
    one = server()
    judge(one.url)
    text, image = one.asked[0]["messages"][0]["content"]
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
