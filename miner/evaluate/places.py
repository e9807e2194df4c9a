"""Which picture of a run an expert's name means: folders, suffixes and spellings may differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from miner.core.names import plain, stem

Picture = tuple[str, str]  # corpus, name as published


def whole(image: str) -> str:
    """The name with its folders and without suffix: `A/tile1` of `A/tile1.png`."""
    folders, slash, _ = plain(image).rpartition("/")
    return f"{folders}{slash}{stem(plain(image))}"


class Places:
    """Names by which experts call pictures, held against the pictures of a run.

    A picture is called by its name with its folders, or without them where no other picture of the
    corpus has that name.

    Args:
        names: (corpus, name without suffix) as experts have them.
        pictures: of the run; empty where it is not known which there are, and then no name is
            taken for that of several.
    """

    def __init__(self, names: Iterable[Picture], pictures: Iterable[Picture] = ()):
        self.names = frozenset((corpus, plain(name)) for corpus, name in names)
        self._pictures = frozenset(pictures)
        self._whole = Counter((corpus, whole(image)) for corpus, image in self._pictures)
        self._last = Counter((corpus, stem(plain(image))) for corpus, image in self._pictures)

    def name(self, corpus: str, image: str) -> str | None:
        """What experts call a picture; None where they do not, or might mean another one."""
        for called, times in ((whole(image), self._whole), (stem(plain(image)), self._last)):
            if (corpus, called) in self.names:
                return called if times[corpus, called] < 2 else None
        return None

    def strangers(self) -> list[str]:
        """Names that no picture of the run has, as `corpus/name`."""
        there = self._whole.keys() | self._last.keys()
        return sorted("/".join(name) for name in self.names - there)

    def shared(self) -> list[str]:
        """Names that several pictures of the run have and that are none's own."""
        own = {(corpus, self.name(corpus, image)) for corpus, image in self._pictures}
        there = (self._whole.keys() | self._last.keys()) & self.names
        return sorted("/".join(name) for name in there - own)
