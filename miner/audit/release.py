"""The release gate: what an audit certifies is written anew and signed; what falls short is not."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from miner.audit.estimate import estimates
from miner.audit.folder import ESTIMATES, FOLDER, SAMPLE, read_audit
from miner.audit.gate import Gate, judge
from miner.audit.judgements import Judgements, read_judgements
from miner.audit.labels import filled, outlines
from miner.audit.leaks import UNPROTECTED, leak_faults
from miner.audit.ledger import rewrite
from miner.audit.licenses import licenses_text, refused
from miner.audit.revise import Revision, revised
from miner.core.errors import Refused
from miner.core.layout import FINISHED, LEAKS, RUN, SAMPLING
from miner.core.store import Store
from miner.load_config import check_config
from shards.card import write_card
from shards.index import read_index
from shards.pack import Item, pack, write_manifest
from shards.stored import stored
from shards.validate import validate


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the gate decided.

    Attributes:
        reasons: why nothing was released; empty for a release.
        said: what a reader should know: the bound, concepts left out, masks corrected.
    """

    reasons: tuple[str, ...]
    said: tuple[str, ...]


def audited(store: Store, audit: Mapping[str, Any], judgements: Judgements) -> dict[str, Any]:
    """`estimate.estimates` of a finished OUT, with the promise of its configuration."""
    filters = _config(store).filters
    return estimates(audit, judgements, filters.target)


def release(
    store: Store,
    files: Sequence[Path],
    to: Path,
    min_precision: float,
    drop_failing: bool,
    accepted: Collection[str],
) -> Outcome:
    """Write a release, or say why not.

    The release is an OUT of its own: shards, ledger, run.json, the dataset card with the precision
    table, judgements, estimates, LICENSES.md and SHA256SUMS. Masks that every auditor called wrong
    are left out, redrawn ones take the place of theirs (segmenter `auditor`, no scores).

    Args:
        store: a finished OUT with an audit.
        files: judgements.
        to: folder of the release.
        min_precision: that the lower bound of the precision must reach.
        drop_failing: leave out concepts that fall short; the bound then holds for what remains
            whatever was left out.
        accepted: licence texts that may be passed on by whoever releases.

    Raises:
        Refused: no audit, judgements of another run, `to` exists.
    """
    if to.exists():
        raise Refused(f"--to {to}: already there")
    audit = read_audit(store)
    judgements = read_judgements(files, audit)
    found = audited(store, audit, judgements)
    gate = judge(found, audit, judgements, min_precision, drop_failing)
    config = _config(store)
    reasons = [*gate.reasons, *_faults(store), *leak_faults(store, config)]
    reasons += refused(store, accepted)
    said = gate.said if config.protect else (*gate.said, UNPROTECTED)
    if reasons:
        return Outcome(tuple(reasons), said)
    revision = _revision(store, audit, judgements, gate)
    under_way = to.with_name(f".{to.name}.tmp")
    shutil.rmtree(under_way, ignore_errors=True)
    counts = _write(store, Store(under_way), files, audit, found, gate, revision)
    under_way.rename(to)
    return Outcome((), (*said, *counts))


def _config(store: Store) -> Any:
    return check_config({**store.read_json(RUN)["config"], "out": store.url}, RUN)


def _faults(store: Store) -> list[str]:
    """What `miner validate` finds: damaged files, groups in two splits, a ledger that is off."""
    faults = validate(store).faults
    lines = [f"validation: {fault}" for fault in faults[:5]]
    return [*lines, f"validation: {len(faults) - 5} more faults"] if len(faults) > 5 else lines


def _revision(
    store: Store, audit: Mapping[str, Any], judgements: Judgements, gate: Gate
) -> Revision:
    """What changes in samples: concepts and masks left out, masks redrawn."""
    drawn = outlines(audit, judgements)
    wrong: dict[str, list[bool]] = {}
    for judgement in judgements.found:
        wrong.setdefault(judgement.item, []).append(not judgement.right)
    kept = [i for i in audit["items"] if i["control"] is None and i["kept"]]
    place = {i["item"]: (i["corpus"], i["image"], i["concept"]) for i in kept}
    return Revision(
        concepts=frozenset(gate.dropped),
        masks=frozenset(
            place[item]
            for item, said in wrong.items()
            if item in place and all(said) and item not in drawn
        ),
        redrawn={place[item]: outline for item, outline in drawn.items() if item in place},
    )


def _write(
    store: Store,
    to: Store,
    files: Sequence[Path],
    audit: Mapping[str, Any],
    found: Mapping[str, Any],
    gate: Gate,
    revision: Revision,
) -> list[str]:
    config = _config(store)
    shard_of: dict[str, str] = {}
    regions: dict[str, list[str]] = {}
    infos = []
    for split in sorted({e["split"] for e in read_index(store, None, ["key"])[1]}):
        infos += pack(_samples(store, split, revision, regions), to, split, config.shards)
    for info in infos:
        keys = to.read_table(info.index, columns=["key"])["key"].to_pylist()
        shard_of.update(dict.fromkeys(keys, info.name))
    changed = rewrite(store, to, shard_of, regions, gate.dropped)
    to.write_json(RUN, store.read_json(RUN))
    made_of = store.read_json(FINISHED, ["digest"])["digest"]
    to.write_json(FINISHED, {"digest": made_of, "released_from": audit["run"]})
    for name in (LEAKS, SAMPLING):
        if store.exists(name):
            to.write(name, store.read(name))
    to.write_json(SAMPLE, audit)
    to.write_json(ESTIMATES, found)
    for number, file in enumerate(files):
        to.write(f"{FOLDER}/judgements-{number}.jsonl", file.read_bytes())
    to.write("LICENSES.md", licenses_text(to).encode())
    write_card(to, infos, config, {"estimates": found, "gate": dataclasses.asdict(gate)})
    write_manifest(to, infos, store.read_json(RUN)["hash"])
    _sign(to)
    lines = []
    if revision.redrawn:
        lines.append(f"{len(revision.redrawn)} masks are redrawn by auditors")
    if changed:
        lines.append(f"{changed} samples are left out: nothing of them remained")
    return lines


def _samples(
    store: Store, split: str, revision: Revision, regions: dict[str, list[str]]
) -> Iterator[Item]:
    """Samples of a split as they are released; fills `regions`: concepts by key."""
    for one in stored(store, split):
        sample = revised(one.value, revision, filled)
        if sample is None:
            continue
        regions[sample["key"]] = [r["concept"] for r in sample["regions"]]
        yield sample, one.image(), one.format, one.sides()


def _sign(to: Store) -> None:
    """SHA256SUMS of every file, as `sha256sum --check` reads it."""
    root = Path(to.root)
    lines = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(root).as_posix()}\n")
    to.write("SHA256SUMS", "".join(lines).encode())
