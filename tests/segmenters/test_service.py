"""A service as a segmenter: answers as given, recorded by content, faults as reasons."""

import http.server
import json
import sys
import threading
from pathlib import Path

import numpy as np
import pydantic
import pytest

from miner.config import Config
from miner.core.contents import identity
from miner.core.masks import encode
from miner.stages import _services_recorded
from segmenters.protocol import Prompt
from segmenters.service.segmenter import ServiceConfig, ServiceSegmenter

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/histomine_examples/server.py"
IMAGE = np.full((20, 30, 3), 220, np.uint8)
IMAGE[5:10, 5:15] = (150, 80, 40)
BROWN = np.zeros((20, 30), bool)
BROWN[5:10, 5:15] = True
NUCLEI, STROMA = Prompt("nucleus", "object", ("nuclei",)), Prompt("stroma", "stuff", ("stroma",))


def asked(config, prompts=(NUCLEI,)):
    segmenter = ServiceSegmenter(config)
    found = segmenter.segment(segmenter.encode(IMAGE, 0.5), list(prompts))
    return segmenter, found


def server(tmp_path, answer, before=""):
    """Settings of a process that answers a request `r` with an expression."""
    script = tmp_path / "server.py"
    script.write_text(
        f"import json, os, sys, time\n{before}\nfor line in sys.stdin:\n"
        f"    r = json.loads(line)\n    print(json.dumps({answer}), flush=True)\n"
    )
    return {"command": (sys.executable, str(script)), "version": "1"}


def said(mask, score=0.75, instances=None):
    """An answer, as text of Python."""
    counts = None if mask is None else encode(mask)
    return repr({"counts": counts, "score": score, "instances": instances or []})


def reply(*answers):
    return f'{{"id": r["id"], "version": "1", "answers": [{", ".join(answers)}]}}'


def test_the_example_answers_over_lines(tmp_path):
    config = ServiceConfig(command=(sys.executable, str(EXAMPLE)), version="brown-1")
    segmenter, (one, two) = asked(config, (NUCLEI, STROMA))
    np.testing.assert_array_equal(one.mask, BROWN)
    assert (one.confidence, one.labels, two.concept) == (0.5, None, "stroma")
    again = segmenter.segment(segmenter.encode(IMAGE, 0.5), [STROMA])
    np.testing.assert_array_equal(again[0].mask, BROWN)
    assert segmenter.counts == {"calls": 2}


def test_single_objects(tmp_path):
    left = BROWN.copy()
    left[:, 10:] = False
    parts = [encode(left), encode(BROWN & ~left)]
    answer = reply(said(None, 0.5, parts), said(None, 0.5, parts))
    _, (cells, region) = asked(ServiceConfig(**server(tmp_path, answer)), (NUCLEI, STROMA))
    assert (cells.labels.max(), cells.labels[5, 5], cells.labels[5, 12]) == (2, 1, 2)
    np.testing.assert_array_equal(region.mask, BROWN)
    assert region.labels is None


def test_answers_are_recorded_by_what_was_asked(tmp_path):
    settings = server(tmp_path, reply(said(BROWN)))
    config = ServiceConfig(**settings, cache=str(tmp_path / "replies"))
    first, (one,) = asked(config)
    gone = config.model_copy(update={"command": ("/no/such/program",), "retries": 0})
    second, (two,) = asked(gone)
    assert (first.counts, second.counts) == ({"calls": 1}, {"cached": 1})
    np.testing.assert_array_equal(one.mask, two.mask)
    # Other phrases, and another version, are another question.
    _, (other,) = asked(gone, (STROMA,))
    _, (newer,) = asked(gone.model_copy(update={"version": "2"}))
    assert other.reason == newer.reason == "failed:connection"


@pytest.mark.parametrize(
    ("answer", "before", "reason"),
    [
        (reply(), "", "unreadable"),  # fewer answers than phrases
        (reply(said(np.ones((4, 4), bool))), "", "unreadable"),  # a mask of another size
        (reply(said(BROWN, 7.0)), "", "unreadable"),  # a score that is none
        (reply('{"counts": "@@@@", "score": 0.5}'), "", "unreadable"),
        (reply("3"), "", "unreadable"),
        ('{"id": r["id"], "error": "out of memory"}', "", "error"),
        ('{"id": r["id"], "version": "2", "answers": []}', "", "another_version"),
        ("sys.exit(3)", "", "connection"),
        (reply(said(BROWN)), "sys.exit(3)", "connection"),
        (reply(said(BROWN)), "time.sleep(60)", "timeout"),
        ('{"id": -1, "version": "1", "answers": []}', "", "timeout"),  # of another question
    ],
)
def test_faults_are_reasons(tmp_path, answer, before, reason):
    # Long enough for an interpreter to start on a busy machine, but where nothing comes.
    timeout_s = 1.0 if reason == "timeout" else 60.0
    config = ServiceConfig(**server(tmp_path, answer, before), timeout_s=timeout_s, retries=0)
    segmenter, (one,) = asked(config)
    assert (one.mask, one.reason) == (None, f"failed:{reason}")
    assert segmenter.counts == {"calls": 1, reason: 1}


def test_a_service_that_died_is_started_anew(tmp_path):
    mark = tmp_path / "mark"
    before = f"first = not os.path.exists({str(mark)!r}); open({str(mark)!r}, 'w').close()"
    dies = "(os._exit(1) if first else 0) or "
    config = ServiceConfig(**server(tmp_path, dies + reply(said(BROWN)), before))
    segmenter, (one,) = asked(config)
    assert one.reason is None
    assert segmenter.counts == {"calls": 2}


def test_what_a_model_prints_is_passed_over(tmp_path):
    chatty = "print('Loading checkpoint shards: 50%'); print('[1, 2]')"
    _, (one,) = asked(ServiceConfig(**server(tmp_path, reply(said(BROWN)), chatty)))
    assert one.reason is None


@pytest.fixture
def endpoint():
    """An address whose answers the test decides: status and body."""
    said = {"status": 200, "body": b""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            said["asked"] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, *args):
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said["url"] = f"http://127.0.0.1:{server.server_address[1]}/"
        yield said
        server.shutdown()


def test_over_http(endpoint):
    answer = {"version": "1", "answers": [{"counts": encode(BROWN), "score": 1.0}]}
    endpoint["body"] = json.dumps(answer).encode()
    config = ServiceConfig(url=endpoint["url"], version="1", retries=0)
    _, (one,) = asked(config)
    np.testing.assert_array_equal(one.mask, BROWN)
    assert endpoint["asked"]["phrases"] == [
        {"concept": "nucleus", "kind": "object", "text": "nuclei"}
    ]
    assert (endpoint["asked"]["mpp"], endpoint["asked"]["width"]) == (0.5, 30)
    endpoint["body"] = b"<html>"
    assert asked(config)[1][0].reason == "failed:not_json"
    endpoint["status"] = 503
    assert asked(config)[1][0].reason == "failed:http_503"


def test_a_way_and_a_version_are_needed():
    for wrong in (
        {"version": "1"},
        {"version": "1", "command": ("x",), "url": "http://x"},
        {"command": ("x",)},
        {"version": "", "command": ("x",)},
        {"version": "1", "url": "file:///etc"},
    ):
        with pytest.raises(pydantic.ValidationError):
            ServiceConfig(**wrong)


def test_the_version_makes_the_identity_and_where_it_runs_does_not(tmp_path):
    def run(**service):
        segmenters = [{"kind": "service", "version": "1", **service}]
        corpora = [{"kind": "pairs", "path": "x"}]
        return Config(corpora=corpora, out=str(tmp_path), segment={"segmenters": segmenters})

    here, there = run(command=["a"]), run(url="http://b", timeout_s=5)
    assert identity(here) == identity(there)
    assert identity(here) != identity(run(command=["a"], version="2"))
    (service,) = _services_recorded(here.segment, here.out).segmenters
    assert service.cache == str(tmp_path / "services")
