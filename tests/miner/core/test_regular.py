import os
import socket

import pytest

from miner.core import regular
from miner.core.regular import LeadsOut, open_regular, read_regular


def test_only_regular_files_are_read(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"whole")
    assert read_regular(str(tmp_path / "a")) == b"whole"
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    for place in (tmp_path / "pipe", tmp_path / "socket", tmp_path, "/dev/zero"):
        with pytest.raises(OSError, match=r"regular|such device"):
            open_regular(str(place))
    server.close()
    monkeypatch.setattr(regular, "MAX_FILE_BYTES", 4)
    with pytest.raises(OSError, match="too large"):
        read_regular(str(tmp_path / "a"))


def test_links_lead_nowhere_else(tmp_path):
    home = tmp_path / "hub" / "snapshots" / "main"
    (home / "deep").mkdir(parents=True)
    (tmp_path / "hub" / "blobs").mkdir()
    for place in (home / "a", tmp_path / "hub" / "blobs" / "b", tmp_path / "secret"):
        place.write_bytes(b"x")
    os.symlink(home / "a", home / "deep" / "inside")
    os.symlink("../../../blobs/b", home / "deep" / "blob")
    os.symlink(tmp_path / "secret", home / "deep" / "out")
    os.symlink(home / "deep" / "out", home / "twice")
    for name in ("a", "deep/inside", "deep/blob"):
        assert read_regular(str(home / name), str(home)) == b"x"
    for name in ("deep/out", "twice"):
        with pytest.raises(LeadsOut):
            read_regular(str(home / name), str(home))
        assert read_regular(str(home / name)) == b"x"  # where no folder is named
