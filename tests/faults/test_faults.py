"""A slice of `make faults`: a disk that fails at some of the writes of a run, and a slow one."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.faults.harness import SLOW_US, Fault, attempt, drawn

pytestmark = [
    pytest.mark.whole,
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, cc"),
]
CALLS = 250  # that write, of a run over five captions; a few more, in fact


def test_a_rerun_gives_the_same_bytes_whichever_write_failed(tmp_path):
    faults = drawn(random.Random(2), CALLS, 8)
    tried = list(attempt(tmp_path, [Fault(0, 0, delay_us=SLOW_US), *faults]))
    assert [found["fault"] for _, found in tried] == [""] * len(tried)
    (_, slow), *failing = tried
    assert slow["ended"] == "finished"
    assert CALLS <= slow["calls"] < 2 * CALLS
    assert all(found["path"] for _, found in failing)  # each was met
    ended = [found["ended"] for _, found in failing]
    assert sum(one != "finished" for one in ended) > len(ended) / 2
