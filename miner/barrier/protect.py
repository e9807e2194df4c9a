"""Nothing that is written may be like a test set: protected pictures, and the certificate of it."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from filters.dedupe.leaks import Match, control, matches
from filters.dedupe.pixels import RESEMBLES, SAME
from filters.dedupe.prints import PATIENT, Prints, from_bytes, read
from filters.embed import embedder
from miner.barrier.compare import Pictures
from miner.barrier.pieces import Piece
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


def guarded(
    store: Store,
    config: Config,
    pieces: Sequence[Piece],
    thumbs: Sequence[Piece],
    image_ids: Sequence[str],
    groups: Mapping[str, set[str]],
) -> tuple[dict[str, str], dict[str, Any]]:
    """Pictures that may not be written, with the name of the set that they are like.

    Args:
        store: OUT, with the fingerprints.
        config: what is protected.
        pieces: `pictures` of the parts, see `outcomes`.
        thumbs: likewise.
        image_ids: the pictures.
        groups: of each picture, and its name as published: where patients are looked for.

    Returns:
        The name of the set by picture, and the certificate.

    Raises:
        Refused: the control of a set was missed: what is like it would not be found.
    """
    excluded: dict[str, str] = {}
    sets: list[dict[str, Any]] = []
    patients = {i: {p for g in groups[i] for p in PATIENT.findall(g)} for i in image_ids}
    with tempfile.TemporaryDirectory() as folder:
        pictures = Pictures(store, folder, pieces, thumbs, image_ids)
        for entry in config.protect:
            prints = from_bytes(store.read(_file(entry.name)))
            planted, seen = control(prints, config.dedupe.threshold)
            if seen < planted:
                raise Refused(
                    f"protect: {entry.name}: of {planted} planted copies only {seen} were found; "
                    "the guard does not hold, so nothing is written"
                )
            found = matches(pictures, prints, config.dedupe.threshold)
            same = [i for i in image_ids if patients[i] & prints.patients]
            for image_id in (*(image_ids[row] for row in sorted(found)), *same):
                excluded.setdefault(image_id, entry.name)
            sets.append(_certified(entry.name, prints, found, len(same), (planted, seen)))
    return excluded, {
        "compared": len(image_ids),
        "excluded": len(excluded),
        "thresholds": {
            "detail": SAME,
            "cosine": config.dedupe.threshold,
            "detail_beside_cosine": RESEMBLES,
        },
        "model": config.dedupe.model,
        "sets": sets,
    }


def _certified(
    name: str,
    prints: Prints,
    found: Mapping[int, Match],
    same_patient: int,
    planted: tuple[int, int],
) -> dict[str, Any]:
    levels = ["exact"] if any(prints.hashes) or any(prints.pixel_hashes) else []
    levels += ["near"] if prints.thumbs is not None else []
    levels += ["semantic"] if prints.vectors is not None else []
    counts = Counter(match.reason for match in found.values())
    return {
        "name": name,
        "pictures": len(prints),
        "patients": len(prints.patients),
        "levels": levels,
        "found": {level: counts[level] for level in levels},
        "of_its_patients": same_patient,
        "control": {"planted": planted[0], "found": planted[1]},
        "sha256": hashlib.sha256(prints.to_bytes()).hexdigest(),
    }


def _file(name: str) -> str:
    return f"{FOLDER}/{name}.parquet"
