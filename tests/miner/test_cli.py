"""What the command line says when something outside it fails."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from miner import cli
from miner.core.errors import Refused
from miner.core.store import Store
from miner.corpora.expert.layouts import LAYOUTS
from miner.interrupts import LINE
from miner.version import __version__


def test_a_full_disk_is_one_line_that_names_the_file(monkeypatch, capsys, tmp_path):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(cli, "app", lambda: Store(tmp_path).write("a/b", b"x"))
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == f"miner: {tmp_path}/a/b: No space left on device\n"
    assert not list((tmp_path / "a").iterdir())


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_what_files_cannot_do_is_one_line_that_names_the_file(monkeypatch, capsys, number):
    def app():
        raise OSError(number, os.strerror(number), "/out/units/a.json")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == f"miner: /out/units/a.json: {os.strerror(number)}\n"


def test_version_and_completion_are_offered():
    said = CliRunner().invoke(cli.app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"histomine {__version__}\n")
    assert "--install-completion" in CliRunner().invoke(cli.app, ["--help"]).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("export OUT --to coco --out x --instruct default", "coco has no place for dialogues"),
        ("export OUT --to qupath --out x --instruct default", "qupath has no place for dialogues"),
        ("export OUT --to granDf --out x --instruct default", "granDf has no place for dialogues"),
        ("audit OUT --truth m --n 9", "--n: has no meaning beside --truth"),
        ("audit OUT --truth m --judgements j", "--judgements: has no meaning beside --truth"),
        ("audit OUT --judgements j --by corpus", "--by: has no meaning beside --judgements"),
        ("audit OUT --corrections c --auditor a --seed 1", "--seed: has no meaning beside --corr"),
        ("evaluate OUT --masks m --tiles 4", "--tiles: has no meaning beside OUT"),
        ("run quickstart.yaml --no-ray --workers 4", "--workers: has no meaning beside --no-ray"),
    ],
)
def test_options_that_would_be_ignored_are_refused(words, said):
    done = CliRunner().invoke(cli.app, words.split())
    assert isinstance(done.exception, Refused)
    assert said in str(done.exception)


def test_other_faults_of_files_keep_their_traceback(monkeypatch):
    def app():
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(OSError, match="Bad file descriptor"):
        cli.main()


def test_calibrate_says_which_layouts_it_takes():
    page = " ".join(CliRunner().invoke(cli.app, ["calibrate", "--help"]).output.split())
    for layout in ("index.jsonl", "expert_masks", "images/", *LAYOUTS):
        assert layout in page, layout


def test_calibrate_has_no_settings_to_change_without_a_configuration():
    found = CliRunner().invoke(
        cli.app, ["calibrate", "--masks", "m", "--out", "o", "--set", "seed=1"]
    )
    assert isinstance(found.exception, Refused)
    assert str(found.exception) == "--set: needs --config, the configuration that it changes"


@pytest.mark.whole
def test_ctrl_c_while_libraries_load_is_one_line(tmp_path):
    # As from inside an extension module, where KeyboardInterrupt would become an ImportError.
    interrupted = (
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    raise ImportError('failed to import')\n"
    )
    (tmp_path / "typer.py").write_text(interrupted)  # the first library that the command loads
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "miner.cli", "--help"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        # Shells ignore the signal for what they start in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "miner: interrupted; the same command goes on from here"


def test_ctrl_c_between_imports_and_command_is_one_line(monkeypatch, capsys):
    def app():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "miner: interrupted; the same command goes on from here\n"


def test_ctrl_c_is_python_s_again_afterwards():
    from miner.interrupts import at_once

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with at_once():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_may_not_set_handlers_imports_all_the_same():
    from miner.interrupts import at_once

    def enter():
        with at_once():
            return True

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(enter).result()


@pytest.mark.whole
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_says_one_line_and_leaves_no_process(tmp_path, number):
    for i in range(2):
        picture = cv2.imencode(".jpg", np.full((64, 64, 3), 200 + i, np.uint8))[1].tobytes()
        (tmp_path / f"{i}.jpg").write_bytes(picture + b"poison:read-hang")
        (tmp_path / f"{i}.txt").write_text("Nuclei.")
    run = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml", "--no-ray"]
    run += ["--corpus", f"pairs={tmp_path}", "--out", str(tmp_path / "out")]
    path = [str(Path(__file__).parent / "poison"), *sys.path]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    process = subprocess.Popen(run, stderr=subprocess.PIPE, text=True, env=env)
    assert "1 units" in process.stderr.readline()
    child = ""
    while not child:
        found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
        child = found.stdout.strip()
        time.sleep(0.1)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].splitlines()
    assert (process.returncode, said) == (130, [LINE])
    assert not Path(f"/proc/{child}").exists()
    assert not (tmp_path / "out/lease").exists()
