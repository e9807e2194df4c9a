"""Map-style torch dataset over the shards of a run: random access without unpacking."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data._utils.collate import default_collate_fn_map

from miner.core.rle import decode_masks
from miner.core.store import Store
from shards.batch import stacked
from shards.decode import decode_image
from shards.index import Damaged, column, integers, read_index, select
from shards.read import ShardReader
from shards.sample import GroundedSample
from shards.trust import sound_sample

_COLUMNS = (
    "shard",
    "image_offset",
    "image_size",
    "image_crc32",
    "json_offset",
    "json_size",
    "json_crc32",
)
PICTURES = ("jpg", "png")


class Item(dict[str, Any]):
    """A dict of which torch knows by its type that `collate` makes the batches."""


class GroundedCaptions(torch.utils.data.Dataset):
    """Grounded captions with decoded masks.

    An item is a dict: `key`; `image` uint8 tensor (H, W, 3), RGB; `masks` uint8 tensor (n, H, W)
    with 0 and 1, one per region; `concepts`, the n names; `caption`; `sample`, the whole grounded
    sample. With `decode=False` there are the bytes `jpg` or `png` in place of image and masks.
    A torch DataLoader batches them as `collate` does; where a transform makes new objects of them,
    and these are no tensors of one size, it needs `collate_fn=shards.collate`.

    Args:
        out: OUT of a run: a folder or fsspec URL.
        split: name of the split, None for all.
        concepts: keep samples with a region of these concepts; see `shards.index.select`. Here and
            below samples are chosen; one that is keeps all its regions.
        min_score: keep samples with a region of at least this score.
        max_q_value: keep samples with a region of at most this q-value.
        strata: keep samples of one of these strata, for example `organ=kidney`.
        decode: decode image and masks.
        transform: applied to every item, last.
        cache: local folder for the tars of a remote OUT.
        check: compare every member with the checksum in the index.

    Raises:
        Damaged: manifest, index or tars do not fit together (tars: on first access).
        Refused: no such split.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        split: str | None = None,
        *,
        concepts: Collection[str] | None = None,
        min_score: float | None = None,
        max_q_value: float | None = None,
        strata: Collection[str] | None = None,
        decode: bool = True,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        cache: str | None = None,
        check: bool = True,
    ):
        store = Store(out)
        index, shards = read_index(store, split)
        rows = select(index, concepts, min_score, max_q_value, strata)
        self.index = index if len(rows) == len(index) else index.take(column(rows))
        self._at = np.stack([integers(self.index[n]) for n in _COLUMNS], axis=1)
        self._decode = decode
        self._transform = transform
        self._check = check
        self._reader = ShardReader(store, shards, cache)
        self._splits = [shard["split"] for shard in shards]

    def __len__(self) -> int:
        return self.index.num_rows

    def __getitem__(self, i: int) -> Any:
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        image, text = self._members(i)
        key, shard = self.index["key"][i].as_py(), int(self._at[i, 0])
        sample = sound_sample(text, key, self._splits[shard], decoded=self._decode)
        item: dict[str, Any] = Item(key=key)
        if self._decode:
            item.update(_decoded(image, sample))
        else:
            item[self.index["format"][i].as_py()] = image
        item.update(
            concepts=[r["concept"] for r in sample["regions"]],
            caption=sample["caption"],
            sample=sample,
        )
        return self._transform(item) if self._transform else item

    def side(self, i: int, name: str) -> bytes:
        """Bytes of a side file of sample i, by its extension."""
        for member in self.index["members"][i].as_py():
            if member["name"] == name:
                shard = int(self._at[i, 0])
                crc = member["crc32"] if self._check else None
                return self._reader.read(shard, member["offset"], member["size"], crc)
        raise KeyError(f"sample {self.index['key'][i]} has no side file {name!r}")

    def _members(self, i: int) -> tuple[bytes, bytes]:
        """Image and JSON of sample i, in one read: they lie side by side."""
        shard, start, size, crc, json_start, json_size, json_crc = self._at[i].tolist()
        block = self._reader.read(shard, start, json_start + json_size - start)
        image, text = block[:size], block[json_start - start :]
        if self._check and (zlib.crc32(image) != crc or zlib.crc32(text) != json_crc):
            raise Damaged(
                f"{self._reader.name(shard)}: sample {self.index['key'][i]} is not what the index "
                "says: the tar was changed"
            )
        return image, text


def _decoded(image: bytes, sample: GroundedSample) -> dict[str, torch.Tensor]:
    try:
        pixels = decode_image(image, (sample["height"], sample["width"]))
        masks = decode_masks([r["rle"] for r in sample["regions"]], *pixels.shape[:2])
    except ValueError as error:
        raise Damaged(f"sample {sample['key']}: {error}") from None
    return {"image": torch.from_numpy(pixels), "masks": torch.from_numpy(masks)}


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Batch items with any number of masks and any sizes.

    Returns:
        `images`: uint8 tensor (B, H, W, 3) when all sizes are equal, else a list of tensors;
        `masks`: list of uint8 tensors (n, H, W); every other field as a list. Of items that are not
        decoded there are `jpg` and `png` instead, None where a picture is of the other format.
    """
    names = dict.fromkeys(name for item in items for name in item)
    batch: dict[str, Any] = {}
    if names.keys() & set(PICTURES):
        names |= dict.fromkeys(PICTURES)
    if "image" in names:
        batch["images"] = stacked(items)
        del names["image"]
    return batch | {name: [item.get(name) for item in items] for name in names}


def _of_items(items: Sequence[Item], *, collate_fn_map: Any = None) -> dict[str, Any]:
    return collate(items)


# Masks and lists differ in length, on which torch's own way of batching ends.
default_collate_fn_map[Item] = _of_items
