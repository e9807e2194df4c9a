"""What ships for clusters: the run configuration, KubeRay's manifest, Slurm's script, the image."""

import os
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from miner.cluster.room import sizes
from miner.core.rooms import CONFIGS
from miner.load_config import load_config
from miner.stages import groups

FOLDER = CONFIGS / "cluster"
JOB = yaml.safe_load((FOLDER / "rayjob.yaml").read_text())
CLUSTER = JOB["spec"]["rayClusterSpec"]
WORKERS = {group["groupName"]: group for group in CLUSTER["workerGroupSpecs"]}


def options(command: str) -> dict[str, str]:
    words = shlex.split(command)
    assert words[:2] == ["miner", "run"]
    return dict(zip(words[3::2], words[4::2], strict=True)) | {"config": words[2]}


def container(group) -> dict:
    (one,) = group["template"]["spec"]["containers"]
    return one


def test_the_manifest_is_a_rayjob_that_grows():
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    # Fields that KubeRay 1.4 knows; one that it does not is dropped in silence.
    assert JOB["spec"].keys() <= {
        *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
        "rayClusterSpec",
    }
    assert CLUSTER["enableInTreeAutoscaling"] is True
    assert CLUSTER["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    for group in WORKERS.values():
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert "nvidia.com/gpu" in container(WORKERS["gpu"])["resources"]["limits"]
    assert "nvidia.com/gpu" not in container(WORKERS["cpu"])["resources"]["limits"]
    (secret,) = container(WORKERS["cpu"])["envFrom"]
    assert secret == {"secretRef": {"name": "histomine"}}


def quantity(text: str) -> float:
    return float(text.removesuffix("Gi")) * (1.0737 if text.endswith("Gi") else 1)


def test_the_nodes_at_most_hold_the_actors_that_the_run_wants():
    said = options(JOB["spec"]["entrypoint"])
    config = load_config(said["config"], [], [said["--corpus"]], said["--out"])
    have = {"CPU": 0.0, "GPU": 0.0, "memory": 0.0}
    for group in WORKERS.values():
        asks = container(group)["resources"]["requests"]
        n = group["maxReplicas"]
        have["CPU"] += n * quantity(asks["cpu"])
        have["GPU"] += n * quantity(asks.get("nvidia.com/gpu", "0"))
        have["memory"] += n * 0.7 * quantity(asks["memory"]) * 1e9  # what Ray gives to workers
    wanted = sizes(config, have)
    assert [names for _, names in groups(config)] == [
        ("extract",),
        ("segment",),
        ("score", "embed"),
    ]
    assert wanted == [8, 8, 48]
    for key, field in (("CPU", "num_cpus"), ("GPU", "num_gpus")):
        needs = [getattr(one, field) for one, _ in groups(config)]
        assert sum(n * need for n, need in zip(wanted, needs, strict=True)) <= have[key]
    memory = [one.memory_gb * 1e9 for one, _ in groups(config)]
    assert sum(n * need for n, need in zip(wanted, memory, strict=True)) <= have["memory"]


def test_the_image_installs_what_nodes_need():
    text = (FOLDER / "Dockerfile").read_text()
    assert text.startswith("#")
    steps = re.findall(r"^([A-Z]+) ", text, re.MULTILINE)
    assert steps[0] == "FROM"
    assert set(steps) <= {"FROM", "ARG", "RUN", "COPY", "USER", "WORKDIR"}
    assert "[mine,s3]" in text
    # KubeRay's probes call wget; the job runs as somebody who is not root.
    assert "wget" in text
    assert steps[-2:] == ["USER", "WORKDIR"]


def test_the_script_is_bash_and_asks_slurm_to_tell_it_before_the_end():
    file = FOLDER / "slurm.sh"
    assert os.stat(file).st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", file], check=True)
    lines = [line for line in file.read_text().splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --signal=B:TERM@300" in lines


@pytest.mark.slow
@pytest.mark.whole
def test_the_script_runs_as_written_where_srun_is_played(tmp_path):
    from tests.bench.memory import write_pairs
    from tests.miner.cluster.nodes import AGENTS, free_port

    write_pairs(tmp_path / "pairs", 8)
    tools = tmp_path / "bin"
    tools.mkdir()
    plays = {
        "srun": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"',
        "scontrol": "echo localhost",
        "ray": f'exec "{sys.executable}" "{Path(__file__).parent / "patient.py"}" "$@"',
    }
    for name, line in plays.items():
        (tools / name).write_text(f"#!/bin/bash\n{line}\n")
        (tools / name).chmod(0o755)
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env |= {"PATH": f"{tools}:{Path(sys.executable).parent}:{env['PATH']}"}
    env |= {"SLURM_JOB_NODELIST": "localhost", "PORT": str(free_port()), "SLURM_CPUS_PER_TASK": "2"}
    # Else a busy machine starts Ray too slowly for Ray itself; see `nodes`.
    ports = " ".join(f"--{agent}-port={free_port()}" for agent in AGENTS)
    env |= {"RAY_HEAD_OPTIONS": ports, "RAY_agent_register_timeout_ms": "300000"}
    words = [
        "quickstart.yaml",
        "--out",
        tmp_path / "out",
        "--corpus",
        f"pairs={tmp_path / 'pairs'}",
    ]
    done = subprocess.run(
        [FOLDER / "slurm.sh", *words], env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out/finished.json").is_file()
