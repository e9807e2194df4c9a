"""A run as a job of a Ray cluster, which need not have Histomine installed.

What runs here goes along: our rooms, the packages that offer parts, and the configuration, in the
job's working directory with the metadata by which parts are found. What these require (torch, ...)
must be there. Passwords and keys do not go along: they are variables of the cluster's environment.
"""

from __future__ import annotations

import asyncio
import datetime
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from miner.cluster.head import TOKEN
from miner.config import Config
from miner.core.errors import Refused
from miner.core.rooms import HOME, ROOMS
from miner.core.shown import masked

CONFIG = "run.yaml"
OURS = ("miner", *ROOMS, "configs")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")
ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
FAILURES = (RuntimeError, OSError, RayError)  # what Ray's client raises; a missing token the last
OVER = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED})


def submit(config: Config, address: str, python: str = "python", options: str = "") -> str:
    """Submit a run; returns the name of the job.

    Args:
        config: the run; its paths are the cluster's.
        address: of the head's dashboard, `http://HOST:8265`.
        python: interpreter of the cluster, one that has what we require.
        options: of `miner run`, as words of a shell.

    Raises:
        Refused: a path says nothing elsewhere, a password would go along, nobody answers.
    """
    value = config.model_dump(mode="json", exclude_unset=True)
    _check(config, value)
    client = _client(address)
    with tempfile.TemporaryDirectory() as folder:
        pack(Path(folder), value)
        command = f"{shlex.quote(python)} -m miner.cli run {CONFIG} {options}".rstrip()
        about = {"out": config.out}
        try:
            return client.submit_job(
                entrypoint=command, runtime_env={"working_dir": folder}, metadata=about
            )
        except FAILURES as error:
            raise _refused(address, error) from None


def pack(folder: Path, value: Any) -> None:
    """Write the working directory of a job.

    Args:
        folder: where, empty.
        value: the configuration, plain.
    """
    (folder / CONFIG).write_text(yaml.safe_dump(value, allow_unicode=True, sort_keys=False))
    for name in OURS:
        shutil.copytree(HOME / name, folder / name, ignore=LEFT_OUT)
    _metadata(folder, importlib.metadata.distribution("histomine"))
    for distribution, modules in _offering():
        for module in modules:
            _copy(module, folder)
        _metadata(folder, distribution)


def status(address: str, job: str) -> JobDetails:
    """What the cluster says of a job.

    Raises:
        Refused: nobody answers, or there is no such job.
    """
    try:
        return _client(address).get_job_info(job)
    except FAILURES as error:
        raise _refused(address, error) from None


def follow(address: str, job: str, say: Callable[[str], None]) -> str:
    """Pass on what a job says until it ends; returns the `word` for how."""
    client = _client(address)

    async def tail() -> None:
        async for text in client.tail_job_logs(job):
            for line in text.splitlines():
                say(line)

    while status(address, job).status not in OVER:
        try:
            asyncio.run(tail())
        except FAILURES as error:
            raise _refused(address, error) from None
    return word(status(address, job).status)


def word(of: JobStatus) -> str:
    """What became of a job: `pending`, `running`, `succeeded`, `failed` or `cancelled`."""
    return "cancelled" if of == JobStatus.STOPPED else of.value.lower()


def began(job: JobDetails) -> str:
    """When a job was begun: date and time of UTC, to the minute."""
    at = datetime.datetime.fromtimestamp((job.start_time or 0) / 1000, datetime.UTC)
    return f"{at:%Y-%m-%d %H:%M}Z"


def cancel(address: str, job: str) -> bool:
    """End a job as Ctrl-C would; returns whether it was running."""
    try:
        return _client(address).stop_job(job)
    except FAILURES as error:
        raise _refused(address, error) from None


def jobs(address: str) -> list[JobDetails]:
    """Jobs of ours that the cluster remembers, the latest first."""
    try:
        found = _client(address).list_jobs()
    except FAILURES as error:
        raise _refused(address, error) from None
    ours = [job for job in found if job.submission_id and "out" in (job.metadata or {})]
    return sorted(ours, key=lambda job: job.start_time or 0, reverse=True)


def _client(address: str) -> JobSubmissionClient:
    # Ray lets these win over what it is given.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    try:
        return JobSubmissionClient(address)
    except (ValueError, *FAILURES) as error:
        raise _refused(address, error) from None


def _refused(address: str, error: Exception) -> Refused:
    text = str(error)
    if "oken" in text and re.search(r"401|403|[Aa]uthenticat|[Mm]issing", text):
        return Refused(f"--address {address}: {TOKEN}")
    if isinstance(error, OSError):
        return Refused(f"--address {address}: nobody answers; it is the dashboard's, port 8265")
    if "available agent" in text:
        return Refused(
            f"--address {address}: the head has no job agent; was its port taken when it started? "
            "Give `ray start --head` another --dashboard-agent-listen-port"
        )
    if "404" in text:
        return Refused(f"--address {address}: no such job; `miner jobs` lists them")
    first = next((x.strip() for x in text.splitlines() if x.strip()), type(error).__name__)
    return Refused(f"--address {address}: {first}")


def _check(config: Config, value: Any) -> None:
    """Refuse what would be lost or betrayed on its way."""
    paths = {"out": config.out} | {
        f"corpora.{i}.path": c.path for i, c in enumerate(config.corpora)
    }
    for name, path in paths.items():
        if not ABSOLUTE.match(path):
            raise Refused(
                f"{name}: {path}: a job runs elsewhere; give a URL, or a path that is the same "
                "on all nodes and begins with /"
            )
    for name, text in _strings(value):
        if masked(text) != text:
            raise Refused(
                f"{name}: {masked(text)}: a password or key would go along; put it into the "
                "environment of the cluster's nodes"
            )


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a plain value, with its setting's name."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _strings(one, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _strings(one, f"{name}.{i}")


def _offering() -> Iterator[tuple[importlib.metadata.Distribution, list[str]]]:
    """Packages that offer parts, with the modules at their top."""
    seen = {"histomine"}
    for distribution in importlib.metadata.distributions():
        entries = [e for e in distribution.entry_points if e.group.startswith("histomine.")]
        if entries and distribution.name not in seen:
            seen.add(distribution.name)
            yield distribution, sorted({e.module.partition(".")[0] for e in entries})


def _copy(module: str, folder: Path) -> None:
    """Copy a package or a single module."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.origin:
        raise Refused(f"{module}: a package that offers parts is not where it says")
    origin = Path(spec.origin)
    if origin.name == "__init__.py":
        shutil.copytree(origin.parent, folder / module, ignore=LEFT_OUT)
    else:
        shutil.copy(origin, folder / origin.name)


def _metadata(folder: Path, distribution: importlib.metadata.Distribution) -> None:
    """What makes an unpacked package be found as if it were installed."""
    name = re.sub(r"[-_.]+", "_", distribution.name)
    info = folder / f"{name}-{distribution.version}.dist-info"
    info.mkdir()
    for file in ("METADATA", "entry_points.txt"):
        if text := distribution.read_text(file):
            (info / file).write_text(text)
