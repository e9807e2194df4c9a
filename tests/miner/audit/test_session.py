"""The sample in a notebook: verdicts on disk, undone, beside others' and damaged lines."""

import json

import pytest

from miner.audit.session import Session
from miner.core.errors import Refused
from tests.miner.finished import finished

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("session") / "out")


def test_only_the_own_last_verdict_on_this_sample_is_taken_back(store):
    session = Session(store, "a b", n=12)
    theirs = json.dumps({"audit": "of before", "item": "1", "auditor": "a b", "verdict": "right"})
    store.write("judgements/a_b.jsonl", f"{theirs}\nedited by hand\n".encode())
    session = Session(store, "a b")
    session.undo()
    assert store.read("judgements/a_b.jsonl").decode() == f"{theirs}\nedited by hand\n"
    first, second, *_ = session.left()
    session.judge(first, "right")
    session.judge(second, "wrong_object")
    session.undo()
    again = Session(store, "a b")
    assert [(j.item, j.verdict) for j in again.judgements().found] == [(first, "right")]
    assert len(again.judgements().problems) == 2
    assert first not in again.left()
    assert second in again.left()
    assert first in Session(store, "a_b").left()  # of the same file name


def test_a_damaged_page_or_file_of_judgements_is_no_traceback(tmp_path):
    store = finished(tmp_path / "out")
    page = store.path("audit/index.html")
    for items in (b"", b'<script id="data">[]</script>', b'<script id="data">{</script>', b"\xff"):
        Session(store, "ann", n=12)
        with open(page, "wb") as file:
            file.write(items)
        with pytest.raises(Refused, match=r"audit/index\.html: holds no items"):
            Session(store, "ann")
        store.remove("audit")
    session = Session(store, "ann", n=12)
    store.write("judgements/ann.jsonl", b"\xff\xfe\n")
    assert len(Session(store, "ann").left()) == len(session.left())


def test_what_is_no_verdict_is_refused(store):
    session = Session(store, "ann", n=12)
    with pytest.raises(Refused, match="an item of the sample"):
        session.judge("nothing", "right")
    with pytest.raises(Refused, match="say who judges"):
        Session(store, " ")
