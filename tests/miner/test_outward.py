"""What leaves the machine, and what of a secret stays anywhere: nothing."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from miner.audit.folder import render
from tests.llm_server import completion

HERE = Path(__file__).parent
CANARIES = ("canaryUser7", "canaryPass7/x+y", "canaryQuery7", "sk-canaryKey7", "hf_canaryToken7")
# A password is sent as the address says it, which may be quoted.
SPELLED = {
    *CANARIES,
    "canaryPass7%2Fx%2By",
    base64.b64encode(b"canaryUser7:canaryPass7/x+y").decode(),
}
LOOPBACK = re.compile(r"(::ffff:)?127\.\d+\.\d+\.\d+|::1|b?'?localhost'?|None")
# A Ray as a run starts it, one task, and the sockets of all its processes: those that are no
# Python have no hook.
ON_RAY = """
import psutil, ray
from miner.load_config import check_config
from miner.runner import cluster
corpora = [{"kind": "pairs", "path": "p"}]
with cluster(check_config({"corpora": corpora, "runner": {"workers": 1}}, "test")):
    ray.get(ray.remote(lambda: 1).remote())
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        for one in process.net_connections("inet"):
            for address in filter(None, (one.laddr, one.raddr)):
                print(process.name(), address.ip)
"""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    from miner.demo import write_demo

    folder = tmp_path_factory.mktemp("corpora")
    write_demo(folder, captions=9, seed=3)
    return folder


def hooked(connects):
    """An environment in which every Python process notes where it connects to."""
    path = os.pathsep.join([str(HERE / "outward"), os.environ.get("PYTHONPATH", "")])
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    return {**env, "HISTOMINE_CONNECTS": str(connects), "PYTHONPATH": path}


def run(corpora, out, connects, *extra, env=None, ray=False):
    arguments = ["run", "quickstart.yaml", "--out", str(out), "--corpus", f"quilt={corpora}/quilt"]
    arguments += ["--corpus", f"pathcap={corpora}/pathcap", *([] if ray else ["--no-ray"]), *extra]
    more = {"HF_TOKEN": CANARIES[4], "A_KEY": CANARIES[3]}
    return subprocess.run(
        [sys.executable, "-m", "miner.cli", *arguments],
        capture_output=True,
        text=True,
        env={**hooked(connects), **more, **(env or {})},
    )


def connected(file):
    """Where processes connected to beyond this machine."""
    lines = file.read_text().splitlines() if file.exists() else []
    return beyond(lines)


def beyond(lines):
    """Of lines of a word and an address those with one beyond this machine."""
    return [line for line in lines if not LOOPBACK.fullmatch(line.rsplit(" ", 1)[1])]


def texts(folder):
    """Every byte below a folder, tables and archives unpacked as well."""
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield file.name, file.read_bytes()
        if file.suffix == ".parquet":
            table = pq.read_table(file)
            yield file.name, repr(table.schema.metadata).encode()
            for name in table.column_names:
                if not pa.types.is_floating(table.schema.field(name).type):
                    yield f"{file.name}:{name}", repr(table[name].to_pylist()).encode()
        elif file.suffix == ".tar":
            with tarfile.open(file) as tar:
                for member in tar:
                    yield f"{file.name}:{member.name}", tar.extractfile(member).read()


def leaks(*sources):
    return [
        f"{name}: {secret}"
        for source in sources
        for name, data in source
        for secret in SPELLED
        if secret.encode() in data
    ]


def secrets(serve):
    """Settings of a server that repeats whatever it is sent, with secrets in every place."""
    # The token of a hub is never sent to it, so a server cannot repeat it.
    echo = " ".join([CANARIES[3], *sorted(SPELLED - {CANARIES[4]})])

    def answer(body):
        if "caption" in str(body["messages"][-1]["content"])[:20]:
            return completion('{"mentions": [], "said": "' + echo + '"}')
        return 403, ('{"error": {"message": "no access for ' + echo + '"}}').encode()

    server = serve(answer)
    address = server.url.replace("http://", "http://canaryUser7:canaryPass7%2Fx%2By@")
    address += "?api-key=canaryQuery7"
    sets = []
    for section in ("ner.llm", "filters.judge"):
        value = f"{{base_url: '{address}', model: m, key_env: A_KEY, retries: 0}}"
        sets += ["--set", f"{section}={value}"]
    return sets


@pytest.mark.whole
def test_the_ray_of_a_run_opens_no_socket_beyond_this_machine(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ON_RAY],
        capture_output=True,
        text=True,
        env=hooked(tmp_path / "connects"),
    )
    assert done.returncode == 0, done.stderr
    sockets = done.stdout.splitlines()
    assert {"gcs_server", "raylet"} <= {line.rsplit(" ", 1)[0] for line in sockets}
    assert beyond(sockets) == []
    assert (tmp_path / "connects").exists()  # the hook was there
    assert connected(tmp_path / "connects") == []


@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.parametrize("ray", [False, True], ids=["no-ray", "ray"])
def test_a_default_run_opens_no_connection_beyond_this_machine(corpora, tmp_path, ray):
    done = run(corpora, tmp_path / "out", tmp_path / "connects", ray=ray)
    assert done.returncode == 0, done.stderr
    assert connected(tmp_path / "connects") == []


@pytest.mark.whole
def test_no_secret_stays_in_out_or_on_the_terminal(corpora, tmp_path, serve):
    sets = secrets(serve)
    done = run(corpora, tmp_path / "out", tmp_path / "connects", *sets)
    assert done.returncode == 0, done.stderr
    assert connected(tmp_path / "connects") == []
    said = [("terminal", (done.stdout + done.stderr).encode())]
    assert leaks(texts(tmp_path / "out"), said) == []
    recorded = b"".join(data for _, data in texts(tmp_path / "out/llm"))
    assert b"mentions" in recorded  # answers were asked for, and kept
    # A refusal: another model, the addresses in the difference.
    other = [one.replace("model: m", "model: n") for one in sets]
    refused = run(corpora, tmp_path / "out", tmp_path / "connects", *other)
    assert refused.returncode == 2
    assert "base_url" in refused.stderr or "model" in refused.stderr
    assert leaks([("terminal", (refused.stdout + refused.stderr).encode())]) == []


@pytest.mark.slow
@pytest.mark.whole
def test_no_secret_stays_in_rays_logs_and_jobs(corpora, tmp_path, serve):
    place = Path("/tmp") / f"hm-ray-{os.getpid()}"  # Ray's sockets need a short path
    try:
        env = {"RAY_TMPDIR": str(place), "RAY_AUTH_TOKEN": "canaryUser7" * 4}
        place.mkdir()
        done = run(
            corpora, tmp_path / "out", tmp_path / "c", *secrets(serve), ray=True,
            env={k: v for k, v in env.items() if k == "RAY_TMPDIR"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert connected(tmp_path / "c") == []
        said = [("terminal", (done.stdout + done.stderr).encode())]
        logs = [(str(p), p.read_bytes()) for p in place.rglob("*") if p.is_file()]
        assert any("raylet" in name for name, _ in logs)
        assert leaks(texts(tmp_path / "out"), said, logs) == []
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_pages_let_nothing_in_and_nothing_out():
    root = HERE.parents[1]
    policy = r"""http-equiv="Content-Security-Policy"\s+content="default-src 'none'; """
    pages = ["miner/report/page.html.j2", "miner/audit/page.html.j2", "miner/report/dupes.py"]
    for page in [*pages, "miner/evaluate/worst.py"]:
        assert re.search(policy, (root / page).read_text()), page
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    drawn = render({"audit": "a", "items": [{"caption": hostile}]})
    assert "<script>alert" not in drawn
    assert "<img src=x" not in drawn
