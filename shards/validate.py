"""Check a finished run: every byte under shards/, every sample, and the sums of the ledger.

Nothing is trusted but the manifest's hash of itself; what is broken is said as file, place, fault.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pydantic

from miner.core.errors import Refused
from miner.core.layout import FINISHED, MANIFEST, RUN, check_out
from miner.core.store import DamagedFile, Store
from miner.core.unit import STATUSES
from shards.check import lacking_fields, sample_faults
from shards.index import Damaged, read_manifest
from shards.pack import FOLDER, FORMAT, index_name, read_parquet
from shards.sample import check, dump

LEDGER = ("sample_id", "corpus", "row", "status", "key", "shard")  # columns that are compared


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something broken.

    Attributes:
        file: name in OUT.
        place: sample, member or field, empty for the whole file.
        text: what is wrong.
    """

    file: str
    place: str
    text: str

    def __str__(self) -> str:
        line = f"{self.file}: {self.place + ': ' if self.place else ''}{self.text}"
        return line.encode("ascii", "backslashreplace").decode()


@dataclasses.dataclass
class Report:
    """What was looked at.

    Attributes:
        faults: everything broken, in the order of the files.
        samples: samples read.
        regions: masks decoded.
        bytes: bytes hashed.
    """

    faults: list[Fault] = dataclasses.field(default_factory=list)
    samples: int = 0
    regions: int = 0
    bytes: int = 0


# Applies a function to each item, somewhere, and gives the results in any order.
Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


def validate(store: Store, spread: Spread = map) -> Report:
    """Check a run from its files.

    Args:
        store: OUT.
        spread: checks the tars, a task each.

    Raises:
        Refused: no OUT, or one whose run has not finished.
    """
    if not store.exists(MANIFEST) and not store.exists(FINISHED):
        check_out(store)
        raise Refused(f"{store.url}: not finished, no {MANIFEST} yet; run again to go on")
    report = Report()
    try:
        manifest = read_manifest(store)
    except Damaged as error:
        report.faults.append(Fault(MANIFEST, "", str(error).removeprefix(f"{MANIFEST}: ")))
        return report
    _files(store, manifest, report)
    _run(store, manifest, report)
    keys: dict[str, str] = {}
    groups: dict[str, str] = {}
    broken = {fault.file for fault in report.faults}
    tasks = [
        (number, entry, index_name(entry["name"]) in broken)
        for number, entry in enumerate(manifest["shards"])
    ]
    task = functools.partial(_checked, store, manifest["format"])
    for number, found in sorted(spread(task, tasks), key=lambda one: one[0]):
        _join(report, manifest["shards"][number]["name"], found, keys, groups)
    for name, found in (("samples", report.samples), ("regions", report.regions)):
        if found != manifest[name] and not report.faults:
            report.faults.append(Fault(MANIFEST, name, f"says {manifest[name]}, found {found}"))
    _ledger(store, keys, report)
    return report


def _files(store: Store, manifest: Mapping[str, Any], report: Report) -> None:
    """Files that are missing, not listed, or other than listed (tars come later)."""
    expected = {MANIFEST}
    for name, digest in manifest["files"].items():
        path = f"{FOLDER}/{name}"
        expected.add(path)
        _hash(store, path, digest, report)
    for entry in manifest["shards"]:
        expected |= {f"{FOLDER}/{entry['name']}", index_name(entry["name"])}
        _hash(store, index_name(entry["name"]), entry["index_sha256"], report)
    for name in store.names(FOLDER):
        if name not in expected:
            report.faults.append(Fault(name, "", "the manifest does not list it"))


def _hash(
    store: Store, path: str, digest: str, report: Report, why: str = "the manifest lists it"
) -> bool:
    found = hashlib.sha256()
    try:
        with store.fs.open(store.path(path), "rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
                report.bytes += len(block)
    except FileNotFoundError:
        report.faults.append(Fault(path, "", f"missing, {why}"))
        return False
    except OSError as error:  # a folder of that name, a disk that fails
        report.faults.append(Fault(path, "", f"not readable: {error.strerror or error}"))
        return False
    if found.hexdigest() != digest:
        report.faults.append(Fault(path, "", "changed since it was written (sha256 differs)"))
        return False
    return True


def _run(store: Store, manifest: Mapping[str, Any], report: Report) -> None:
    """Whether manifest and run.json are of one run."""
    if not store.exists("run.json") or not manifest["run"]:
        return
    try:
        run = store.read_json("run.json")
    except DamagedFile:
        report.faults.append(Fault("run.json", "", "not JSON"))
        return
    if not isinstance(run, dict) or run.get("hash") != manifest["run"]:
        report.faults.append(Fault(MANIFEST, "run", "is of another run than run.json"))


@dataclasses.dataclass
class _Tar(Report):
    """What was looked at in a tar, and key, group and split of each sample, in order."""

    names: list[tuple[str, str | None, str]] = dataclasses.field(default_factory=list)


def _checked(
    store: Store, form: int, task: tuple[int, Mapping[str, Any], bool]
) -> tuple[int, _Tar]:
    number, entry, broken = task
    found = _Tar()
    _shard(store, entry, found, broken, form)
    return number, found


def _join(
    report: Report, tar: str, found: _Tar, keys: dict[str, str], groups: dict[str, str]
) -> None:
    """Add a tar's faults, and what is wrong between it and those before."""
    report.faults += found.faults
    report.samples += found.samples
    report.regions += found.regions
    report.bytes += found.bytes
    for key, group, split in found.names:
        if key in keys:
            text = f"the key is in {keys[key]} as well"
            report.faults.append(Fault(f"{FOLDER}/{tar}", key, text))
        keys[key] = tar
        if group is not None and groups.setdefault(group, split) != split:
            text = f"group {group} is in {groups[group]} as well"
            report.faults.append(Fault(f"{FOLDER}/{tar}", key, text))


def _shard(store: Store, entry: Mapping[str, Any], report: _Tar, broken: bool, form: int) -> None:
    path = f"{FOLDER}/{entry['name']}"
    if not _hash(store, path, entry["sha256"], report) and not store.exists(path):
        return
    index = index_name(entry["name"])
    rows = [] if broken else read_parquet(store, index).to_pylist()
    members: dict[str, list[tuple[str, int, bytes]]] = {}

    def one(key: str, parts: list[tuple[str, int, bytes]]) -> None:
        _one(path, key, parts, entry, None if broken else rows, report, form)

    try:
        for name, offset, data in _members(store, path):
            key, _, extension = name.partition(".")
            members.setdefault(key, []).append((extension, offset, data))
            if len(members) > 1 and next(iter(members)) != key:
                first = next(iter(members))
                one(first, members.pop(first))
    except (tarfile.TarError, OSError) as error:
        report.faults.append(Fault(path, "", f"not a whole tar: {error}"))
        return
    for key, parts in members.items():
        one(key, parts)
    if rows:
        missing = f"{len(rows)} samples of the index are not in the tar, first {rows[0]['key']}"
        report.faults.append(Fault(path, "", missing))


def _members(store: Store, path: str) -> Iterator[tuple[str, int, bytes]]:
    """(name, offset of the data, data) of a tar; raises TarError when it is cut off."""
    with store.fs.open(store.path(path), "rb") as file:
        size = 0
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                member = tar.extractfile(info)
                data = member.read() if member else b""
                if len(data) != info.size:
                    raise tarfile.ReadError(f"{info.name} is cut off")
                size = info.offset_data + -(-info.size // 512) * 512
                yield info.name, info.offset_data, data
        file.seek(0, 2)
        if file.tell() < size + 1024:
            raise tarfile.ReadError("the end is missing")


def _one(
    path: str,
    key: str,
    parts: list[tuple[str, int, bytes]],
    entry: Mapping[str, Any],
    rows: list[dict[str, Any]] | None,
    report: _Tar,
    form: int,
) -> None:
    """Check one sample: members, index row, schema, image, spans, masks."""
    report.samples += 1

    def fault(text: str) -> None:
        report.faults.append(Fault(path, key, text))

    report.names.append((key, None, entry["split"]))
    by_name = {extension: (offset, data) for extension, offset, data in parts}
    images = [e for e in by_name if e in ("jpg", "png")]
    if len(by_name) != len(parts) or len(images) != 1 or "json" not in by_name:
        fault(f"members {sorted(e for e, _, _ in parts)}: want one image and one json")
        return
    if rows is not None:
        for problem in _row_faults(key, by_name, images[0], rows):
            fault(problem)
    text = by_name["json"][1]
    try:
        sample = json.loads(text)
        check(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        fault(f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}")
        return
    except ValueError as error:
        fault(f"not JSON: {error}")
        return
    if dump(sample) != text:
        fault("the JSON is not in canonical form")
    if sample["key"] != key or sample["split"] != entry["split"]:
        fault(f"says key {sample['key']}, split {sample['split']}")
    report.names[-1] = (key, sample["group"], sample["split"])
    sides = sorted(e for e in by_name if e not in ("json", images[0]))
    if sides != sample["members"]:
        fault(f"side files {sides}, the sample lists {sample['members']}")
    if lacking := [] if form < FORMAT else lacking_fields(sample):
        fault(f"lacks {', '.join(lacking)}")
        return
    for problem in sample_faults(sample, by_name[images[0]][1]):
        fault(problem)
    report.regions += len(sample["regions"])


def _row_faults(
    key: str,
    by_name: Mapping[str, tuple[int, bytes]],
    image: str,
    rows: list[dict[str, Any]],
) -> Iterator[str]:
    """Compare members with the next row of the index, which is taken off `rows`."""
    if not rows:
        yield "not in the index"
        return
    row = rows.pop(0)
    if row["key"] != key:
        yield f"the index has {row['key']} here"
        return
    found = {
        "format": image,
        "image_offset": by_name[image][0],
        "image_size": len(by_name[image][1]),
        "json_offset": by_name["json"][0],
        "json_size": len(by_name["json"][1]),
        "image_crc32": zlib.crc32(by_name[image][1]),
        "json_crc32": zlib.crc32(by_name["json"][1]),
    }
    for name, value in found.items():
        if row[name] != value:
            yield f"index says {name} {row[name]}, the tar has {value}"
    listed = {m["name"]: (m["offset"], m["size"], m["crc32"]) for m in row["members"]}
    sides = {
        name: (offset, len(data), zlib.crc32(data))
        for name, (offset, data) in by_name.items()
        if name not in (image, "json")
    }
    for name in sorted(listed.keys() | sides.keys()):
        if listed.get(name) != sides.get(name):
            yield (
                f"side file {name}: index says offset, size, crc32 {listed.get(name)}, "
                f"the tar has {sides.get(name)}"
            )


def _ledger(store: Store, keys: Mapping[str, str], report: Report) -> None:
    """Each row of the plan once, in one state, with a reason; written rows are the samples."""
    _signed(store, report)
    tables = []
    for name in store.names("ledger/samples", ".parquet"):
        try:
            table = store.read_table(name)
        except (DamagedFile, OSError) as error:
            why = error.why if isinstance(error, DamagedFile) else f"not readable: {error}"
            report.faults.append(Fault(name, "", why.splitlines()[0]))
            continue
        _rows(name, table, report)
        looked_at = [column for column in LEDGER if column in table.column_names]
        named = table.select(looked_at).append_column("file", pa.array([name] * len(table)))
        tables.append(named)
    if not tables:
        return
    ledger = pa.concat_tables(tables, promote_options="default")
    _planned(store, ledger, report)
    for found in ledger["sample_id"].value_counts().to_pylist():
        if found["counts"] > 1:
            text = f"{found['counts']} rows"
            report.faults.append(Fault("ledger/samples", found["values"], text))
    written: dict[str, str] = {}
    rows = ledger.filter(pc.equal(ledger["status"], "written"))
    shards = rows["shard"] if "shard" in rows.column_names else pa.nulls(len(rows), pa.string())
    columns = [rows["key"], rows["file"], shards, rows["sample_id"]]
    for key, name, shard, sample_id in zip(*(c.to_pylist() for c in columns), strict=True):
        written[key] = name
        tar = keys.get(key)
        if tar and shard not in (None, tar):
            report.faults.append(Fault(name, sample_id, f"says shard {shard}, it is in {tar}"))
    for key in sorted(written.keys() - keys.keys()):
        report.faults.append(Fault(written[key], key, "written, but in no shard"))
    for key in sorted(keys.keys() - written.keys()):
        report.faults.append(Fault(keys[key], key, "in a shard, but not written in the ledger"))


def _signed(store: Store, report: Report) -> None:
    """Whether the ledger's files are those that were written."""
    signed = _json(store, FINISHED, report).get("ledger")
    if not isinstance(signed, dict):  # an earlier version, or a release
        return
    for name, digest in sorted(signed.items()):
        _hash(store, name, digest, report, f"{FINISHED} lists it")
    there = [n for f in ("samples", "candidates") for n in store.names(f"ledger/{f}", ".parquet")]
    for name in sorted(set(there) - signed.keys()):
        report.faults.append(Fault(name, "", f"{FINISHED} does not list it"))


def _rows(name: str, table: pa.Table, report: Report) -> None:
    """Rows without a known state, or without a reason."""
    unknown = pc.invert(pc.is_in(table["status"], pa.array(STATUSES)))
    told = pc.and_(pc.is_valid(table["reason"]), pc.not_equal(table["reason"], ""))
    silent = pc.and_(pc.not_equal(table["status"], "written"), pc.invert(pc.fill_null(told, False)))
    for row in table.filter(unknown).select(["sample_id", "status"]).to_pylist():
        report.faults.append(Fault(name, row["sample_id"], f"status {row['status']!r}"))
    for sample_id in table.filter(pc.fill_null(silent, True))["sample_id"].to_pylist():
        report.faults.append(Fault(name, sample_id, "no reason"))


def _planned(store: Store, ledger: pa.Table, report: Report) -> None:
    """Whether the ledger has the rows of each corpus: all, and no others."""
    rows = _json(store, RUN, report).get("rows")
    if not isinstance(rows, dict) or not {"corpus", "row"} <= set(ledger.column_names):
        return
    for corpus, wanted in sorted(rows.items()):
        mine = ledger.filter(pc.equal(ledger["corpus"], corpus))["row"]
        there = np.unique(mine.to_numpy())
        there = there[(there >= 0) & (there < wanted)]
        if len(there) < wanted:
            gone = np.setdiff1d(np.arange(wanted), there)[0]
            text = f"{len(there)} of the {wanted} rows of the plan; the first missing is row {gone}"
            report.faults.append(Fault("ledger/samples", corpus, text))
        if len(mine) > len(there):
            text = f"{len(mine) - len(there)} rows more than the plan has"
            report.faults.append(Fault("ledger/samples", corpus, text))


def _json(store: Store, name: str, report: Report) -> dict[str, Any]:
    """A JSON object of OUT; empty when it is not there or broken."""
    if not store.exists(name):
        return {}
    try:
        value = store.read_json(name)
    except DamagedFile:
        value = None
    if not isinstance(value, dict):
        fault = Fault(name, "", "not JSON")
        if fault not in report.faults:
            report.faults.append(fault)
        return {}
    return value
