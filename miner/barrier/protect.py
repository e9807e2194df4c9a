"""Nothing that is written may be like a test set: protected pictures, and the certificate of it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.dedupe.leaks import control, matches
from filters.dedupe.pixels import RESEMBLES, SAME
from filters.dedupe.prints import PATIENT, Prints, from_bytes, read
from filters.dedupe.thumbnail import SIDE
from filters.embed import embedder
from miner.barrier.pieces import Piece, Place, read_bytes, read_piece
from miner.config import Config
from miner.core.errors import Refused
from miner.core.store import Store

FOLDER = "protect"  # fingerprints of the protected sets, made when a run starts


def prepare(store: Store, config: Config) -> None:
    """Make the fingerprints of what is protected, before anything is mined.

    Raises:
        Refused: a protected set is not there, empty or unreadable, or of another model.
    """
    made: dict[str, bytes] = {}
    embed = embedder(config.dedupe) if config.protect else None
    for i, entry in enumerate(config.protect):
        field = f"protect.{i}.path"
        assert embed is not None
        prints = read(entry.path, entry.model or config.dedupe.model, embed, field)
        if prints.vectors is not None and prints.model != config.dedupe.model:
            raise Refused(
                f"{field}: {entry.path}: its embeddings are of {prints.model}, the run's "
                f"dedupe.model is {config.dedupe.model}"
            )
        made[_file(entry.name)] = prints.to_bytes()
    for name in store.names(FOLDER):
        if name not in made:
            store.remove(name)
    for name, data in made.items():
        if not store.exists(name) or store.read(name) != data:
            store.write(name, data)


def digest(store: Store, config: Config) -> list[str]:
    """What the verdicts depend on: sha256 of the fingerprints, in order."""
    return [hashlib.sha256(store.read(_file(entry.name))).hexdigest() for entry in config.protect]


@dataclasses.dataclass(frozen=True)
class Guarded:
    """What `guard` is given.

    Attributes:
        rows: piece of a part, see `outcomes`.
        names: likewise.
        thumbs: likewise.
        vectors: likewise.
        dims: numbers in a vector.
        config: what is protected.
    """

    rows: Piece
    names: Piece
    thumbs: Piece
    vectors: Piece
    dims: int
    config: Config


class _Pictures(NamedTuple):
    hashes: Sequence[str]
    pixel_hashes: Sequence[str]
    thumbs: np.ndarray | None
    vectors: np.ndarray | None


def guard(place: Place, given: Guarded) -> Piece:
    """Find the pictures of a part that may not be written.

    Returns:
        Piece: image_id, set (its place in the configuration), like (name of the protected picture
        or patient), level (exact, near, semantic or patient) and similarity (1 of a patient), the
        first set first.
    """
    store, config = place.store, given.config
    names = read_piece(store, given.names, ["image_id", "sha256", "pixel_hash"])
    image_ids, hashes, pixels = (column.to_pylist() for column in names.columns)
    thumbs = np.frombuffer(read_bytes(store, given.thumbs), np.uint8).reshape(-1, SIDE, SIDE)
    vectors = np.frombuffer(read_bytes(store, given.vectors), np.float16)
    shape = (len(image_ids), given.dims)
    pictures = _Pictures(hashes, pixels, thumbs, vectors.reshape(shape) if image_ids else None)
    patients = _patients(read_piece(store, given.rows, ["image_id", "image", "group", "status"]))
    found: list[tuple[str, int, str, str, float]] = []
    for number, entry in enumerate(config.protect):
        prints = from_bytes(store.read(_file(entry.name)))
        like = matches(pictures, prints, config.dedupe.threshold) if image_ids else {}
        for row, match in sorted(like.items()):
            name = prints.names[match.protected]
            found.append((image_ids[row], number, name, match.reason, match.similarity))
        for image_id, known in patients.items():
            for patient in sorted(known & prints.patients)[:1]:
                found.append((image_id, number, patient, "patient", 1.0))
    columns = zip(*found, strict=True) if found else [()] * len(_FOUND)
    return place.write(pa.table(list(map(pa.array, columns, _FOUND.types)), schema=_FOUND))


_FOUND = pa.schema(
    [
        ("image_id", pa.string()),
        ("set", pa.int32()),
        ("like", pa.string()),
        ("level", pa.string()),
        ("similarity", pa.float64()),
    ]
)


def _patients(rows: pa.Table) -> dict[str, set[str]]:
    """TCGA patients by picture, from its name and group, of rows that could be written."""
    found: dict[str, set[str]] = defaultdict(set)
    rows = rows.filter(pc.equal(rows["status"].cast(pa.string()), "written"))
    for column in ("image", "group"):
        named = rows[column].cast(pa.string())
        some = rows.select(["image_id"]).append_column("name", named)
        some = some.filter(pc.match_substring_regex(named, PATIENT.pattern))
        for image_id, name in zip(*(c.to_pylist() for c in some.columns), strict=True):
            found[image_id].update(PATIENT.findall(name))
    return found


def control_sets(place: Place, config: Config) -> list[dict[str, Any]]:
    """Plant copies in every set and look for them.

    Returns:
        Of each set what the certificate says before anything is compared with it.

    Raises:
        Refused: the control of a set was missed: what is like it would not be found.
    """
    sets = []
    for entry in config.protect:
        prints = from_bytes(place.store.read(_file(entry.name)))
        planted, seen = control(prints, config.dedupe.threshold)
        if seen < planted:
            raise Refused(
                f"protect: {entry.name}: of {planted} planted copies only {seen} were found; "
                "the guard does not hold, so nothing is written"
            )
        sets.append(_certified(entry.name, prints, (planted, seen)))
    return sets


def certificate(
    config: Config, sets: Sequence[Mapping[str, Any]], found: pa.Table, compared: int
) -> dict[str, Any]:
    """The certificate: what was compared with what, and every picture that was found.

    Args:
        config: what is protected.
        sets: of `control_sets`.
        found: of `guard`, all parts.
        compared: number of pictures.
    """
    said = []
    rows = found.to_pylist()
    for number, one in enumerate(sets):
        mine = [row for row in rows if row["set"] == number]
        levels = Counter(row["level"] for row in mine)
        pairs = [
            {name: row[name] for name in ("image_id", "like", "level", "similarity")}
            for row in mine
        ]
        said.append(
            {
                **one,
                "found": {level: levels[level] for level in one["levels"]},
                "of_its_patients": levels["patient"],
                "pairs": pairs,
            }
        )
    return {
        "compared": compared,
        "excluded": len({row["image_id"] for row in rows}),
        "thresholds": {
            "detail": SAME,
            "cosine": config.dedupe.threshold,
            "detail_beside_cosine": RESEMBLES,
        },
        "model": config.dedupe.model,
        "sets": said,
    }


def _certified(name: str, prints: Prints, planted: tuple[int, int]) -> dict[str, Any]:
    levels = ["exact"] if any(prints.hashes) or any(prints.pixel_hashes) else []
    levels += ["near"] if prints.thumbs is not None else []
    levels += ["semantic"] if prints.vectors is not None else []
    return {
        "name": name,
        "pictures": len(prints),
        "patients": len(prints.patients),
        "levels": levels,
        "control": {"planted": planted[0], "found": planted[1]},
        "sha256": hashlib.sha256(prints.to_bytes()).hexdigest(),
    }


def _file(name: str) -> str:
    return f"{FOLDER}/{name}.parquet"
