"""Batches on their way from worker processes: all pixels in one piece of shared memory.

A tensor costs a file descriptor and a mapping on its way; a batch of images with some masks each
would cost dozens. Here it costs a slot of `shards.slots`, written where it is read.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Any

import torch

from shards.slots import Held, Slots

PIXELS = "pixels"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers of <malloc.h>


def keep_memory() -> None:
    """Let glibc keep what is freed, for the next batch of arrays of the same size.

    By default each large array is mapped and unmapped, and touching fresh pages costs more than
    filling them. Does nothing with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_MMAP_THRESHOLD, 1 << 28)
    mallopt(_TRIM_THRESHOLD, 1 << 29)


def to_one(items: Sequence[dict[str, Any]], slots: Slots) -> dict[str, Any]:
    """Items with their images and masks copied into one parcel, `pixels`.

    Masks go as pycocotools decodes them, column by column, which spares turning them round.

    Args:
        items: with `image` and `masks`.
        slots: give the memory to copy to.
    """
    tensors = [item["image"] for item in items]
    tensors += [item["masks"].transpose(1, 2) for item in items]
    pixels, parcel = slots.take(sum(t.numel() for t in tensors))
    at = 0
    for tensor in tensors:
        pixels[at : at + tensor.numel()].view(tensor.shape).copy_(tensor)
        at += tensor.numel()
    rest = [
        {k: v for k, v in item.items() if k not in ("image", "masks")}
        | {"shape": [list(item["image"].shape), list(item["masks"].shape)]}
        for item in items
    ]
    return {PIXELS: parcel, "items": rest}


def from_one(batch: dict[str, Any], held: Held) -> list[dict[str, Any]]:
    """Items again, their tensors views of the one parcel."""
    pixels, at = held.open(batch[PIXELS]), 0
    items: list[dict[str, Any]] = []
    for item in batch["items"]:
        shape = item["shape"][0]
        size = shape[0] * shape[1] * shape[2]
        items.append({"key": item["key"], "image": pixels[at : at + size].view(shape)})
        at += size
    for target, item in zip(items, batch["items"], strict=True):
        n, height, width = item.pop("shape")[1]
        size = n * height * width
        flat = pixels[at : at + size].view(n, width, height)
        target["masks"] = flat.transpose(1, 2)
        target.update((k, v) for k, v in item.items() if k != "key")
        at += size
    return items


def stacked(items: Sequence[dict[str, Any]]) -> torch.Tensor | list[torch.Tensor]:
    """Images as one tensor (B, H, W, 3) where sizes are equal; no copy when they lie in a row."""
    images = [item["image"] for item in items]
    if len({image.shape for image in images}) > 1:
        return images
    size = images[0].numel()
    in_a_row = all(a.data_ptr() + size == b.data_ptr() for a, b in itertools.pairwise(images))
    same = len({image.untyped_storage().data_ptr() for image in images}) == 1
    if in_a_row and same:
        shape = (len(images), *images[0].shape)
        return images[0].as_strided(shape, (size, *images[0].stride()))
    return torch.stack(images)
