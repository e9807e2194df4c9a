"""Shared memory between worker processes and the loader, written again when it is let go.

The first touch of a fresh page costs more than decoding fills it with, so a worker keeps its pieces
and the loader keeps them mapped. A piece goes to the loader once; from then on a batch on its way
is the number of a slot. The slot is free again when the last tensor that looks into it is gone.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch

MOST = 32  # slots of a worker; a consumer that holds more batches gets memory of its own


class Parcel(NamedTuple):
    """Uint8 memory on its way to the loader.

    Attributes:
        worker: number of the worker.
        slot: number of the slot, None for memory that is used once.
        size: bytes in use.
        piece: the memory, None where the loader has it.
    """

    worker: int
    slot: int | None
    size: int
    piece: torch.Tensor | None


class Slots:
    """The worker's side; goes to workers by fork or pickle.

    Args:
        workers: number of worker processes.
        most: slots of each; 0 takes fresh memory every time.
    """

    def __init__(self, workers: int, most: int = MOST):
        # One byte a slot: set by its worker, cleared by the loader.
        self.taken = torch.zeros((workers, most), dtype=torch.uint8).share_memory_()
        self._pieces: list[torch.Tensor] = []

    def take(self, size: int) -> tuple[torch.Tensor, Parcel]:
        """Memory to write to, uint8 (size,), and what to send."""
        info = torch.utils.data.get_worker_info()
        worker = 0 if info is None else info.id
        taken = self.taken[worker]
        free = torch.nonzero(taken == 0)
        if info is None or not len(free):
            piece = _shared(size) if info else torch.empty(size, dtype=torch.uint8)
            return piece, Parcel(worker, None, size, piece)
        slot = int(free[0])
        taken[slot] = 1
        known = slot < len(self._pieces) and self._pieces[slot].numel() >= size
        if not known:
            # The lowest free slot is taken first, so slots come into use one after the other.
            self._pieces[slot : slot + 1] = [_shared(size + size // 4)]
        piece = self._pieces[slot]
        return piece[:size], Parcel(worker, slot, size, None if known else piece)


class Held:
    """The loader's side: pieces that stay mapped.

    Args:
        slots: what the workers have.
    """

    def __init__(self, slots: Slots):
        self._taken = slots.taken
        self._pieces: dict[tuple[int, int], torch.Tensor] = {}

    def open(self, parcel: Parcel) -> torch.Tensor:
        """What a worker sent, uint8 (size,); the slot is free when no tensor looks into it."""
        if parcel.slot is None:
            assert parcel.piece is not None
            return parcel.piece[: parcel.size]
        place = (parcel.worker, parcel.slot)
        if parcel.piece is not None:
            self._pieces[place] = parcel.piece
        # Tensors that share memory do not tell when the last is gone; the array under them does.
        array = self._pieces[place].numpy()[: parcel.size]
        weakref.finalize(array, _clear, self._taken, *place).atexit = False
        return torch.from_numpy(array)


def _clear(taken: torch.Tensor, worker: int, slot: int) -> None:
    taken[worker, slot] = 0


def _shared(size: int) -> torch.Tensor:
    """Uint8 tensor (size,) in shared memory, without a copy."""
    empty: Any = torch.empty(0, dtype=torch.uint8)
    return empty.new(empty._typed_storage()._new_shared(size, device=empty.device))
