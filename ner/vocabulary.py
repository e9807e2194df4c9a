"""All tables compiled into one trie over dictionary forms of words.

Each row of `data/*.tsv` becomes an `Entry`; multi-word forms are paths of the trie. A surface word
is reduced once to a `Word` (dictionary form, single-word entry, trie node, grammatical class) and
remembered, so that reading a caption costs one dictionary look-up per word.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.resources
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from ner.concepts import Concept, concepts
from ner.tokens import words
from ner.words import fold, guess, singular

# Entry kinds that can be part of a noun phrase. Adjectives sort below NOUN, the rest above CHUNK.
AMOUNT, LOOK, IDENTITY = 1, 2, 3
LIGHT, CONCEPT, SITE, DIAGNOSIS, ATTRIBUTE = 11, 12, 13, 14, 15
NOUN, CHUNK = 10, 20
FACT, CUE, OTHER = 21, 22, 23

# Grammatical classes of function words.
PREPOSITION, VERB, DETERMINER, AND, OR, BREAK, NOUNLESS = 1, 2, 4, 8, 16, 32, 64

_CLASSES = {
    "preposition": PREPOSITION,
    "verb": VERB,
    "determiner": DETERMINER,
    "and": AND,
    "or": OR,
    "break": BREAK,
    "skip": NOUNLESS,
}
_ADJECTIVES = {
    "amount": AMOUNT,
    "look": LOOK,
    "identity": IDENTITY,
    "position": IDENTITY,
    "light": LIGHT,
}
_CONTEXT = {
    "site": SITE,
    "place": SITE,
    "tumor": DIAGNOSIS,
    "diagnosis": DIAGNOSIS,
    "attribute": ATTRIBUTE,
    "stain": FACT,
    "magnification": FACT,
    "specimen": FACT,
    "marker": OTHER,
    "method": OTHER,
    "idiom": OTHER,
}
# Fact that a row of `context.tsv` states, by its kind.
_FACTS = {
    "site": "site",
    "place": "site",
    "tumor": "diagnosis",
    "diagnosis": "diagnosis",
    "stain": "stain",
    "magnification": "magnification",
    "specimen": "specimen",
}
# Tell an organ where they stand alone ("cardiac muscle"), not within a term ("cardiac gland").
_LOCAL = frozenset({"alveolar", "cardiac", "cortical", "medullary", "nodal", "portal"})
TIMES = "times"  # an "x" by itself, as in "40 x"
_TIMES = re.compile(r"x(\d{1,4})|(\d{1,4})x")
_CACHED_WORDS = 200_000
# Stand between the words of a cue as adverbs do: "could not be clearly seen".
_BE = frozenset({"be", "been", "being"})


@dataclasses.dataclass(frozen=True, slots=True)
class Cue:
    """What a polarity cue does: negated, excluded, uncertain, affirmed, or "" for nothing.

    Attributes:
        forward: to what follows it.
        backward: to its subject.
        value: as the whole of what is said of a thing ("Necrosis: none").
        hides: whether it is a pseudo-cue, which does nothing and hides the cues inside it.
        ends: whether it closes the scope of a cue before it.
        follow: words that would make it, or a cue that begins inside it, a longer one.
        simple: whether no cue inside it can take effect in its place.
    """

    forward: str = ""
    backward: str = ""
    value: str = ""
    hides: bool = False
    ends: bool = False
    follow: frozenset[str] = frozenset()
    simple: bool = False

    @property
    def plain(self) -> bool:
        """Whether it does something elsewhere than behind a label."""
        return bool(self.forward or self.backward or self.hides or self.ends)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What a form means.

    Attributes:
        kind: one of the kinds above.
        name: canonical name; for an identity adjective the concept it comes from, or "".
        fact: kind of fact (site, diagnosis, stain, ...), "" when it states none.
        head: how a concept behaves as head of a phrase, see `Concept.head`.
        rank: order among forms that are spelled alike; the lowest wins.
        position: whether an adjective tells a compartment only ("the deep layer").
        cue: what a polarity cue does.
        home: organ that a structure, a diagnosis or a marker's stain tells of by itself.
        inner: the word in it that names an organ ("renal" in "renal cortex"): its place, its entry.
        everyday: whether it is a word of everyday speech, too ("hand").
    """

    kind: int
    name: str
    fact: str = ""
    head: str = ""
    rank: int = 0
    position: bool = False
    cue: Cue | None = None
    home: str = ""
    inner: tuple[int, Entry] | None = None
    everyday: bool = False


T = TypeVar("T")


class Trie(Generic[T]):
    """A node of a trie: the entry that ends here, and the words that may follow."""

    __slots__ = ("entry", "next")

    def __init__(self) -> None:
        self.entry: T | None = None
        self.next: dict[str, Trie[T]] = {}


Node = dict[str, Trie[Entry]]


@dataclasses.dataclass(frozen=True, slots=True)
class Word:
    """A surface word, looked up.

    Attributes:
        lemma: dictionary form.
        plural: whether the surface is the plural of the dictionary form.
        entry: what the word means alone, None for nothing.
        node: trie node of the words that may follow, None when no longer form starts here.
        flags: grammatical classes.
        active: whether there is anything to look at, so that most words are skipped by one test.
        meanings: what a standard abbreviation may stand for, by the words around it.
        cue: where the cues that start with this word begin, None when no cue does.
        adverb: whether it may stand between the words of a cue ("is not clearly seen").
    """

    lemma: str
    plural: bool
    entry: Entry | None
    node: Node | None
    flags: int
    active: bool
    meanings: tuple[Abbreviation, ...] = ()
    cue: Trie[Cue] | None = None
    adverb: bool = False


def read_table(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of `ner/data/{name}.tsv`; lines that start with # are comments."""
    source = importlib.resources.files("ner") / "data" / f"{name}.tsv"
    with source.open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        yield from csv.DictReader(lines, delimiter="\t")


def _cell(cell: str | None) -> list[str]:
    return [part.strip() for part in (cell or "").split(";") if part.strip()]


def _concept_forms(table: Iterable[Concept]) -> Iterator[tuple[str, Entry]]:
    organs = {row["name"] for row in read_table("context") if row["kind"] == "site"}
    for concept in table:
        home = concept.name if concept.name in organs else ""
        if len(concept.sites) == 1:
            home = concept.sites[0]
        entry = Entry(CONCEPT, concept.name, head=concept.head, rank=0, home=home)
        for form in (concept.name, *concept.forms):
            yield form, entry


def _context_forms() -> Iterator[tuple[str, Entry]]:
    for row in read_table("context"):
        kind = row["kind"]
        fact = _FACTS.get(kind, "")
        place = kind == "place"
        home = row["name"] if kind == "marker" else row["site"]
        entry = Entry(
            _CONTEXT[kind], row["name"], fact, rank=0 if place else 1, home=home, everyday=place
        )
        for form in (*([] if place else [row["name"]]), *_cell(row["forms"])):
            yield form, entry
        adjective = Entry(IDENTITY, "", fact=fact, head=row["name"], rank=2)
        for form in _cell(row["adjectives"]):
            yield form, adjective


def _word_forms() -> Iterator[tuple[str, Entry]]:
    for row in read_table("words"):
        if row["class"] in _ADJECTIVES:
            entry = Entry(
                _ADJECTIVES[row["class"]],
                row["concept"] or "",
                rank=3,
                position=row["class"] == "position",
            )
            for form in _cell(row["words"]):
                yield form, entry


def _cues() -> dict[str, Cue]:
    """All cues by form; a form of several rows does what all of them say."""
    cues: dict[str, Cue] = {}
    for row in read_table("cues"):
        effect, direction = row["effect"], row["direction"]
        both = direction == "both"
        more = {
            "forward": effect if direction == "forward" or both else "",
            "backward": effect if direction == "backward" or both else "",
            "value": effect if direction == "value" else "",
        }
        for cell in _cell(row["cues"]):
            for form in map(" ".join, itertools.product(*(x.split("|") for x in cell.split()))):
                cue = cues.get(form, Cue())
                # The first row wins: plain negation before doubt before comparison.
                cues[form] = Cue(
                    forward=cue.forward or more["forward"],
                    backward=cue.backward or more["backward"],
                    value=cue.value or more["value"],
                    hides=cue.hides or effect == "none",
                    ends=cue.ends or effect == "end",
                )
    return cues


@dataclasses.dataclass(frozen=True, slots=True)
class Abbreviation:
    """One meaning of a standard abbreviation; `context` holds dictionary forms, or nothing."""

    entry: Entry
    context: frozenset[str]


class Vocabulary:
    """The compiled tables.

    Args:
        table: concepts to find; the table of the package by default.
    """

    def __init__(self, table: Mapping[str, Concept] | None = None) -> None:
        self.concepts = concepts() if table is None else table
        cues = _cues()
        forms = [
            *_concept_forms(self.concepts.values()),
            *_context_forms(),
            *_word_forms(),
        ]
        split = [([fold(word) for word in words(form)], entry) for form, entry in forms]
        classed = [
            (fold(word), _CLASSES[row["class"]])
            for row in read_table("words")
            if row["class"] in _CLASSES
            for word in _cell(row["words"])
        ]
        cue_paths = [([fold(word) for word in words(form)], cue) for form, cue in cues.items()]
        raw = {word for path, _ in (*split, *cue_paths) for word in path}
        raw |= {word for word, _ in classed}
        lemma = {word: singular(word, raw) or word for word in raw}
        self._lemmas = set(lemma.values())
        self._flags: dict[str, int] = {}
        for word, flag in classed:
            self._flags[lemma[word]] = self._flags.get(lemma[word], 0) | flag
        self.root: Node = {}
        for path, entry in split:
            self._add([lemma[word] for word in path], entry)
        for path, _ in split:
            if len(path) > 1:
                self._name_organ([lemma[word] for word in path])
        self._cues: dict[str, Trie[Cue]] = {}
        ends = [_insert(self._cues, [lemma[word] for word in path]) for path, _ in cue_paths]
        for (path, cue), end in zip(cue_paths, ends, strict=True):
            path = [lemma[word] for word in path]
            end.entry = cue = dataclasses.replace(
                cue,
                follow=_follow(self._cues, path),
                simple=cue.hides or cue.ends or (bool(cue.forward) and not cue.backward),
            )
            # What denies by its place alone ("Mucin: negative") stays the word it is elsewhere.
            if cue.plain:
                self._add(path, Entry(CUE, " ".join(path), rank=-1, cue=cue))
        self._cache: dict[str, Word] = {}
        self._unknown_cell = Entry(CONCEPT, "cell") if "cell" in self.concepts else None
        self._short: dict[str, tuple[Abbreviation, ...]] = {}
        for row in read_table("speech"):
            meant = self.find(row["meant"])
            if meant is None:
                continue
            for form in _cell(row["heard"]):
                path = [fold(word) for word in words(form)]
                self._add([lemma.get(word, word) for word in path], meant)
                self._lemmas.update(path)
        self._cache.clear()
        for row in read_table("abbreviations"):
            long = self.find(row["long"])
            if long is not None:
                meaning = Abbreviation(long, frozenset(_cell(row["context"])))
                for short in _cell(row["short"]):
                    self._short[short] = (*self._short.get(short, ()), meaning)
        self._cache.clear()

    def _add(self, path: list[str], entry: Entry) -> None:
        here = _insert(self.root, path)
        known = here.entry
        if known is None or entry.rank < known.rank:
            here.entry = entry
        elif known.kind == CONCEPT and entry.kind == SITE and not entry.everyday:
            # A structure that is an organ, too ("bone"), tells of it.
            here.entry = dataclasses.replace(known, home=entry.name)

    def _name_organ(self, path: list[str]) -> None:
        """Note which word of a form names an organ."""
        here = _insert(self.root, path)
        entry = here.entry
        if entry is None or entry.kind not in (CONCEPT, DIAGNOSIS, FACT) or entry.inner is not None:
            return
        sites = self.concepts[entry.name].sites if entry.kind == CONCEPT else ()
        for i, word in enumerate(path):
            named = self.root[word].entry if word in self.root else None
            if named is None or named.fact != "site" or named.everyday:
                continue
            organ = named.head if named.kind == IDENTITY else named.name
            if organ in sites or not (sites or word in _LOCAL):
                here.entry = dataclasses.replace(entry, inner=(i, named))
                return

    def find(self, form: str) -> Entry | None:
        """Return the entry of a form, however it is spelled, or None."""
        node, here = self.root, None
        for word in words(form):
            here = node.get(self.word(word).lemma)
            if here is None:
                return None
            node = here.next
        return here.entry if here else None

    def word(self, surface: str) -> Word:
        """Return what is known about a surface word; remembered for the next time."""
        known = self._cache.get(surface)
        if known is None:
            known = self._look_up(surface)
            if len(surface) <= 40:
                if len(self._cache) >= _CACHED_WORDS:
                    self._cache.clear()
                self._cache[surface] = known
        return known

    def _look_up(self, surface: str) -> Word:
        if len(surface) > 40:
            return Word(surface, False, None, None, 0, False)
        meanings = self._short.get(surface, ())
        folded = fold(surface)
        plural = False
        if folded not in self._lemmas:
            one = singular(folded, self._lemmas)
            if one is not None:
                folded, plural = one, True
        here = self.root.get(folded)
        flags = self._flags.get(folded, 0)
        entry = here.entry if here else None
        if here is None and not flags:
            entry = self._guess(folded)
            plural = entry is not None and folded.endswith("s")
            times = _TIMES.fullmatch(folded)
            if folded == "x":
                entry = Entry(OTHER, TIMES)
            elif times is not None:
                entry = Entry(FACT, f"{int(times[1] or times[2])}x", fact="magnification")
        node = here.next if here and here.next else None
        if meanings and not meanings[0].context:
            entry, plural = meanings[0].entry, surface.endswith("s")
        active = entry is not None or node is not None or bool(meanings)
        adverb = bool(flags & NOUNLESS) or _adverb(folded)
        cue = self._cues.get(folded)
        return Word(folded, plural, entry, node, flags, active, meanings, cue, adverb)

    def _guess(self, word: str) -> Entry | None:
        kind = guess(word)
        if kind == "identity":
            return Entry(IDENTITY, "", rank=9)
        if kind == "look":
            return Entry(LOOK, "", rank=9)
        if kind == "cell":
            return self._unknown_cell
        if kind == "diagnosis":
            return Entry(DIAGNOSIS, word, fact="diagnosis", rank=9)
        if kind == "attribute":
            return Entry(ATTRIBUTE, word, rank=9)
        return None


def _insert(root: dict[str, Trie[T]], path: Iterable[str]) -> Trie[T]:
    """Return the node at the end of a path, which is made where it is missing."""
    node, here = root, Trie[T]()
    for word in path:
        here = node.setdefault(word, Trie())
        node = here.next
    return here


def _follow(root: Mapping[str, Trie[Cue]], path: Sequence[str]) -> frozenset[str]:
    """Words that follow a path, or the end of it, in a trie."""
    found: set[str] = set()
    for first in range(len(path)):
        node: Mapping[str, Trie[Cue]] = root
        for word in path[first:]:
            here = node.get(word)
            if here is None:
                if _adverb(word):
                    continue
                node = {}
                break
            node = here.next
        if node is not root:
            found.update(node)
    return frozenset(found)


def _adverb(word: str) -> bool:
    return word in _BE or word.endswith("ly")


@functools.cache
def vocabulary() -> Vocabulary:
    """The vocabulary of the package's own tables; built on first use."""
    return Vocabulary()
