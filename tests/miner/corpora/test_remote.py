"""Inputs and OUT behind URLs: `memory://`, and an S3 server on loopback."""

from __future__ import annotations

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.plan import make_plan
from tests.miner.corpora.layouts import (
    config,
    fates,
    pathgen_record,
    picture,
    quilt_row,
    read_all,
    write_images,
    write_json,
    write_quilt,
    write_slide,
    write_zip,
)


@pytest.fixture
def corpora(tmp_path):
    """A folder with the three layouts, pictures in a folder and in a zip."""
    write_quilt(tmp_path / "quilt", [quilt_row(i) for i in range(6)])
    write_images(tmp_path / "quilt" / "images", [f"vid{i}_image_{i}.jpg" for i in range(3)])
    rest = {f"d/vid{i}_image_{i}.jpg": picture(i) for i in range(3, 5)}
    write_zip(tmp_path / "quilt" / "more.zip", rest)
    records = [{"img": f"111111_gr{i}.jpg", "caption": f"Glands {i}."} for i in range(3)]
    write_json(tmp_path / "pathcap" / "data.json", records)
    write_images(tmp_path / "pathcap" / "images", [r["img"] for r in records])
    write_slide(tmp_path / "pathgen" / "slides" / "A.tif", size=1024)
    write_json(
        tmp_path / "pathgen" / "PathGen-1.6M.json",
        [pathgen_record("A", 0, 32 * i) for i in range(3)],
    )
    return tmp_path


KINDS = ("quilt", "pathcap", "pathgen")


def both(folder, url, out, other_out):
    """What every reader makes of a local folder and of its copy behind a URL."""
    for kind in KINDS:
        here = read_all(config(kind, folder / kind), out)
        there = read_all(config(kind, f"{url}/{kind}"), other_out)
        assert here == there
        assert any(fates(here[0])) == (kind == "quilt")  # one picture is missing
        yield kind


@pytest.fixture
def memory():
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield "memory://"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_memory(corpora, memory, tmp_path):
    fsspec.filesystem("memory").put(str(corpora), "/in", recursive=True)
    read = [*both(corpora, "memory://in", tmp_path / "out", "memory://out")]
    assert read == list(KINDS)
    with pytest.raises(Refused, match=r"memory://in/nothing: no such file or folder"):
        read_all(config("quilt", "memory://in/nothing"), "memory://out2")


def test_s3(corpora, s3, tmp_path):
    for kind in KINDS:
        fsspec.filesystem("s3").put(str(corpora / kind), f"bucket/in/{kind}", recursive=True)
    assert [*both(corpora, f"{s3}/in", tmp_path / "out", f"{s3}/out")] == list(KINDS)


def test_s3_plan_is_whole_or_not_there(corpora, s3, monkeypatch):
    store = Store(f"{s3}/broken")
    corpus = config("quilt", corpora / "quilt")
    monkeypatch.setattr(Store, "write_json", None)  # the mark comes last
    with pytest.raises(TypeError):
        make_plan([corpus], 4, store)
    monkeypatch.undo()
    assert not store.exists("plan/quilt.json")
    assert make_plan([corpus], 4, store).rows == {"quilt": 6}


def test_unknown_schemes_are_refused():
    with pytest.raises(Refused, match=r"corpora\.quilt\.path: nonsense://x"):
        read_all(config("quilt", "nonsense://x"), "memory://out")
