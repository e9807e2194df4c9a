"""What is read from shards is held against what packing enforces, before anyone uses it.

A data set may come from anybody: its names become parts of paths, its sizes become memory, and its
run lengths go to a library in C that believes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pydantic

from miner.core.errors import Refused
from miner.core.rle import run_lengths
from shards.config import SPLIT, Split
from shards.pack import EXTENSION, INDEX
from shards.sample import IMAGE_FORMATS, KEY, GroundedSample, check

MOST_PIXELS = 1 << 30  # of a picture: what OpenCV decodes

_Sha256 = Annotated[str, pydantic.Field(pattern="^[0-9a-f]{64}$")]
_File = Annotated[str, pydantic.Field(pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]*$")]
_Count = Annotated[int, pydantic.Field(ge=0)]


class Damaged(Refused):
    """A file under shards/ is not what the manifest says, or not what packing writes."""


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)


class _Entry(_Model):
    name: Annotated[str, pydantic.Field(pattern=rf"^{SPLIT.pattern}-[0-9]{{6}}\.tar$")]
    split: Split
    sha256: _Sha256
    bytes: _Count
    samples: _Count
    regions: _Count
    index_sha256: _Sha256
    index_bytes: _Count


class _Manifest(_Model):
    format: int
    run: str
    shards: list[_Entry]
    files: dict[_File, _Sha256]
    samples: _Count
    regions: _Count
    sha256: _Sha256


def manifest_fault(manifest: Any) -> str | None:
    """What is wrong with a manifest that fits its own hash; None for nothing."""
    try:
        found = _Manifest.model_validate(manifest)
    except pydantic.ValidationError as error:
        return first_fault(error)
    names = [entry.name for entry in found.shards]
    if len(set(names)) < len(names):
        return "a shard is listed twice"
    for entry in found.shards:
        if entry.name[: -len("-000000.tar")] != entry.split:
            return f"{entry.name} is listed in split {entry.split}"
    return None


def index_fault(index: pa.Table, columns: list[str] | None, tar_bytes: int) -> str | None:
    """What is wrong with the index of one tar; None for nothing.

    Args:
        index: as read.
        columns: which were asked for, None for all.
        tar_bytes: size of the tar.
    """
    for name in INDEX.names if columns is None else columns:
        if name not in index.column_names:
            return f"no column {name}"
        kind = index.schema.field(name).type
        if not kind.equals(INDEX.field(name).type):
            return f"column {name} is of type {kind}"
    patterns = {"key": KEY.pattern, "format": "|".join(IMAGE_FORMATS)}
    for name, pattern in patterns.items():
        if name in index.column_names and not _all_match(index[name], pattern):
            return f"{name}: not what packing allows"
    for part in ("image", "json"):
        place = (f"{part}_offset", f"{part}_size")
        if set(place) <= set(index.column_names) and not _inside(index, *place, tar_bytes):
            return f"{part}: lies outside the tar"
    if "members" in index.column_names:
        members = pc.list_flatten(index["members"].combine_chunks())
        found = pa.table({f.name: pc.struct_field(members, f.name) for f in members.type})
        if not _all_match(found["name"], EXTENSION.pattern):
            return "members: a name that packing does not allow"
        if not _inside(found, "offset", "size", tar_bytes):
            return "members: one lies outside the tar"
    return None


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    fits = pc.match_substring_regex(values, rf"\A(?:{pattern})\z")
    return values.null_count == 0 and pc.all(fits, min_count=0).as_py()


def _inside(table: pa.Table, offset: str, size: str, end: int) -> bool:
    begins, sizes = table[offset], table[size]
    if begins.null_count or sizes.null_count:
        return False
    if not len(begins):
        return True
    # No sum of two such can pass the largest int64.
    low = min(pc.min(begins).as_py(), pc.min(sizes).as_py())
    high = max(pc.max(begins).as_py(), pc.max(sizes).as_py())
    return low >= 0 and high <= end and pc.max(pc.add(begins, sizes)).as_py() <= end


def sound_sample(text: bytes, key: str, split: str, decoded: bool = False) -> GroundedSample:
    """A grounded sample of which all that becomes a path, a place or memory is sound.

    Args:
        text: `{key}.json` of a shard.
        key: what the index calls it.
        split: of its shard.
        decoded: whether the masks of the regions are decoded next, which looks at their run
            lengths itself (`miner.core.rle.decode_masks`); here they are not looked at then.

    Raises:
        Damaged: it is not what packing writes.
    """
    try:
        check(text)
    except pydantic.ValidationError as error:
        raise Damaged(f"sample {key}: {first_fault(error)}") from None
    sample: GroundedSample = json.loads(text)
    for fault in _faults(sample, key, split, decoded):
        raise Damaged(f"sample {key}: {fault}")
    return sample


def _faults(sample: GroundedSample, key: str, split: str, decoded: bool) -> Iterator[str]:
    if (sample["key"], sample["split"]) != (key, split):
        yield f"says key {sample['key']!r}, split {sample['split']!r}"
    if not all(EXTENSION.fullmatch(name) for name in sample["members"]):
        yield "members: a name that packing does not allow"
    height, width = sample["height"], sample["width"]
    if height * width > MOST_PIXELS:
        yield f"{width}x{height} pixels are more than can be decoded"
    for number, mention in enumerate(sample["mentions"]):
        if not all(0 <= region < len(sample["regions"]) for region in mention["regions"]):
            yield f"mention {number}: points to region {mention['regions']}"
        if mention.get("turn", 0) >= max(1, len(sample["turns"])):
            yield f"mention {number}: turn {mention['turn']}"
    for number, region in enumerate(sample["regions"]):
        rles = [region["rle"], *region["instances"]]
        if any(rle["size"] != [height, width] for rle in rles):
            yield f"region {number}: an RLE of another size than the picture's"
        elif not _add_up([rle["counts"] for rle in rles[decoded:]], height * width):
            yield f"region {number}: run lengths do not add up to the size"
    for number, one in enumerate(sample.get("ignored", ())):
        rle = one["rle"]
        if rle["size"] != [height, width] or not _add_up([rle["counts"]], height * width):
            yield f"ignored {number}: run lengths do not add up to the size of the picture"


def _add_up(counts: list[str], total: int) -> bool:
    if not counts:
        return True
    try:
        return all(runs.min() >= 0 and runs.sum() == total for runs in run_lengths(counts))
    except ValueError:
        return False


def first_fault(error: pydantic.ValidationError) -> str:
    """The first fault of a value that does not fit its model, without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
