"""Committed units: `units/{unit_id}/*.parquet` and, last, the mark `units/{unit_id}.json`.

A mark holds the sha256 of the unit's tables, and no table is read that is not what its mark says: a
bit that a disk lost would else be signed anew with the shards.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import NotRequired

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from miner.core.errors import Refused
from miner.core.shapes import misfit
from miner.core.store import DamagedFile, Store
from miner.core.unit import SILENT_REASONS, Unit

TABLES = ("samples", "images", "candidates")
MARKS = "marks"  # folder of the tables that hold many marks
_MARKS = pa.schema([("unit_id", pa.string()), ("mark", pa.string())])
MASKS = ["counts", "instances"]  # columns of candidates too large to hold for a whole run


class StoredTable(TypedDict):
    """A table of a unit, as its mark describes it.

    Attributes:
        rows: how many.
        bytes: of the file.
        sha256: of the file, hexadecimal.
    """

    rows: int
    bytes: int
    sha256: str


class StoredUnit(TypedDict):
    """The tables of a unit.

    Attributes:
        unit_id: its name.
        tables: by name, one of `TABLES`.
    """

    unit_id: str
    tables: dict[str, StoredTable]


class UnitMark(StoredUnit):
    """`units/{unit_id}.json`: what was committed of a unit.

    Attributes:
        run: identity of the run, as in run.json; early marks have none.
        counts: what the stages counted.
        missing: what took no part, and how to get it.
        masks: candidates with a mask.
    """

    run: NotRequired[str]
    counts: dict[str, int]
    missing: dict[str, str]
    masks: int


Marks = Mapping[str, UnitMark]  # by unit_id


class DamagedUnit(Refused):
    """A committed unit is not what was committed.

    Attributes:
        unit_id: which one.
    """

    def __init__(self, unit_id: str, text: str):
        super().__init__(text)
        self.unit_id = unit_id

    def __reduce__(self) -> tuple[type[DamagedUnit], tuple[str, str]]:
        return DamagedUnit, (self.unit_id, str(self))


def commit(
    store: Store,
    unit_id: str,
    unit: Unit,
    counts: Mapping[str, int] | None = None,
    missing: Mapping[str, str] | None = None,
    run: str = "",
) -> UnitMark:
    """Write a unit whole; the mark comes last and makes it count.

    Floats are rounded to 6 decimals. Of the pictures, only those with a mask (or a row that may
    be written without one) keep their bytes. The barrier reads a unit three times and more, which
    takes half of the time where its small columns are not compressed with zstd.

    Args:
        store: OUT.
        unit_id: name of the unit.
        unit: its tables.
        counts: what the stages counted.
        missing: what took no part, and how to get it.
        run: identity of the run, as in run.json.

    Returns:
        The mark.
    """
    mark: UnitMark = {
        "unit_id": unit_id,
        "run": run,
        "tables": {},
        "counts": dict(counts or {}),
        "missing": dict(missing or {}),
        "masks": unit.candidates.num_rows - unit.candidates["counts"].null_count,
    }
    for name in TABLES:
        table = _rounded(getattr(unit, name))
        if name == "images":
            table = _with_lengths(_without_unused_bytes(table, unit))
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="lz4")
        data = buffer.getvalue()
        store.write(f"units/{unit_id}/{name}.parquet", data)
        mark["tables"][name] = {
            "rows": table.num_rows,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
    store.write_json(f"units/{unit_id}.json", mark)
    return mark


def marks(store: Store) -> dict[str, UnitMark]:
    """Marks of all committed units by unit_id, in order.

    Which units are committed is what `units/` lists; what their marks say is in `marks/`, as far
    as it was put there, so that not every mark is a request of its own.

    Raises:
        DamagedUnit: a mark is no JSON, or not what a mark of that unit holds.
    """
    said = _kept(store)
    names = store.names("units", suffix=".json")
    units = [name.removeprefix("units/").removesuffix(".json") for name in names]
    alone = [unit_id for unit_id in units if unit_id not in said]
    read = store.read_many([f"units/{unit_id}.json" for unit_id in alone])
    said |= {u: data.decode(errors="replace") for u, data in zip(alone, read, strict=True)}
    # As one text: a third of the time, and equal keys are held once.
    try:
        read = json.loads(f"[{','.join(said[unit_id] for unit_id in units)}]")
        found = dict(zip(units, read, strict=True))
    except (ValueError, RecursionError):
        found = {}
    return {
        unit_id: found[unit_id]
        if unit_id in found and not _odd(unit_id, found[unit_id])
        else _mark(store, unit_id, said[unit_id])
        for unit_id in units
    }


def _mark(store: Store, unit_id: str, text: str) -> UnitMark:
    """A mark from its text, or from its own file where the text is damaged."""
    file = f"units/{unit_id}.json"
    for said in (text, store.read(file).decode(errors="replace")):
        try:
            mark: UnitMark = json.loads(said)
        except (ValueError, RecursionError) as error:
            why = f"not JSON: {error}"
            continue
        if not (why := _odd(unit_id, mark)):
            return mark
    raise _damaged(store, unit_id, file, why)


def _odd(unit_id: str, mark: UnitMark) -> str:
    """What is wrong with a unit's mark; "" for nothing."""
    if why := misfit(UnitMark, mark):
        return why
    if mark["unit_id"] != unit_id:
        return f"unit_id: it is the mark of {mark['unit_id']!r}"
    if lacking := [name for name in TABLES if name not in mark["tables"]]:
        return f"tables: lacks {lacking[0]}"
    return ""


def forget(store: Store, unit_id: str) -> None:
    """Take a unit's mark away: it counts as not mined."""
    store.remove(f"units/{unit_id}.json")


def keep_marks(store: Store, new: Marks, all_: bool = False) -> None:
    """Put marks into a table of `marks/`, in place of all others if these are all there are."""
    files = store.names(MARKS, suffix=".parquet")
    if all_ and _kept(store).keys() == new.keys() and len(files) <= 1:
        return
    number = int(files[-1].removeprefix(f"{MARKS}/").removesuffix(".parquet")) + 1 if files else 0
    table = {
        "unit_id": list(new),
        "mark": [json.dumps(mark, sort_keys=True) for mark in new.values()],
    }
    for name in files if all_ else ():
        store.remove(name)
    store.write_table(f"{MARKS}/{number:06d}.parquet", pa.table(table, _MARKS))


def _kept(store: Store) -> dict[str, str]:
    """JSON by unit_id of the marks in `marks/`; the last one of a unit counts.

    What cannot be read is left out: the units' own files say the same.
    """
    found: dict[str, str] = {}
    for name in store.names(MARKS, suffix=".parquet"):
        with contextlib.suppress(DamagedFile, OSError, KeyError):
            table = store.read_table(name)
            found.update(zip(*(table[c].to_pylist() for c in _MARKS.names), strict=True))
    return found


def check_marks(store: Store, marks: Marks, run: str) -> None:
    """Check that all units were mined by one run.

    Raises:
        Refused: some were mined with another configuration, models or corpora.
    """
    foreign = sorted(u for u, mark in marks.items() if mark.get("run", "") != run)
    if foreign:
        raise Refused(
            f"out: {store.url}: {len(foreign)} of {len(marks)} units are another run's, such as "
            f"units/{foreign[0]}.json; remove their marks (units/*.json) and run again"
        )


def read_table(
    store: Store, mark: StoredUnit, name: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """One table of a committed unit, or some columns of it.

    Args:
        store: OUT.
        mark: of the unit, as in `marks`.
        name: one of `TABLES`.
        columns: which; None for all. Those that an earlier version did not have are left out.

    Raises:
        DamagedUnit: the file is gone, or not what was committed.
    """
    file = _open(store, mark, name)
    if columns is not None:
        have = set(file.schema_arrow.names)
        columns = [column for column in columns if column in have]
    return file.read(columns, use_threads=False)  # small, and a worker has a core


def _open(store: Store, mark: StoredUnit, name: str) -> pq.ParquetFile:
    unit_id = mark["unit_id"]
    file = f"units/{unit_id}/{name}.parquet"
    try:
        data = store.read(file)
        if hashlib.sha256(data).hexdigest() == mark["tables"][name]["sha256"]:
            opened = pq.ParquetFile(pa.BufferReader(data))
            if opened.metadata.num_rows == mark["tables"][name]["rows"]:
                return opened
            why = f"its mark says {mark['tables'][name]['rows']} rows"
        else:
            why = "changed since it was committed (sha256 differs)"
    except FileNotFoundError:
        why = "missing, its mark lists it"
    except OSError as error:
        why = f"not readable: {error.strerror or error}"
    except (KeyError, TypeError):
        why = "its mark does not list it"
    raise _damaged(store, unit_id, file, why)


def _damaged(store: Store, unit_id: str, file: str, why: str) -> DamagedUnit:
    return DamagedUnit(
        unit_id, f"{store.shown(file)}: {why}; remove units/{unit_id}.json and run again"
    )


def _rounded(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_float64(field.type):
            # NaN carries no information that null does not.
            column = pc.if_else(pc.is_finite(table[field.name]), table[field.name], None)
            column = pc.add(pc.round(column, ndigits=6), 0.0)  # -0.0 becomes 0.0
            table = table.set_column(i, field, column.cast(field.type))
    return table


def _with_lengths(images: pa.Table) -> pa.Table:
    lengths = pc.fill_null(pc.binary_length(images["data"]), 0)
    return images.append_column("data_bytes", lengths.cast(pa.int64()))


def _without_unused_bytes(images: pa.Table, unit: Unit) -> pa.Table:
    masked = unit.candidates.filter(pc.is_valid(unit.candidates["counts"]))["image_id"]
    silent = unit.samples.filter(
        pc.and_(
            pc.equal(unit.samples["status"], "no_entity"),
            pc.is_in(unit.samples["reason"], pa.array(sorted(SILENT_REASONS))),
        )
    )["image_id"]
    needed = pc.or_(
        pc.is_in(images["image_id"], masked.combine_chunks()),
        pc.is_in(images["image_id"], silent.combine_chunks()),
    )
    data = pc.if_else(needed, images["data"], pa.scalar(None, images["data"].type))
    return images.set_column(images.column_names.index("data"), "data", data)
