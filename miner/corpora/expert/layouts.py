"""The layouts by name, and which one a folder has."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Mapping

from miner.corpora.corpus_folder import Folder
from miner.corpora.expert import aperio, bcss, matlab
from miner.corpora.expert.glas import GlaS
from miner.corpora.expert.nucls import NuCLS
from miner.corpora.expert.pannuke import PanNuke
from miner.corpora.expert.panoptils import PanopTILs
from miner.corpora.expert.plain import Plain
from miner.corpora.expert.segpath import SegPath
from miner.corpora.expert.stems import stem_of
from miner.corpora.expert.tile import Layout
from miner.corpora.expert.tnbc import TNBC


@dataclasses.dataclass(frozen=True)
class Published:
    """A layout that is read.

    Attributes:
        open: makes it of its folder; raises `Refused` where what it needs is not there.
        knows: whether a folder with these files is laid out so.
    """

    open: Callable[[Folder], Layout]
    knows: Callable[[Folder, list[str]], bool]


def _named(*patterns: str) -> Callable[[Folder, list[str]], bool]:
    """Whether for each of these expressions there is a file."""
    known = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]
    return lambda folder, names: all(any(map(one.search, names)) for one in known)


def _in(folder: str) -> str:
    return rf"(^|/){folder}/[^/]+$"


def _monuseg(folder: Folder, names: list[str]) -> bool:
    outlines = {stem_of(n) for n in names if n.lower().endswith(".xml")}
    return bool(outlines & {stem_of(n) for n in names if n.lower().endswith((".tif", ".svs"))})


# A layout shows in some thousand files; a corpus of a million pictures is not walked for it.
FIRST_FILES = 50_000

# Asked in this order whether they know a folder.
LAYOUTS: Mapping[str, Published] = {
    "pannuke": Published(PanNuke, _named(r"(^|/)images\.npy$", r"(^|/)masks\.npy$")),
    "lizard": Published(matlab.Lizard, lambda f, n: matlab.has("class", f, n)),
    "consep": Published(matlab.CoNSeP, lambda f, n: matlab.has("type_map", f, n)),
    "monusac": Published(aperio.MoNuSAC, aperio.has_classes),
    "monuseg": Published(aperio.MoNuSeg, _monuseg),
    "nucls": Published(NuCLS, _named(_in("rgb"), _in("csv"))),
    "panoptils": Published(PanopTILs, _named(_in("rgbs"), _in("masks"), _in("csv"))),
    "segpath": Published(SegPath, _named(r"_HE\.png$", r"_mask\.png$")),
    "bcss": Published(bcss.BCSS, _named(_in("masks"), rf"(^|/){bcss.TABLE}$|MPP-\d.*\.png$")),
    "glas": Published(GlaS, _named(r"_anno\.bmp$")),
    "tnbc": Published(TNBC, _named(r"(^|/)Slide_\w+/[^/]+\.png$", r"(^|/)GT_\w+/[^/]+\.png$")),
    "expert": Published(Plain, _named(r"^classes\.csv$", r"^images/", r"^labels/")),
}


@functools.lru_cache(maxsize=4)
def layout_of(folder: Folder) -> str | None:
    """Name of the layout that a folder has, by its first files, None for none of them."""
    names = list(itertools.islice(folder.walk(), FIRST_FILES))
    return next((name for name, one in LAYOUTS.items() if one.knows(folder, names)), None)


def open_layout(folder: Folder, name: str) -> Layout:
    """A set in the layout of this name; `expert` is the plain form, else whichever the folder has.

    Raises:
        Refused: the folder has another layout, or none.
    """
    if name == "expert":
        name = layout_of(folder) or name
    return LAYOUTS[name].open(folder)
