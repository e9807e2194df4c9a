"""Splits that copies do not bridge, and of which small sets leave none empty.

A group is a video, article, patient or slide. Groups are placed one by one, those of the first
corpus first, by name: a group that shares a picture with placed ones goes where they are, any
other where its hash says. One that shares pictures with groups of two splits would bridge them,
and is left out. Where a split has no group after a corpus, though there are as many groups as
splits, a group of that corpus moves into it that shares no picture with others: the one that the
hash puts nearest. So a corpus that is added behind the others moves none of their groups.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping

from filters.splits import distance, split_of


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where groups belong.

    Attributes:
        shares: split -> share of the groups.
        seed: of the hash.
        groups: split of groups that a finished run placed.
        families: split of shared pictures that a finished run placed.
    """

    shares: Mapping[str, float]
    seed: int
    groups: Mapping[str, str] = dataclasses.field(default_factory=dict)
    families: Mapping[str, str] = dataclasses.field(default_factory=dict)


def placed(
    corpora: Iterable[Iterable[str]], families: Mapping[str, Iterable[str]], layout: Layout
) -> dict[str, str | None]:
    """Split of every group; None for one that bridges splits.

    Args:
        corpora: groups of each, the corpora in the order in which they are placed.
        families: of a group, the pictures that it shares with others, by the one that stays.
        layout: where a group belongs that shares none.
    """
    of_family = dict(layout.families)
    result: dict[str, str | None] = {}
    for groups in corpora:
        hashed = []
        for group in sorted(set(groups) - result.keys()):
            mine = sorted(families.get(group, ()))
            joined = {of_family[family] for family in mine if family in of_family}
            if len(joined) > 1:
                result[group] = None
                continue
            split = joined.pop() if joined else layout.groups.get(group)
            if split is None:
                split = split_of(group, layout.shares, layout.seed)
                hashed.append(group)
            result[group] = split
            of_family |= dict.fromkeys(mine, split)
        for group, split in _filled(hashed, result, families, layout).items():
            result[group] = split
            of_family |= dict.fromkeys(families.get(group, ()), split)
    return result


def _filled(
    hashed: Iterable[str],
    result: Mapping[str, str | None],
    families: Mapping[str, Iterable[str]],
    layout: Layout,
) -> dict[str, str]:
    """New split of the groups that move into splits without any.

    Args:
        hashed: groups that may move: those of this corpus that are where their hash says.
        result: split of every group so far.
        families: see `placed`.
        layout: see `placed`.
    """
    standing = {**layout.groups, **{g: split for g, split in result.items() if split}}
    sizes = Counter(standing.values())
    empty = sorted(layout.shares.keys() - sizes.keys())
    if not empty or len(standing) < len(layout.shares):
        return {}
    sharing = Counter(family for group in result for family in set(families.get(group, ())))
    free = {g for g in hashed if all(sharing[f] == 1 for f in families.get(g, ()))}
    moved: dict[str, str] = {}
    for split in empty:
        able = [g for g in free if sizes[standing[g]] > 1]
        if not able:
            break
        group = min(able, key=lambda g: (distance(g, split, layout.shares, layout.seed), g))
        free.remove(group)
        sizes[standing[group]] -= 1
        moved[group] = split
    return moved
