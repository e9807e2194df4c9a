"""Runs as jobs of a Ray cluster whose head asks for a token, as it does by default."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray.job_submission import JobDetails
from typer.testing import CliRunner

from miner.cli import app
from miner.cluster import submit
from miner.core.errors import Refused
from miner.load_config import check_config, load_config

BIN = Path(sys.executable).parent


def config(out="/data/out", path="/data/quilt"):
    return check_config({"corpora": [{"kind": "pairs", "path": path}], "out": out}, "test")


def test_what_runs_here_and_packages_with_parts_go_along(tmp_path, monkeypatch):
    lab = tmp_path / "lab"
    (lab / "lab_parts").mkdir(parents=True)
    (lab / "lab_parts/__init__.py").write_text("PART = 1\n")
    info = lab / "lab_parts-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-parts\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[histomine.scores]\nlab = lab_parts:PART\n")
    monkeypatch.syspath_prepend(lab)
    folder = tmp_path / "job"
    folder.mkdir()
    submit.pack(folder, {"out": "/data/out"})
    found = {
        entry.name: d.name
        for d in importlib.metadata.distributions(path=[str(folder)])
        for entry in d.entry_points
        if entry.group == "histomine.scores"
    }
    assert found["lab"] == "lab-parts"
    for file in ("lab_parts/__init__.py", "miner/cli.py", "configs/quickstart.yaml"):
        assert (folder / file).is_file()
    assert not list(folder.rglob("__pycache__"))
    # As a job sees it: the folder is where it starts, and nothing else of ours is near.
    where = "import miner, filters; print(miner.__file__, filters.__file__)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path += {sys.path!r}; {where}"],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
    )
    assert done.stdout.count(str(folder)) == 2, done.stderr


def test_the_configuration_that_goes_along_is_the_same_run(tmp_path):
    corpora = [f"quilt={tmp_path}", f"pairs={tmp_path}"]
    sets = ["filters.fdr=0.1", "segment.segmenters=[{kind: stain}]", "runner.unit_rows=7"]
    one = load_config("quickstart.yaml", sets, corpora, str(tmp_path / "out"), 3)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(one.model_dump(mode="json", exclude_unset=True)))
    other = load_config(str(file))
    assert other == one
    assert other.digest() == one.digest()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (config(out="runs/out"), "out: runs/out: a job runs elsewhere"),
        (config(path="quilt"), "corpora.0.path: quilt: a job runs elsewhere"),
        (config(out="s3://me:pass-w0rd@bucket/out"), "out: s3://…@bucket/out: a password or key"),
    ],
)
def test_what_would_be_lost_or_betrayed_is_refused(made, said):
    with pytest.raises(Refused) as error:
        submit.submit(made, "http://127.0.0.1:1")
    assert str(error.value).startswith(said.split("…")[0])
    assert "pass-w0rd" not in str(error.value)


def test_where_nobody_answers_that_is_one_line(monkeypatch):
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Refused, match=rf"^--address {address}: nobody answers") as error:
        submit.submit(config(), address)
    assert "\n" not in str(error.value)


class Client:
    """Ray's, for a head with these jobs, or one that answers with an error."""

    def __init__(self, found=(), error=None):
        self.found, self.error = list(found), error

    def list_jobs(self):
        return self.found

    def stop_job(self, job):
        if self.error is not None:
            raise self.error
        return False

    def get_job_info(self, job):
        return self.found[0]


def job(status: str) -> JobDetails:
    return JobDetails(
        type="SUBMISSION", submission_id="raysubmit_1", entrypoint="x", status=status,
        start_time=86_400_000, metadata={"out": "/out"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "said"),
    [("STOPPED", "cancelled"), ("SUCCEEDED", "succeeded"), ("FAILED", "failed")],
)
def test_jobs_and_cancel_say_what_became_of_a_job(monkeypatch, status, said):
    monkeypatch.setattr(submit, "_client", lambda address: Client([job(status)]))
    listed = CliRunner().invoke(app, ["jobs"]).stdout
    assert listed.split() == ["raysubmit_1", said, "1970-01-02", "00:00Z", "/out"]
    ended = CliRunner().invoke(app, ["cancel", "raysubmit_1"]).stdout
    assert ended == f"raysubmit_1 was not running: {said}\n"


def test_where_no_run_was_submitted_that_is_said(monkeypatch):
    monkeypatch.setattr(submit, "_client", lambda address: Client())
    said = CliRunner().invoke(app, ["jobs", "--address", "http://head:8265"]).stdout
    assert said == "no run was submitted to http://head:8265\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("status code 404: Job runs/x does not exist", "no such job; `miner jobs` lists them"),
        ("status code 500: No available agent to submit job", "--dashboard-agent-listen-port"),
    ],
)
def test_what_the_head_says_comes_with_a_way_out(monkeypatch, error, said):
    monkeypatch.setattr(submit, "_client", lambda address: Client(error=RuntimeError(error)))
    with pytest.raises(Refused, match=said):
        submit.cancel("http://head:8265", "runs/x")


@pytest.mark.whole
def test_where_no_token_is_to_be_found_one_line_says_what_to_export(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "token", "HOME": str(tmp_path)}
    head = Head(f"http://127.0.0.1:{free_port()}", environment)
    done = head.miner("jobs", "--address", head.address)
    assert (done.returncode, done.stdout) == (2, "")
    said = f"miner: --address {head.address}: its head asks for a token; export RAY_AUTH_MODE=token"
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@dataclasses.dataclass
class Head:
    address: str
    environment: dict[str, str]

    def miner(self, *words: str, token: bool = True) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in self.environment.items() if token or k != "RAY_AUTH_TOKEN"}
        run = [sys.executable, "-m", "miner.cli", *words]
        return subprocess.run(run, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Iterator[Head]:
    """A Ray head of our own, which takes jobs with its token only."""
    gcs, dashboard = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment["HOME"] = str(tmp_path_factory.mktemp("home"))
    start = [
        *(BIN / "ray", "start", "--head", "--num-cpus=2", "--disable-usage-stats"),
        *(f"--port={gcs}", f"--dashboard-port={dashboard}", "--dashboard-agent-listen-port=0"),
        *("--min-worker-port=0", "--max-worker-port=0", "--block"),
    ]
    elsewhere = {k: v for k, v in environment.items() if k != "PYTHONPATH"}
    process = subprocess.Popen(
        start,
        env=elsewhere,
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    made = Head(f"http://127.0.0.1:{dashboard}", environment)
    for _ in range(90):  # the head takes seconds to answer
        if made.miner("jobs", "--address", made.address).returncode == 0:
            break
        time.sleep(1)
    yield made
    os.killpg(process.pid, 15)
    process.wait()


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> list[str]:
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("corpora")
    write_demo(folder, captions=24, seed=2)
    return [f"--corpus=quilt={folder / 'quilt'}", f"--corpus=pathcap={folder / 'pathcap'}"]


def shards(out: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in (out / "shards").iterdir()}


@pytest.mark.slow
def test_a_submitted_run_gives_the_same_bytes_and_is_waited_for(head, corpora, tmp_path):
    run = [sys.executable, "-m", "miner.cli", "run", "quickstart.yaml", *corpora]
    subprocess.run([*run, "--no-ray", "--out", tmp_path / "plain"], check=True)
    done = head.miner(
        *("submit", "quickstart.yaml", *corpora, "--out", str(tmp_path / "job"), "--wait"),
        *("--address", head.address, "--python", sys.executable),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert shards(tmp_path / "job") == shards(tmp_path / "plain")
    assert "captions/s" not in done.stdout  # what the job says goes to standard error
    assert "units done before" in done.stderr
    listed = head.miner("jobs", "--address", head.address).stdout
    assert re.search(rf"raysubmit_\w+  succeeded  [-\d]+ [\d:]+Z  {tmp_path / 'job'}", listed)


@pytest.mark.slow
def test_a_cancelled_run_ends_in_its_line_and_goes_on_when_submitted_again(head, corpora, tmp_path):
    out = tmp_path / "out"
    words = [*("submit", "quickstart.yaml", *corpora, "--out", str(out), "--set")]
    words += ["runner.unit_rows=4", "--address", head.address, "--python", sys.executable]
    job = head.miner(*words).stdout.split()[1]
    while not list(out.glob("units/*.json")):
        time.sleep(0.2)
    assert "running: " in head.miner("status", str(out)).stdout
    done = head.miner("cancel", job, "--address", head.address)
    assert (done.returncode, done.stdout) == (0, f"{job} is told to end\n")
    while head_status(head, job) in ("pending", "running"):
        time.sleep(0.2)
    assert head_status(head, job) == "cancelled"
    again = head.miner("cancel", job, "--address", head.address)
    assert again.stdout == f"{job} was not running: cancelled\n"
    env = {"env": head.environment, "capture_output": True, "text": True}
    logs = subprocess.run([BIN / "ray", "job", "logs", "--address", head.address, job], **env)
    said = [line for line in logs.stdout.splitlines() if line.startswith("miner: ")]
    assert said == ["miner: interrupted; the same command goes on from here"]
    assert head.miner(*words, "--wait").returncode == 0
    assert json.loads((out / "finished.json").read_text())


def head_status(head: Head, job: str) -> str:
    listed = head.miner("jobs", "--address", head.address).stdout
    (line,) = [line for line in listed.splitlines() if line.startswith(job)]
    return line.split()[1]


@pytest.mark.slow
def test_without_the_token_one_line_says_what_to_export(head):
    done = head.miner("jobs", "--address", head.address, token=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "asks for a token; export RAY_AUTH_MODE=token" in line
