"""Which parquet files are which split of a data set, by the rule of the datasets library.

The library itself is not asked: reading parquet needs a handful of packages, and it is not one of
them. That both answer the same is tested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fsspec.utils import glob_translate

from miner.core.errors import Refused
from miner.core.plain_yaml import BadYaml, load_yaml
from miner.corpora.corpus_folder import Folder

KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SHARD = re.compile(r"data/(.+)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


def splits_of(folder: Folder, names: Sequence[str]) -> dict[str, list[str]]:
    """Files of each split: as the data set's card says, else by their names.

    Args:
        folder: the data set.
        names: its parquet files, with `/` between folders.

    Raises:
        Refused: the card has several configurations and no default, or a file is of two splits.
    """
    stated = _card(folder)
    if stated is not None:
        matched = {
            split: [n for n in names if any(re.match(glob_translate(p), n) for p in patterns)]
            for split, patterns in stated.items()
        }
        return {split: found for split, found in matched.items() if found}
    names = [n for n in names if not any(p.startswith("__") for p in n.split("/")[:-1])]
    if found := _sharded(names):
        return found
    by_file = _keyed(names, 1)
    return _parted(folder, _keyed(names, 0) or by_file, by_file) or {"train": list(names)}


def _parted(
    folder: Folder, found: dict[str, list[str]], by_file: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Each file in one split; the library would read `train_test/test.parquet` in both."""
    for name in sorted({n for names in found.values() for n in names}):
        splits = [s for s, names in found.items() if name in names]
        if len(splits) > 1:
            own = [s for s in splits if name in by_file.get(s, ())]
            if len(own) != 1:
                raise Refused(
                    f"{folder.field}: {folder.path(name)}: by its name of the splits "
                    f"{' and '.join(splits)}: give it another"
                )
            for split in set(splits) - set(own):
                found[split].remove(name)
    return {split: names for split, names in found.items() if names}


def _sharded(names: Sequence[str]) -> dict[str, list[str]]:
    """`data/{split}-00000-of-00001.parquet`."""
    found: dict[str, list[str]] = {}
    for name in names:
        if shard := _SHARD.fullmatch(name):
            found.setdefault(shard.group(1), []).append(name)
    return found


def _keyed(names: Sequence[str], which: int) -> dict[str, list[str]]:
    """A keyword in the names of folders (`which` is 0) or files (1), between what is no letter."""
    found: dict[str, list[str]] = {}
    for split, words in KEYWORDS.items():
        end = r"(?:[-._ 0-9].*)?" if which == 0 else r"[-._ 0-9].*"
        word = re.compile(rf"(?:.*[-._ 0-9])?(?:{'|'.join(words)}){end}", re.DOTALL)
        for name in names:
            folders, file = name.split("/")[:-1], name.rpartition("/")[2]
            if any(map(word.fullmatch, (folders, [file])[which])):
                found.setdefault(split, []).append(name)
    return found


def _card(folder: Folder) -> dict[str, list[str]] | None:
    """Patterns of each split that README.md states, None where it states none."""
    try:
        text = folder.read("README.md").decode("utf-8", "replace")
        front = _FRONT.match(text.replace("\r\n", "\n"))
        card = load_yaml(front.group(1)) if front else {}
    except (OSError, BadYaml):
        return None
    stated = card.get("configs") if isinstance(card, dict) else None
    configs = [c for c in stated or () if isinstance(c, dict) and "data_files" in c]
    if not configs:
        return None
    default = [c for c in configs if c.get("default") or c.get("config_name") == "default"]
    if not default and len(configs) > 1:
        names = ", ".join(str(c.get("config_name")) for c in configs)
        raise Refused(
            f"{folder.field}: {folder.url}: the card has the configurations {names} and no "
            "default: give the folder of one of them"
        )
    return _patterns((default or configs)[0]["data_files"])


def _patterns(stated: Any) -> dict[str, list[str]]:
    """`data_files` of a card: patterns, or splits with patterns."""
    found: dict[str, list[str]] = {}
    for item in stated if isinstance(stated, list) else [stated]:
        split, paths = (
            (item.get("split"), item.get("path")) if isinstance(item, dict) else ("", item)
        )
        plain = paths if isinstance(paths, list) else [paths]
        found.setdefault(str(split or "train"), []).extend(str(p).removeprefix("./") for p in plain)
    return found
