"""Whether OUT was begun by the run that is asked for, and what there is to do where it was not."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from filters.config import FilterConfig
from miner.barrier.refilter import allowed
from miner.cluster import lease
from miner.config import UNSET, Config, difference
from miner.core.contents import FILE, completed, value_at
from miner.core.errors import Refused
from miner.core.layout import FINISHED, RUN
from miner.core.store import Store
from miner.corpora.plan import Plan

FEW_SETS = 3  # options that one line can hold
# Of what differs from an OUT's configuration: how many settings are told, and how much of a value.
TOLD_SETTINGS = 5
SHOWN_CHARS = 60


def check_folder(store: Store) -> None:
    """Refuse an OUT that cannot be reached, or is something else than an output of ours."""
    store.reach()
    if not store.fs.exists(store.root):
        return
    if not store.fs.isdir(store.root):
        raise Refused(f"out: {store.url} is a file")
    if not store.exists(RUN):
        ours = ("/plan", f"/{lease.FOLDER}")  # and what a failing disk left half-written
        there = [p.rstrip("/") for p in store.fs.ls(store.root, detail=False)]
        if [p for p in there if not p.endswith(ours) and f"/{RUN}.tmp-" not in p]:
            raise Refused(f"out: {store.url} is not empty and not an output of miner run")


def check_run(
    store: Store, begun: Mapping[str, Any], config: Config, files: Mapping[str, str]
) -> None:
    """Refuse an OUT that was begun with another configuration or other files."""
    lines = difference(completed(begun["identity"], config), config.identity())
    lines += difference(begun.get("files", files), dict(files))
    if lines:
        names = [line.partition(":")[0] for line in lines]
        told = [_retold(line, begun["config"]["filters"], config) for line in lines]
        told = list(dict.fromkeys(told))  # a file's content is in both
        if len(told) > TOLD_SETTINGS:
            told[TOLD_SETTINGS:] = [f"and {len(told) - TOLD_SETTINGS} settings more"]
        said = "; ".join(told)
        way = "choose another --out"
        if as_before := _as_before(lines):
            way = f"give{as_before} to go on with it, or {way}"
        if store.exists(FINISHED) and all(map(allowed, names)):
            sets = _sets(lines, config)
            way = f"miner refilter {store.url}{sets} gives it other verdicts, or {way}"
        raise Refused(f"out: {store.url} was made with another configuration: {said}; {way}")


def check_corpora(store: Store, begun: Mapping[str, Any], plan: Plan) -> None:
    """Refuse corpora that are not those that OUT was begun with."""
    lines = difference(begun["rows"], dict(plan.rows))
    if lines or begun["plan"] != plan.fingerprint:
        said = "; ".join(dict.fromkeys(lines))
        what = f"rows of {said}" if lines else "their rows or pictures moved"
        raise Refused(
            f"out: {store.url} was begun with other corpora ({what}); choose another --out"
        )


def _sets(lines: Sequence[str], config: Config) -> str:
    """Differences as options of the command line; what is no longer set needs none."""
    plain = config.model_dump(mode="json")
    sets: dict[str, None] = {}
    for line in lines:
        name, new = line.partition(":")[0], line.rpartition(" -> ")[2]
        if FILE in new:  # of the content of the file that the setting names
            new = str(value_at(plain, name.split(".")))
        if new not in ("null", "None", UNSET):
            sets[f" --set {name}={new}"] = None
    return "".join(sets)


def _as_before(lines: Sequence[str]) -> str:
    """Options that give OUT's own settings, where a few say it all."""
    sets: dict[str, None] = {}
    for line in lines:
        name, _, change = line.partition(": ")
        old = change.rpartition(" -> ")[0]
        if FILE in change or old == UNSET or name.startswith("corpora."):
            return ""
        sets[f" --set {shlex.quote(f'{name}={old}')}"] = None
    return "".join(sets) if len(sets) <= FEW_SETS else ""


def _retold(line: str, before: Mapping[str, Any], config: Config) -> str:
    """A difference in what quality was asked for, with what it was where nobody had set it."""
    name = line.partition(":")[0]
    if line.count(FILE) == 2:
        return f"{name}: the file has another content"
    if name not in ("filters.precision", "filters.fdr"):
        return f"{name}: " + " -> ".join(map(_shortened, line[len(name) + 2 :].split(" -> ")))
    asked = ("precision", "fdr", "at_least", "at_most")
    old = FilterConfig(**{name: before[name] for name in asked if before.get(name)}).target
    said = [
        "thresholds" if target is None else "filters.{}={}".format(*target)
        for target in (old, config.filters.target)
    ]
    return " -> ".join(said)


def _shortened(value: str) -> str:
    return value if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]}…"
