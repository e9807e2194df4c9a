"""Object stores that cannot be reached, and buckets that are not there: one line, nothing made."""

from __future__ import annotations

import socket
import time

import fsspec
import pytest
from typer.testing import CliRunner

from miner.cli import app
from miner.core.errors import Refused
from miner.core.layout import check_out
from miner.core.remote import reached, unreachable
from miner.core.store import DamagedFile, Store
from miner.corpora.corpus_folder import corpus_folder
from tests.miner.conftest import DEV


class NoKeys(Exception):
    """As botocore says it."""

    __module__ = "botocore.exceptions"


def test_what_libraries_say_is_one_line_and_other_faults_stay():
    with (
        pytest.raises(Refused, match=r"^s3://b/out: Unable to locate keys$"),
        reached("s3://b/out"),
    ):
        raise NoKeys("Unable to\n  locate keys")
    with pytest.raises(Refused, match=r"s3://b/out: Access Denied"), reached("s3://b/out"):
        raise PermissionError("Access Denied")
    with pytest.raises(PermissionError), reached("/local/out"):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(KeyError), reached("s3://b/out"):
        raise KeyError("ours")
    assert unreachable(NoKeys()) == "NoKeys"
    assert unreachable(ValueError("x")) == ""


def test_a_server_that_does_not_answer_is_one_line(monkeypatch):
    def gone(self, path, **how):
        raise NoKeys("Could not connect to the endpoint URL")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.exists", gone)
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.isdir", gone)
    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.ls", gone)
    store = Store("memory://out")
    for ask in (store.reach, lambda: check_out(store)):
        with pytest.raises(Refused, match=r"^memory://out: Could not connect"):
            ask()
    with pytest.raises(Refused, match=r"^corpora\.quilt\.path: memory://in: Could not connect"):
        corpus_folder("memory://in", "quilt")


@pytest.fixture
def silent(monkeypatch):
    """A server of S3 that takes connections and says nothing."""
    pytest.importorskip("s3fs", reason=DEV)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield
        fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["status", "s3://b/out"], "s3://b/out"),
        (["export", "s3://b/out", "--to", "coco", "--out", "x"], "s3://b/out"),
        (["inspect", "s3://b/in"], "s3://b/in"),
        (
            ["plan", "quickstart.yaml", "--out", "OUT", "--corpus", "quilt=s3://b/in"],
            "corpora.quilt.path: s3://b/in",
        ),
    ],
)
def test_a_server_that_says_nothing_is_not_waited_for(
    arguments, named, silent, tmp_path, monkeypatch
):
    monkeypatch.setattr("miner.core.remote.ANSWER_S", 1)
    began = time.monotonic()
    at = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    done = CliRunner().invoke(app, at)
    # inspect, which may have more paths to look at, says it and goes on
    told = isinstance(done.exception, SystemExit)
    said = done.stderr.removeprefix("miner: ").rstrip() if told else str(done.exception)
    assert said == f"{named}: no answer within 1 s"
    assert time.monotonic() - began < 8


def test_people_are_told_the_whole_address(tmp_path):
    assert Store("memory://out/").shown("report/index.html") == "memory://out/report/index.html"
    assert Store(tmp_path).shown("a") == f"{tmp_path}/a"
    store = Store("memory://told")
    store.write("x.json", b"{")
    with pytest.raises(DamagedFile, match=r"^memory://told/x\.json: "):
        store.read_json("x.json")


def test_a_bucket_that_is_not_there_is_not_made(s3):
    fs = fsspec.filesystem("s3")
    store = Store("s3://buckte/out")
    with pytest.raises(Refused, match=r"^s3://buckte/out: there is no bucket buckte$"):
        store.reach()
    with pytest.raises(FileNotFoundError):
        store.write("x", b"1")
    done = CliRunner().invoke(
        app, ["run", "quickstart.yaml", "--out", "s3://buckte/out", "--corpus", "quilt=nowhere"]
    )
    assert isinstance(done.exception, Refused)
    fs.invalidate_cache()
    assert not fs.exists("buckte")
    Store(f"{s3}/fresh").reach()


def test_a_run_that_is_refused_writes_nothing(s3, tmp_path):
    for out in (f"{s3}/refused", str(tmp_path / "refused")):
        done = CliRunner().invoke(
            app, ["run", "quickstart.yaml", "--out", out, "--corpus", f"quilt={tmp_path}/none"]
        )
        assert "no such file or folder" in str(done.exception)
        assert not Store(out).fs.exists(Store(out).root)
