"""Megatron-Energon: the run's tars as they are, with an index and a description beside them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from shards.export.folder import Folder, Place, Sample
from shards.export.options import Options, exporters
from shards.pack import FOLDER
from shards.trust import Damaged

ENERGON = "7.4.1"  # whose layout this is
BLOCK = 1 << 20
ADVICE = (
    "energon: a crude data set; a Cooker of your TaskEncoder makes samples of it (picture under jpg"
    " or png, the grounded sample under json)"
)


@dataclasses.dataclass
class _Tar:
    """A tar of the export.

    Attributes:
        split: of its samples.
        starts: byte of the first header of each sample, in their order.
        end: byte behind the last sample.
    """

    split: str
    starts: list[int]
    end: int


def energon(samples: Iterable[Sample], folder: Folder, options: Options) -> None:
    """Energon: the tars, `NAME.tar.idx`, `.nv-meta/`: dataset.yaml, split.yaml, .info.json.

    An index is little-endian uint64: where each sample begins, and where the last one ends.
    """
    tars: dict[str, _Tar] = {}
    for sample in samples:
        place = sample.place
        if place is None or sample.value.get("tasks"):
            folder.lose(sample.key, None, "energon reads the tars of a run as they are", "dropped")
            continue
        name = place.tar["name"]
        folder.files += 1
        if name not in tars:
            _copy(place, folder)
            tars[name] = _Tar(sample.split, [], 0)
        tars[name].starts.append(place.start)
        tars[name].end = place.end
    parts: dict[str, list[str]] = defaultdict(list)
    for name, tar in tars.items():
        parts[tar.split].append(name)
        offsets = np.array([*tar.starts, tar.end], "<u8")
        folder.put(f"{name}.idx", offsets.tobytes())
    # YAML, of which JSON is a part.
    crude = {"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}
    folder.put_json(".nv-meta/dataset.yaml", crude)
    folder.put_json(".nv-meta/split.yaml", {"split_parts": parts, "exclude": []})
    counts = {name: len(tar.starts) for name, tar in tars.items()}
    folder.put_json(".nv-meta/.info.json", {"energon_version": ENERGON, "shard_counts": counts})
    folder.say(ADVICE)


def _copy(place: Place, folder: Folder) -> None:
    """Copy a tar into the export, and compare it with the manifest.

    Raises:
        Damaged: it is not what the manifest says.
    """
    name, found = place.tar["name"], hashlib.sha256()
    path = place.store.path(f"{FOLDER}/{name}")
    with place.store.fs.open(path, "rb") as source, open(folder.root / name, "wb") as copy:
        while block := source.read(BLOCK):
            found.update(block)
            copy.write(block)
    if found.hexdigest() != place.tar["sha256"]:
        raise Damaged(f"{FOLDER}/{name}: changed since it was written (sha256 differs)")


PARTS = exporters({"energon": energon}, no_dialogues=("energon",), read={})
