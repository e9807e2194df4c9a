"""Iterable loader on webdataset: shuffled, split by node and worker, resumable to the sample.

The order of an epoch is a permutation of the index, known before a tar is opened: shards are
permuted, then samples within a window. Rank and worker get contiguous parts of it, so every sample
comes exactly once an epoch whatever their number, and to resume is to start further in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
import webdataset as wds
from webdataset.compat import FluidInterface

from miner.core.errors import Refused
from shards.batch import PIXELS, from_one, keep_memory, to_one
from shards.index import integers
from shards.load import GroundedCaptions, collate
from shards.slots import MOST, Held, Slots

Ranges = list[list[int]]  # [start, stop) places in the order of an epoch
Equal = Literal["pad", "drop"]
PLACE = "place"  # field of an item: [worker, samples this worker has given]


class GroundedStream(wds.DataPipeline, FluidInterface):
    """Grounded captions in an endless choice of orders, one epoch an iteration.

    A `webdataset` pipeline: `.map(…)`, `.batched(…)` and the like append stages. Items are those of
    `GroundedCaptions` with `place`, by which `StreamLoader` knows how far each worker got.

    Args:
        out: OUT of a run: a folder or fsspec URL.
        split: name of the split, None for all.
        shuffle: whether to permute shards, and samples within a window.
        window: samples that are permuted together; whole tars where it is larger than they are.
        seed: of the permutations.
        filters: `concepts`, `min_score`, `max_q_value`, `strata`, `decode`, `transform`, `cache`,
            `check` of `GroundedCaptions`.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        split: str | None = None,
        *,
        shuffle: bool = False,
        window: int = 4096,
        seed: int = 0,
        **filters: Any,
    ):
        self._source = _Source(GroundedCaptions(out, split, **filters), shuffle, window, seed)
        super().__init__(self._source)

    def __len__(self) -> int:
        """Samples of a whole epoch over all ranks."""
        return len(self._source.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration, and forget where the last one stopped."""
        self._source.epoch, self._source.left, self._source.taken = epoch, None, 0

    def state_dict(self) -> dict[str, Any]:
        """Where this process is; behind a DataLoader ask `StreamLoader` instead."""
        return self._source.state([self._source.taken])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same rank; the number of workers may differ."""
        self._source.load(state)


class _Source(torch.utils.data.IterableDataset):
    """First stage of the pipeline: samples in order, those of this rank and worker."""

    def __init__(self, dataset: GroundedCaptions, shuffle: bool, window: int, seed: int):
        self.dataset = dataset
        self.epoch = 0
        self.left: Ranges | None = None  # of this rank; None: its whole share
        self.taken = 0
        self.equal: Equal | None = None  # how ranks get equally many samples
        self._shuffle, self._window, self._seed = shuffle, window, seed

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rank, world, worker, workers = wds.utils.pytorch_worker_info()
        if torch.utils.data.get_worker_info() is not None:
            keep_memory()
        order = self._order()
        mine = part(self._share(rank, world), worker, workers)
        self.taken = 0
        for start, stop in mine:
            for i in order[start:stop].tolist():
                item = self.dataset[i]
                self.taken += 1
                if isinstance(item, dict):
                    item[PLACE] = (worker, self.taken)
                yield item
        if workers == 1:
            self.left, self.taken, self.epoch = None, 0, self.epoch + 1

    def state(self, taken: Sequence[int]) -> dict[str, Any]:
        """State of this rank after each worker has given so many samples."""
        rank, world, _, _ = wds.utils.pytorch_worker_info()
        share = self._share(rank, world)
        left = [r for w, n in enumerate(taken) for r in _behind(part(share, w, len(taken)), n)]
        return {
            "epoch": self.epoch,
            "left": left,
            "samples": len(self.dataset),
            "shuffle": [self._shuffle, self._window, self._seed],
        }

    def load(self, state: dict[str, Any]) -> None:
        same = [len(self.dataset), [self._shuffle, self._window, self._seed]]
        if [state["samples"], list(state["shuffle"])] != same:
            raise Refused(
                f"the state is of {state['samples']} samples in order {state['shuffle']}, "
                f"this stream has {same[0]} in {same[1]}"
            )
        self.epoch, self.left, self.taken = state["epoch"], [list(r) for r in state["left"]], 0

    def _share(self, rank: int, world: int) -> Ranges:
        if self.left is not None:
            return self.left
        total = len(self.dataset)
        if self.equal is None or total % world == 0:
            return part([[0, total]], rank, world)
        start, stop = rank * total // world, (rank + 1) * total // world
        if self.equal == "drop":
            return [[start, start + total // world]]
        more = [] if stop - start > total // world else [[stop % total, stop % total + 1]]
        return [[start, stop], *more]

    def batches(self, batch_size: int, workers: int, drop_last: bool) -> int:
        """Batches of the next iteration of this rank: each worker makes its own."""
        rank, world, _, _ = wds.utils.pytorch_worker_info()
        share = self._share(rank, world)
        sizes = [sum(b - a for a, b in part(share, w, workers)) for w in range(workers)]
        return sum(n // batch_size if drop_last else -(-n // batch_size) for n in sizes)

    def _order(self) -> np.ndarray:
        """Rows of the index in the order of this epoch, int64 (n,)."""
        shard = integers(self.dataset.index["shard"])
        rows = np.arange(len(shard))
        if not self._shuffle:
            return rows
        rng = np.random.default_rng([self._seed, self.epoch])
        place = rng.permutation(int(shard.max()) + 1 if len(shard) else 0)
        rows = rows[np.argsort(place[shard], kind="stable")]
        for start in range(0, len(rows), self._window):
            rng.shuffle(rows[start : start + self._window])
        return rows


def part(ranges: Ranges, number: int, count: int) -> Ranges:
    """Part `number` of `count` nearly equal contiguous parts of some ranges."""
    total = sum(stop - start for start, stop in ranges)
    low, high = number * total // count, (number + 1) * total // count
    result: Ranges = []
    at = 0
    for start, stop in ranges:
        a, b = max(low - at, 0), min(high - at, stop - start)
        if a < b:
            result.append([start + a, start + b])
        at += stop - start
    return result


def _behind(ranges: Ranges, count: int) -> Ranges:
    """What is left of some ranges without their first `count` places."""
    result: Ranges = []
    for start, stop in ranges:
        skipped = min(count, stop - start)
        count -= skipped
        if start + skipped < stop:
            result.append([start + skipped, stop])
    return result


class StreamLoader:
    """A torch DataLoader over a `GroundedStream` that knows where it is.

    The state counts what was handed out, not what workers have fetched ahead, so nothing is lost
    and nothing comes twice. Iterating again starts the next epoch.

    Args:
        stream: the stream, without stages that drop or reorder samples.
        batch_size: samples in a batch.
        num_workers: worker processes.
        collate_fn: makes a batch of items, in this process; gets them without `place`.
        equal_batches: gives every rank equally many batches, so that none waits for another at the
            end of an epoch: "pad" gives a rank that has a sample less than others one of its
            neighbour's, "drop" leaves out the sample that others have more. By default each sample
            comes exactly once, and ranks may differ by a batch.
        options: further arguments of `torch.utils.data.DataLoader`.

    Raises:
        Refused: `equal_batches` is neither.
    """

    def __init__(
        self,
        stream: GroundedStream,
        batch_size: int = 1,
        num_workers: int = 0,
        collate_fn: Callable[[list[dict[str, Any]]], Any] = collate,
        equal_batches: Equal | None = None,
        **options: Any,
    ):
        if equal_batches not in (None, *get_args(Equal)):
            raise Refused(f"equal_batches: {equal_batches!r}; there are pad, drop and None")
        self.stream = stream
        stream._source.equal = equal_batches
        self._workers = max(1, num_workers)
        self._taken = [0] * self._workers
        self._collate = collate_fn
        # Pinning copies every batch anyway, in a thread that knows tensors and no slots.
        self._most = 0 if options.get("pin_memory") else MOST
        self._placed = _Placed(Slots(self._workers, self._most))
        self._held = Held(self._placed.slots)
        self._loader: torch.utils.data.DataLoader[Any] = torch.utils.data.DataLoader(
            stream,
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=self._placed,
            **options,
        )

    def __iter__(self) -> Iterator[Any]:
        source = self.stream._source
        epoch = source.epoch
        self._taken = [0] * self._workers
        if not self._loader.persistent_workers:  # new workers know nothing of the old ones' slots
            self._placed.slots = Slots(self._workers, self._most)
            self._held = Held(self._placed.slots)
        for places, batch in self._loader:
            for worker, count in places:
                self._taken[worker] = max(self._taken[worker], count)
            items = from_one(batch, self._held) if PIXELS in batch else batch["items"]
            yield self._collate(items)
        self.stream.set_epoch(epoch + 1)
        self._taken = [0] * self._workers

    def __len__(self) -> int:
        """Batches that this rank gives in an epoch, or in what a loaded state left of it."""
        loader = self._loader
        assert loader.batch_size is not None  # what StreamLoader always sets
        return self.stream._source.batches(loader.batch_size, self._workers, loader.drop_last)

    def state_dict(self) -> dict[str, Any]:
        """Where the consumer is."""
        return self.stream._source.state(self._taken)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state, with any number of workers; call before iterating."""
        self.stream.load_state_dict(state)
        self._taken = [0] * self._workers


class _Placed:
    """Collate of a worker: places of the items, and the items with their pixels in one piece."""

    def __init__(self, slots: Slots):
        self.slots = slots

    def __call__(self, items: list[dict[str, Any]]) -> tuple[list[tuple[int, int]], dict[str, Any]]:
        places = [item.pop(PLACE) for item in items]
        whole = all("image" in item and "masks" in item for item in items)
        return places, to_one(items, self.slots) if whole else {"items": items}
