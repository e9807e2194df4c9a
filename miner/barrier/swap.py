"""What was built beside takes the place of what stands, all of it.

    barrier/swap.json    which files go where, and which go; once it is there, the swap is finished
                         by whoever comes next, whatever ends it in between

Until then nothing that stands is touched. While files move there is no manifest, so nobody reads a
mixture.
"""

from __future__ import annotations

from collections.abc import Collection

from miner.barrier.pieces import FOLDER
from miner.core.layout import FINISHED, LEAKS, MANIFEST, RUN, SAMPLING
from miner.core.store import Store

_PLAN = f"{FOLDER}/swap.json"
_FOLDERS = ("shards", "ledger/samples", "ledger/candidates")
_FILES = (SAMPLING, LEAKS)
_LAST = (RUN, MANIFEST, FINISHED)  # in this order: each vouches for what came before


def publish(store: Store, folder: str, stay: Collection[str]) -> None:
    """Put everything in its place and remove the working folder.

    Args:
        store: OUT.
        folder: where the new files lie, named as in OUT.
        stay: files of OUT that are part of the new data set as they are.
    """
    put = _all(store.below(folder))
    keep = {*put, *stay}
    gone = [n for f in _FOLDERS for n in store.names(f) if n not in keep]
    gone += [n for n in _FILES if n not in keep and store.exists(n)]
    store.write_json(_PLAN, {"folder": folder, "put": put, "remove": gone})
    finish_swap(store)


def finish_swap(store: Store) -> None:
    """Go on with a swap that was cut off, if there is one."""
    if not store.exists(_PLAN):
        return
    plan = store.read_json(_PLAN)
    for name in (FINISHED, MANIFEST):
        if name in plan["put"] and store.exists(f"{plan['folder']}/{name}"):
            store.remove(name)
    for name in plan["remove"]:
        store.remove(name)
    order = [n for n in plan["put"] if n not in _LAST] + [n for n in _LAST if n in plan["put"]]
    for name in order:
        new = f"{plan['folder']}/{name}"
        if store.exists(new):
            store.move(new, name)
    # The plan goes last: marks of steps whose files have moved must never be gone on with.
    store.remove(plan["folder"].rpartition("/")[0])
    store.remove(FOLDER)


def _all(store: Store) -> list[str]:
    """Files of a store, by name."""
    root = store.path("")
    names = (path.removeprefix(root).lstrip("/") for path in store.fs.find(root))
    return sorted(name for name in names if ".tmp-" not in name)
