"""The tiles of one or several folders, one row per picture, split by slide or patient."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

from segmenters.training import data

# Brown immunostains that are filed as H&E.
DROPPED = (
    "ebhi_seg/normal_gt2100256-1-400-004",
    "ebhi_seg/normal_gt2100256-1-400-005",
)


@dataclasses.dataclass(frozen=True)
class Entity:
    """Masks of one name in one tile.

    Attributes:
        mask: path of the label map.
        exhaustive: whether what is not outlined is none of it.
        outline: who drew it.
    """

    mask: pathlib.Path
    exhaustive: bool
    outline: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One picture and all that is known about it.

    Attributes:
        id: name in the first folder that has it.
        source: the set it comes from, there.
        group: slide, patient or field.
        kept: whether nothing may be trained on it.
        file: path of the picture.
        mpp: um per pixel as published, None when it is not.
        stain: as published.
        organ: as published, None when it is not.
        code: the publisher's class.
        entities: name -> masks. An entity that is not here is unknown.
        ignore: path of the map of pixels where `ignored` is unknown, or None.
        ignored: the entities of the row that `ignore` came with.
        negatives: entity -> places (y, x) that look like it and are not.
    """

    id: str
    source: str
    group: str
    kept: bool
    file: pathlib.Path
    mpp: float | None
    stain: str
    organ: str | None
    code: str | None
    entities: Mapping[str, Entity]
    ignore: pathlib.Path | None = None
    ignored: tuple[str, ...] = ()
    negatives: Mapping[str, Sequence[Sequence[float]]] = dataclasses.field(default_factory=dict)


def _row(folder: pathlib.Path, row: Mapping) -> Row:
    group = row.get("group") or data.patient(row)
    entities = {
        name: Entity(folder / entity["mask"], entity["exhaustive"], entity["outline"])
        for name, entity in (row["entities"] or {}).items()
    }
    ignore = row.get("ignore")
    return Row(
        row["id"],
        row["set"],
        group,
        data.kept_apart(row),
        folder / row["file"],
        row["mpp"],
        row["stain"],
        row["organ"],
        row["label_code"],
        entities,
        folder / ignore if ignore else None,
        tuple(entities),
        row.get("negatives") or {},
    )


def read(
    folders: Sequence[pathlib.Path], leave_out: Sequence[str] = (), optional: bool = True
) -> list[Row]:
    """One row per picture, in the order of the indices.

    A picture that a later folder has again is one row with the masks of both.

    Args:
        folders: each with an `index.jsonl`.
        leave_out: sets not to read.
        optional: whether to read tiles that the index calls optional.
    """
    found: dict[str, Row] = {}
    for folder in folders:
        with (folder / "index.jsonl").open(encoding="utf-8") as lines:
            raw = [json.loads(line) for line in lines]
        for row in raw:
            if row["id"] in DROPPED or row["set"] in leave_out:
                continue
            if row.get("optional") and not optional:
                continue
            new = _row(folder, row)
            first = found.get(row.get("same_picture_as") or "")
            if first is None:
                if row.get("same_picture_as") is None:
                    found[new.id] = new
                continue
            found[first.id] = dataclasses.replace(
                first,
                entities={**new.entities, **first.entities},
                ignore=new.ignore,
                ignored=new.ignored,
                negatives=new.negatives,
            )
    return list(found.values())
