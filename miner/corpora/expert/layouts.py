"""The layouts by name, and which one a folder has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from miner.core.errors import Refused
from miner.corpora.expert.pannuke import PanNuke
from miner.corpora.expert.tile import Layout
from miner.corpora.files import Folder


@dataclasses.dataclass(frozen=True)
class Published:
    """A layout that is read.

    Attributes:
        open: makes it of its folder; raises `Refused` where what it needs is not there.
        knows: whether a folder's files, by name, are laid out so.
    """

    open: Callable[[Folder], Layout]
    knows: Callable[[list[str]], bool]


def _named(*endings: str) -> Callable[[list[str]], bool]:
    """Whether some file ends like each of these."""
    return lambda names: all(any(n.endswith(e) for n in names) for e in endings)


# Asked in this order whether they know a folder.
LAYOUTS: Mapping[str, Published] = {
    "pannuke": Published(PanNuke, _named("images.npy", "masks.npy")),
}


def layout_of(folder: Folder) -> str | None:
    """Name of the layout that a folder has, None for none of them."""
    names = list(folder.walk())
    return next((name for name, one in LAYOUTS.items() if one.knows(names)), None)


def open_layout(folder: Folder, name: str) -> Layout:
    """A set in the layout of this name, `expert` for whichever it is.

    Raises:
        Refused: the folder has another layout, or none.
    """
    chosen = layout_of(folder) if name == "expert" else name
    if chosen is None:
        raise Refused(
            f"{folder.field}: {folder.url}: no annotated set that is read; there are "
            f"{', '.join(LAYOUTS)}"
        )
    return LAYOUTS[chosen].open(folder)
