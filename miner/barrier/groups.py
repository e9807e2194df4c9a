"""Splits that copies do not bridge: groups with a picture in common are in one split.

A group is a video, article, patient or slide. Groups are placed one by one, those of the first
corpus first: a group that shares a picture with placed ones goes where they are, any other where
its hash says. One that shares pictures with groups of two splits would bridge them, and is left
out. So a corpus that is added behind the others moves none of their groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def placed(
    groups: Iterable[str],
    families: Mapping[str, Iterable[str]],
    split_of: Callable[[str], str],
    standing: Mapping[str, str] | None = None,
) -> dict[str, str | None]:
    """Split of every group; None for one that bridges splits.

    Args:
        groups: in the order in which they are placed.
        families: of a group, the pictures that it shares with others, by the one that stays.
        split_of: where a group belongs that shares none.
        standing: split of shared pictures that were placed before, by a finished run.
    """
    of_family = dict(standing or {})
    result: dict[str, str | None] = {}
    for group in groups:
        if group in result:
            continue
        mine = sorted(families.get(group, ()))
        joined = {of_family[family] for family in mine if family in of_family}
        if len(joined) > 1:
            result[group] = None
            continue
        split = joined.pop() if joined else split_of(group)
        result[group] = split
        of_family |= dict.fromkeys(mine, split)
    return result
