"""The plan: deterministic work units over the corpora, as byte ranges of the publishers' files.

    plan/{corpus}.json                    mark: tables and their fingerprints, rows, units, problems
    plan/{corpus}/scan-{00000}.parquet    while a plan is made: where each row is
    plan/{corpus}/units-{00000}.parquet   64 units: unit, row, table, offset, length
    plan/{corpus}/zip-{00}.npy            index of a zip with pictures

A plan is made anew when size or modification time of the publishers' tables change. Neither these
nor any path enters a unit's name or content.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from miner.core.errors import Refused
from miner.core.parts import find
from miner.core.remote import answers
from miner.core.store import DamagedFile, Store
from miner.core.unit import Unit
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.load import build_unit, read_rows
from miner.corpora.rows import Place, Reader, Row

VERSION = 3
SCAN_ROWS = 100_000
PART_UNITS = 64

_SCAN = pa.schema(
    [
        ("table", pa.int16()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("group", pa.uint64()),
        ("image", pa.uint64()),
        ("order", pa.int64()),
    ]
)
_UNITS = pa.schema(
    [
        ("unit", pa.int32()),
        ("row", pa.int64()),
        ("table", pa.int16()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
    ]
)


@dataclasses.dataclass(frozen=True)
class UnitRef:
    """Which unit: small enough to be sent to a worker.

    Attributes:
        unit_id: `{corpus}-{number:06d}`.
        corpus: the corpus's name.
        number: from 0 within the corpus.
        rows: caption rows.
        plan: tells this plan from an older one in caches; not stored anywhere.
        run: identity of the run that mines it.
        isolated: row number and reason of the rows that no stage may touch.
    """

    unit_id: str
    corpus: str
    number: int
    rows: int
    plan: str = ""
    run: str = ""
    isolated: tuple[tuple[int, str], ...] = ()


class Plan:
    """A finished plan; units are listed without holding them all.

    Attributes:
        rows: caption rows per corpus, in the order of the configuration.
        units: work units per corpus.
        problems: what is wrong with the publishers' files, one line each.
        fingerprint: changes when any unit's rows change.
    """

    def __init__(self, store: Store, names: Sequence[str]):
        self._store = store
        marks = {name: store.read_json(f"plan/{name}.json") for name in names}
        self.rows: dict[str, int] = {name: mark["rows"] for name, mark in marks.items()}
        self.units: dict[str, int] = {name: mark["units"] for name, mark in marks.items()}
        self.images: dict[str, int] = {name: mark["images"] for name, mark in marks.items()}
        self.problems: list[str] = [p for mark in marks.values() for p in mark["problems"]]
        content = [[name, mark["content"]] for name, mark in marks.items()]
        self.fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._tokens = {name: _token(mark) for name, mark in marks.items()}

    def refs(self) -> Iterator[UnitRef]:
        """All units, corpus by corpus."""
        for name, units in self.units.items():
            for part in range(0, units, PART_UNITS):
                column = self._store.read_table(_part(name, part), columns=["unit"])["unit"]
                sizes = np.bincount(column.to_numpy() - part).tolist()
                for number, rows in enumerate(sizes, start=part):
                    yield UnitRef(f"{name}-{number:06d}", name, number, rows, self._tokens[name])


def reader(config: CorpusConfig) -> Reader:
    """Open a corpus whose store answers soon.

    Raises:
        Refused: its files are not where the configuration says, or are not what it says.
    """
    answers(config.path, f"corpora.{corpus_name(config)}.path: {config.path}")
    return _read(config)


def _read(config: CorpusConfig) -> Reader:
    return find("corpora", config.kind).build(config, 1)


def make_plan(corpora: Sequence[CorpusConfig], unit_rows: int, store: Store) -> Plan:
    """Plan all corpora, or reuse what is stored.

    Args:
        corpora: what to read.
        unit_rows: caption rows in a unit; more when one picture has more captions.
        store: OUT.

    Raises:
        Refused: files are missing or are not what the configuration says.
    """
    names = [corpus_name(c) for c in corpora]
    opened = [reader(config) for config in corpora]
    for config, source in zip(corpora, opened, strict=True):
        _plan_corpus(source, corpus_name(config), unit_rows, store)
        source.prepare(store)
    return Plan(store, names)


def load_unit(
    ref: UnitRef, corpora: Sequence[CorpusConfig], store: Store, only: Set[int] | None = None
) -> Unit:
    """Read the rows and pictures of a unit.

    Bad rows come with status and reason; nothing raises for them.

    Args:
        ref: the unit.
        corpora: as given to `make_plan`.
        store: OUT.
        only: row numbers; the others are left out.
    """
    config = next(c for c in corpora if corpus_name(c) == ref.corpus)
    source = _opened(ref, config, store)
    places = [p for p in _places(ref, store) if only is None or p.row in only]
    return build_unit(source, config, ref.corpus, places, store, isolated=dict(ref.isolated))


def load_rows(ref: UnitRef, config: CorpusConfig, store: Store) -> list[Row]:
    """The rows of a unit as the reader hands them on, without their pictures."""
    return read_rows(_opened(ref, config, store), _places(ref, store))


def _opened(ref: UnitRef, config: CorpusConfig, store: Store) -> Reader:
    key = (ref.plan, store.url, config.model_dump_json())
    if key not in _open_readers:
        while len(_open_readers) >= 8:
            _open_readers.pop(next(iter(_open_readers)))
        _open_readers[key] = _read(config)  # amid a run its store may take its time
    return _open_readers[key]


def unit_rows(ref: UnitRef, store: Store) -> list[int]:
    """Row numbers of a unit, those of a picture together."""
    return [place.row for place in _places(ref, store)]


def _places(ref: UnitRef, store: Store) -> list[Place]:
    table = store.read_table(_part(ref.corpus, ref.number - ref.number % PART_UNITS))
    chosen = table.filter(pc.equal(table["unit"], ref.number)).drop_columns(["unit"])
    return [Place(**row) for row in chosen.to_pylist()]


# Readers hold mapped zip indexes and table headers: too dear to open for every unit.
_open_readers: dict[tuple[str, str, str], Reader] = {}


def _part(name: str, first: int) -> str:
    return f"plan/{name}/units-{first // PART_UNITS:05d}.parquet"


def _token(mark: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(mark, sort_keys=True).encode()).hexdigest()[:16]


def _plan_corpus(source: Reader, name: str, unit_rows: int, store: Store) -> None:
    wanted: dict[str, Any] = {
        "version": VERSION,
        "unit_rows": unit_rows,
        "tables": source.fingerprint(),
    }
    mark = f"plan/{name}.json"
    if store.exists(mark):
        have = store.read_json(mark)
        same = all(have.get(k) == v for k, v in wanted.items())
        if same and have.get("files") == _sums(name, store):
            return
        store.remove(mark)
    problems = _scan(source, name, wanted["tables"], store)
    found = _units(name, unit_rows, store)
    if not found["rows"]:
        raise Refused(f"{source.folder.field}: {source.folder.url}: no rows in {source.tables[0]}")
    files = _sums(name, store)
    store.write_json(mark, {**wanted, **found, "problems": problems, "files": files})
    for scan in store.names(f"plan/{name}", suffix=".parquet"):
        if "/scan-" in scan:
            store.remove(scan)


def _sums(name: str, store: Store) -> dict[str, str]:
    """sha256 of the tables that say where every row of a corpus is, by name."""
    names = store.names(f"plan/{name}", suffix=".parquet")
    return {n: hashlib.sha256(store.read(n)).hexdigest() for n in names if "/units-" in n}


def _scan(source: Reader, name: str, tables: list[Any], store: Store) -> list[str]:
    """Store where every row is, in pieces; pieces of an interrupted scan are kept."""
    fingerprint = json.dumps([VERSION, tables])
    number = 0
    state: dict[str, Any] = {"table": 0, "next": 0, "problems": []}
    while store.exists(scan_name := f"plan/{name}/scan-{number:05d}.parquet"):
        said = _scanned(store, scan_name, fingerprint)
        if said is None:
            break
        state = json.loads(said)
        number += 1
    for stale in store.names(f"plan/{name}", suffix=".parquet"):
        if "/scan-" in stale and stale >= scan_name:
            store.remove(stale)

    pending: list[tuple[Any, ...]] = []

    def flush(table: int, at: int, problems: list[str]) -> None:
        nonlocal number
        state = json.dumps({"table": table, "next": at, "problems": problems})
        columns = list(zip(*pending, strict=True)) or [()] * len(_SCAN)
        piece = pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, _SCAN, strict=True)], schema=_SCAN
        ).replace_schema_metadata({"state": state, "sum": _sum_of(fingerprint, state)})
        store.write_table(f"plan/{name}/scan-{number:05d}.parquet", piece)
        number += 1
        pending.clear()

    problems = list(state["problems"])
    start = state["next"]
    for table in range(state["table"], len(source.tables)):
        found: list[str] = []
        for entry in source.scan(table, start, found):
            pending.append((table, *entry))
            if len(pending) >= SCAN_ROWS:
                flush(table, entry.offset + entry.length, problems)
        problems += [f"{name}: {source.tables[table]}: {line}" for line in found]
        start = 0
        flush(table + 1, 0, problems)
    return problems


def _scanned(store: Store, name: str, fingerprint: str) -> str | None:
    """How far a piece of a scan got; None for one of other files, and a damaged one."""
    try:
        table = store.read_table(name)
    except DamagedFile:
        return None
    metadata = table.schema.metadata or {}
    state, said = (metadata.get(n, b"").decode(errors="replace") for n in (b"state", b"sum"))
    sound = table.schema.equals(_SCAN) and said == _sum_of(fingerprint, state)
    return state if sound else None


def _sum_of(fingerprint: str, state: str) -> str:
    return hashlib.sha256(json.dumps([fingerprint, state]).encode()).hexdigest()


def _units(name: str, unit_rows: int, store: Store) -> dict[str, Any]:
    """Group the scanned rows into units and store them, part by part."""
    scans = [n for n in store.names(f"plan/{name}", suffix=".parquet") if "/scan-" in n]
    scanned = pa.concat_tables([store.read_table(n) for n in scans])
    for stale in store.names(f"plan/{name}", suffix=".parquet"):
        if "/units-" in stale:
            store.remove(stale)
    group = scanned["group"].to_numpy()
    image = scanned["image"].to_numpy()
    order = arrange(group, image, scanned["order"].to_numpy())
    ends = cut(group[order], image[order], unit_rows)
    places = scanned.drop_columns(["group", "image", "order"]).add_column(
        0, "row", pa.array(np.arange(len(group)))
    )
    content = hashlib.sha256()
    begin = 0
    for part in range(0, len(ends), PART_UNITS):
        here = ends[part : part + PART_UNITS]
        chosen = order[begin : here[-1]]
        sizes = np.diff([begin, *here])
        units = np.repeat(np.arange(part, part + len(here)), sizes)
        table = places.take(pa.array(chosen)).add_column(0, "unit", pa.array(units))
        store.write_table(_part(name, part), table.cast(_UNITS))
        content.update(units.astype("<i8").tobytes())
        content.update(chosen.astype("<i8").tobytes() + image[chosen].astype("<u8").tobytes())
        begin = here[-1]
    return {
        "rows": len(group),
        "units": len(ends),
        "images": len(np.unique(image)),
        "content": content.hexdigest(),
    }


def arrange(group: np.ndarray, image: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Order of rows: groups as they first appear, their pictures by `within`, then as they appear.

    Args:
        group: uint64 (n,), hash of what stays together.
        image: uint64 (n,), hash of the picture.
        within: int64 (n,), order of a picture in its group.

    Returns:
        int64 (n,), row numbers.
    """

    def first(values: np.ndarray) -> np.ndarray:
        _, index, inverse = np.unique(values, return_index=True, return_inverse=True)
        return index[inverse]

    return np.lexsort((np.arange(len(group)), first(image), within, first(group)))


def cut(group: np.ndarray, image: np.ndarray, unit_rows: int) -> list[int]:
    """Ends of the units over ordered rows.

    A picture's rows are never parted. A group is parted only when it alone is more than a unit, and
    then into near-equal pieces.

    Args:
        group: uint64 (n,), in the order of the plan.
        image: uint64 (n,), in the order of the plan.
        unit_rows: wanted rows in a unit.

    Returns:
        Exclusive end of each unit; the last is n.
    """
    n = len(group)
    if not n:
        return []
    change = np.flatnonzero((group[1:] != group[:-1]) | (image[1:] != image[:-1])) + 1
    borders = np.append(change, n)
    is_group_end = np.append(group[change] != group[change - 1], True)
    group_ends = borders[is_group_end]
    ends: list[int] = []
    begin = 0
    previous = 0
    for group_end in group_ends.tolist():
        if group_end - begin > unit_rows and previous > begin:
            ends.append(previous)
            begin = previous
        size = group_end - begin
        if size > unit_rows:
            pieces = -(-size // unit_rows)
            for piece in range(1, pieces):
                target = begin + piece * size // pieces
                at = int(borders[np.searchsorted(borders, target)])
                if (ends[-1] if ends else 0) < at < group_end:
                    ends.append(at)
            ends.append(group_end)
            begin = group_end
        previous = group_end
    if begin < n:
        ends.append(n)
    return ends
