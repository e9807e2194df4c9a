"""The certificate about protected test sets, at the gate."""

import pyarrow as pa
import pytest

from miner.audit.leaks import leak_faults
from miner.core.layout import LEAKS
from miner.core.store import DamagedFile, Store
from miner.load_config import check_config


def said_of(planted, found):
    control = {"planted": planted, "found": found}
    return {"name": "tnbc", "pictures": 4, "found": {}, "of_its_patients": 0, "control": control}


SAID = {
    "compared": 9, "excluded": 1, "thresholds": {}, "model": "small", "sets": [said_of(8, 8)],
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    rows = {
        "corpus": ["q"] * 3, "image": ["a", "a", "b"],
        "status": ["excluded", "excluded", "written"],
        "reason": ["protected:tnbc", "protected:tnbc", None],
    }  # fmt: skip
    store.write_table("ledger/samples/q.parquet", pa.table(rows))
    store.write_json(LEAKS, SAID)
    return store


def config(protect=({"name": "tnbc", "path": "x"},)):
    corpora = [{"kind": "quilt", "path": "q"}]
    return check_config({"corpora": corpora, "protect": list(protect)}, "test")


def test_a_certificate_that_holds(store):
    assert leak_faults(store, config()) == []


def test_nothing_protected_needs_none(store):
    store.remove(LEAKS)
    assert leak_faults(store, config(())) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"excluded": 0}, "the ledger leaves out 1"),
        ({"sets": []}, "tnbc: protected, but not in"),
        ({"sets": [said_of(8, 7)]}, "only 7 were found"),
    ],
)
def test_one_that_does_not(store, change, said):
    store.write_json(LEAKS, {**SAID, **change})
    (line,) = leak_faults(store, config())
    assert said in line


def test_one_that_no_run_writes(store):
    store.write_json(LEAKS, {**SAID, "sets": None})
    with pytest.raises(DamagedFile, match=r"leaks\.json.*sets"):
        leak_faults(store, config())


def test_one_that_is_gone(store):
    store.remove(LEAKS)
    assert "is not there, although test sets are protected" in leak_faults(store, config())[0]
