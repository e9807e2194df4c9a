"""An annotated picture as the layouts hand it on, and what is checked of its outlines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from skimage.measure import label as components

from miner.corpora.corpus_folder import Folder

# Up to this id ranks are looked up in a table, which takes a third of the time of sorting.
_MOST_RANKED = 1 << 20


class BadTile(Exception):
    """A picture whose annotation cannot be used; the message is the reason."""


class Term(NamedTuple):
    """A class of a layout.

    Attributes:
        concept: canonical name, None where the table of concepts has none for it.
        phrase: how a text names several of it, or the substance.
    """

    concept: str | None
    phrase: str


class Item(NamedTuple):
    """A picture of a set, before anything of it is read.

    Attributes:
        name: unique within the set.
        group: patient, slide or fold: never straddles a split.
        where: how its layout finds it.
    """

    name: str
    group: str
    where: Any = None


@dataclasses.dataclass(frozen=True)
class Outlined:
    """One concept of a picture.

    Attributes:
        concept: canonical name.
        phrase: how a text names several of it.
        labels: int32 (H, W), 0 background, 1..n single objects or 1 for all of it.
        apart: whether the labels tell objects apart.
        complete: whether what lies outside is known to be none of it.
    """

    concept: str
    phrase: str
    labels: np.ndarray
    apart: bool = True
    complete: bool = True


@dataclasses.dataclass(frozen=True)
class Tile:
    """A picture and all that its annotators say of it.

    Attributes:
        picture: the publisher's bytes, or RGB, uint8 (H, W, 3), where it lies in an array.
        outlined: concepts that were looked for, also those that are not there.
        unknown: bool (H, W), where nobody looked; None where all was looked at.
        mpp: um per pixel as published, None when unknown.
        organ: as the site facts spell it, or "".
        stain: likewise.
        caption: published text, "" where there is none.
        meta: side columns.
        notes: what is wrong with the outlines, `reason:count`.
    """

    picture: bytes | np.ndarray
    outlined: tuple[Outlined, ...]
    unknown: np.ndarray | None = None
    mpp: float | None = None
    organ: str = ""
    stain: str = "H&E"
    caption: str = ""
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Layout(Protocol):
    """A set of one publisher.

    Attributes:
        items: its pictures, in a fixed order.
        problems: what is wrong with its files, a line each.
    """

    items: Sequence[Item]
    problems: Sequence[str]

    def read(self, item: Item) -> Tile:
        """A picture and its annotation.

        Raises:
            BadTile: with the reason why not.
        """
        ...


def by_class(
    labels: np.ndarray, codes: np.ndarray, terms: Mapping[int, Term]
) -> tuple[Outlined, ...]:
    """Single objects by their concept.

    Args:
        labels: int32 (H, W), ids 1..n.
        codes: int (n,), class of each; those that are no key of `terms` belong to no concept.
        terms: what classes mean; classes of one concept are one.

    Returns:
        Every concept of `terms`, also those without an object.
    """
    found = {}
    for term in terms.values():
        if term.concept is None or term.concept in found:
            continue
        mine = [code for code, other in terms.items() if other.concept == term.concept]
        chosen = np.concatenate([[False], np.isin(codes, mine)])
        found[term.concept] = Outlined(
            term.concept, term.phrase, ranked(np.where(chosen[labels], labels, 0))
        )
    return tuple(found.values())


def by_code(codes: np.ndarray, terms: Mapping[int, Term]) -> tuple[Outlined, ...]:
    """Regions by their concept.

    Args:
        codes: int (H, W), class of each pixel.
        terms: as for `by_class`.
    """
    found = {}
    for term in terms.values():
        if term.concept is None or term.concept in found:
            continue
        mine = [code for code, other in terms.items() if other.concept == term.concept]
        mask = np.isin(codes, mine).astype(np.int32)
        found[term.concept] = Outlined(term.concept, term.phrase, mask, apart=False)
    return tuple(found.values())


def majority(labels: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Class that most pixels of each object have, int64 (n,).

    Args:
        labels: int32 (H, W), ids 1..n.
        codes: int (H, W), class of each pixel, 0 and above.
    """
    there = labels > 0
    n, width = int(labels.max(initial=0)), int(codes.max(initial=0)) + 1
    cells = (labels[there].astype(np.int64) - 1) * width + codes[there]
    return np.bincount(cells, minlength=n * width).reshape(n, width).argmax(axis=1)


def read_file(folder: Folder, name: str, missing: str) -> bytes:
    """Bytes of a file of a set.

    Raises:
        BadTile: `missing` where it is not there, `unreadable_file` where it cannot be read.
    """
    try:
        return folder.read(name)
    except FileNotFoundError:
        raise BadTile(missing) from None
    except OSError:
        raise BadTile("unreadable_file") from None


def whole_numbers(ids: np.ndarray) -> np.ndarray:
    """Ids of any type as int64; floats hold more than 16 bits in some sets.

    Raises:
        BadTile: `fractional_ids`: negative, not finite, or no whole numbers.
    """
    with np.errstate(invalid="ignore"):
        numbers = ids.astype(np.int64)
    if ids.dtype.kind not in "iub" and not (numbers == ids).all():
        raise BadTile("fractional_ids")
    if numbers.min(initial=0) < 0:
        raise BadTile("fractional_ids")
    return numbers


def ranked(ids: np.ndarray) -> np.ndarray:
    """Label map with the ids 1..n in the order of the ids, int32 (H, W).

    Args:
        ids: int (H, W), 0 background.
    """
    top = int(ids.max(initial=0))
    if top > _MOST_RANKED:
        labels = np.zeros(ids.shape, np.int32)
        there = ids > 0
        labels[there] = np.unique(ids[there], return_inverse=True)[1] + 1
        return labels
    rank = np.zeros(top + 1, np.int32)
    rank[ids.ravel()] = 1
    rank[0] = 0
    np.cumsum(rank, out=rank)
    rank[0] = 0
    return rank[ids]


def split_ids(labels: np.ndarray) -> int:
    """How many parts objects have beyond one each.

    Args:
        labels: int32 (H, W), ids 1..n.
    """
    parts = components(labels, background=0, connectivity=2)
    return int(parts.max(initial=0)) - int(labels.max(initial=0))


def noted(**counts: int) -> tuple[str, ...]:
    """Notes `name:count` of what there is some of, sorted."""
    return tuple(f"{name}:{count}" for name, count in sorted(counts.items()) if count)
