"""A damaged file of OUT is one line that names it, whichever command reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from miner.core.layout import CALIBRATION
from miner.core.store import Store
from tests.miner.finished import finished

SAMPLES = "ledger/samples/quilt-000000.parquet"
CANDIDATES = "ledger/candidates/quilt-000000.parquet"
MARK = "units/quilt-000000.json"
HOW = {"cut": lambda data: data[: len(data) // 2], "bytes": lambda data: b"\xff\x00" * 200}


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "out"
    finished(folder)
    return folder


@pytest.fixture
def out(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "out"))


def first(out: Path) -> str:
    """A sample of the ledger that is damaged below."""
    return Store(out).read_table(SAMPLES, ["sample_id"])["sample_id"][0].as_py()


def damage(file: Path, how: str) -> None:
    file.write_bytes(HOW[how](file.read_bytes()))


def command(*words: str):
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", [SAMPLES, CANDIDATES, CALIBRATION])
def test_show(out, tmp_path, name, how):
    words = ["show", str(out), first(out), "--png", str(tmp_path / "x.png")]
    if name == CALIBRATION:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text('{"limits": {}}')
    assert command(*words).exit_code == 0
    damage(out / name, how)
    refused(command(*words), out / name)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["run.json", "lease/000000.json", "plan/a.json"])
def test_status(out, name, how):
    assert command("status", str(out)).exit_code == 0
    (out / name).parent.mkdir(exist_ok=True)
    if not (out / name).exists():
        (out / name).write_text('{"host": "h", "pid": 1}')
    damage(out / name, how)
    refused(command("status", str(out)), out / name)


@pytest.mark.parametrize("key", ["tables", "counts", "missing", "masks"])
def test_status_of_a_mark_of_another_shape(out, key):
    mark = Store(out).read_json(MARK)
    for value in (None, [], "x"):
        Store(out).write_json(MARK, {**mark, key: value})
        done = command("status", str(out))
        assert isinstance(done.exception, Refused), done.exception
        assert str(done.exception).startswith(f"{out / MARK}: {key}: ")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["run.json", "finished.json", SAMPLES, CANDIDATES])
def test_validate(out, name, how):
    assert command("validate", str(out)).exit_code == 0
    damage(out / name, how)
    done = command("validate", str(out))
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert name in done.output.replace("\n", "")


def refused(done, file: Path) -> None:
    assert isinstance(done.exception, Refused), done.exception
    assert str(done.exception).startswith(f"{file}: not ")
    assert "\n" not in str(done.exception)


@pytest.mark.parametrize("value", [[], None, 3, {"rows": 3}, {"digest": 1, "config": []}])
@pytest.mark.parametrize(
    "name",
    ["run.json", "finished.json", "lease/000001.json", "isolated/a.json", "plan/quilt.json",
     "report/calibration.json", "audit/audit.json", "ledger/sampling.json", "ledger/leaks.json",
     "plan/quilt/zip-00.json", "estimate/expected.json", "estimate/took.json",
     "report/changes.json", "barrier/swap.json"],
)  # fmt: skip
def test_json_of_another_shape_is_one_line_that_names_the_file(tmp_path, name, value):
    store = Store(tmp_path)
    store.write_json(name, value)
    needs = {"report/calibration.json": "limits", "ledger/sampling.json": "coverage"}
    needs |= {"run.json": "identity", "finished.json": "tars"}
    with pytest.raises(Refused, match=name.replace(".", r"\.")) as said:
        store.read_json(name, [needs[name]] if name in needs else [])
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ledger/sampling.json", {"before_after": {"organ": [["colon", 3]]}, "coverage": None}),
        ("ledger/sampling.json", {"before_after": {"organ": [["colon", 3, "2"]]}}),
        ("ledger/sampling.json", {"coverage": {"concepts": ["gland"], "organs": ["colon"],
                                               "samples": [[1, 2]]}}),
        ("report/calibration.json", {"calibrations": {"global": 3}}),
        ("report/calibration.json", {"target": ["precision"]}),
    ],
)  # fmt: skip
def test_what_the_report_takes_apart_has_its_parts(tmp_path, name, value):
    store = Store(tmp_path)
    store.write_json(name, value)
    with pytest.raises(Refused, match=name.replace(".", r"\.")):
        store.read_json(name)
