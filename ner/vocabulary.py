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
from collections.abc import Iterable, Iterator, Mapping

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
    "diagnosis": DIAGNOSIS,
    "attribute": ATTRIBUTE,
    "stain": FACT,
    "magnification": FACT,
    "specimen": FACT,
    "marker": OTHER,
    "method": OTHER,
}
_CACHED_WORDS = 200_000


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """What a form means.

    Attributes:
        kind: one of the kinds above.
        name: canonical name; for an identity adjective the concept it comes from, or "".
        fact: kind of fact (site, diagnosis, stain, ...), "" when it states none.
        head: how a concept behaves as head of a phrase, see `Concept.head`.
        rank: order among forms that are spelled alike; the lowest wins.
        effect: of a cue: negated, uncertain, none, end; of an adjective: position, or "".
        direction: of a cue: forward, backward, both.
    """

    kind: int
    name: str
    fact: str = ""
    head: str = ""
    rank: int = 0
    effect: str = ""
    direction: str = ""


Node = dict[str, "Trie"]


class Trie:
    """A node of the trie: the entry that ends here, and the words that may follow."""

    __slots__ = ("entry", "next")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.next: Node = {}


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
    """

    lemma: str
    plural: bool
    entry: Entry | None
    node: Node | None
    flags: int
    active: bool
    meanings: tuple[Abbreviation, ...] = ()


def read_table(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of `ner/data/{name}.tsv`; lines that start with # are comments."""
    source = importlib.resources.files("ner") / "data" / f"{name}.tsv"
    with source.open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        yield from csv.DictReader(lines, delimiter="\t")


def _cell(cell: str | None) -> list[str]:
    return [part.strip() for part in (cell or "").split(";") if part.strip()]


def _concept_forms(table: Iterable[Concept]) -> Iterator[tuple[str, Entry]]:
    for concept in table:
        entry = Entry(CONCEPT, concept.name, head=concept.head, rank=0)
        for form in (concept.name, *concept.forms):
            yield form, entry


def _context_forms() -> Iterator[tuple[str, Entry]]:
    for row in read_table("context"):
        kind = row["kind"]
        fact = kind if kind in ("site", "diagnosis", "stain", "magnification", "specimen") else ""
        entry = Entry(_CONTEXT[kind], row["name"], fact=fact, rank=1)
        for form in (row["name"], *_cell(row["forms"])):
            yield form, entry
        adjective = Entry(IDENTITY, "", fact=fact, head=row["name"], rank=2)
        for form in _cell(row["adjectives"]):
            yield form, adjective


def _word_forms() -> Iterator[tuple[str, Entry]]:
    for row in read_table("words"):
        if row["class"] in _ADJECTIVES:
            position = "position" if row["class"] == "position" else ""
            kind = _ADJECTIVES[row["class"]]
            entry = Entry(kind, row["concept"] or "", rank=3, effect=position)
            for form in _cell(row["words"]):
                yield form, entry


def _cue_forms() -> Iterator[tuple[str, Entry]]:
    for row in read_table("cues"):
        entry = Entry(
            CUE, row["cues"], rank=-1, effect=row["effect"], direction=row["direction"] or ""
        )
        for form in _cell(row["cues"]):
            yield form, entry


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
        forms = [
            *_cue_forms(),
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
        raw = {word for path, _ in split for word in path} | {word for word, _ in classed}
        lemma = {word: singular(word, raw) or word for word in raw}
        self._lemmas = set(lemma.values())
        self._flags: dict[str, int] = {}
        for word, flag in classed:
            self._flags[lemma[word]] = self._flags.get(lemma[word], 0) | flag
        self.root: Node = {}
        for path, entry in split:
            self._add([lemma[word] for word in path], entry)
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
        node, here = self.root, None
        for word in path:
            here = node.setdefault(word, Trie())
            node = here.next
        if here is not None and (here.entry is None or entry.rank < here.entry.rank):
            here.entry = entry

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
        node = here.next if here and here.next else None
        if meanings and not meanings[0].context:
            entry, plural = meanings[0].entry, surface.endswith("s")
        active = entry is not None or node is not None or bool(meanings)
        return Word(folded, plural, entry, node, flags, active, meanings)

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


@functools.cache
def vocabulary() -> Vocabulary:
    """The vocabulary of the package's own tables; built on first use."""
    return Vocabulary()
