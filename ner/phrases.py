"""From words to phrases: which noun phrases name a structure, and where they begin and end.

A shallow chunker. Table hits (longest match) and classed words stand in a row; a row is cut into
noun phrases whose last noun decides what the phrase names:

* an adjective after a noun starts a new phrase ("cells | large nuclei"), unless a hyphen binds it
  to the noun ("tumor-infiltrating lymphocytes");
* a plural noun does not modify the noun after it ("lymphocytes | plasma cells");
* modifiers of identity stay in the phrase, looks and amounts on its left edge go;
* an empty head ("cells", "areas") keeps the adjective next to it;
* a light noun ("formation") goes after a noun and stays after an adjective;
* adjectives before "and" that have no noun of their own join the phrase after it
  ("epithelial and myoepithelial cells").

Phrases whose last noun is a disease, an organ or an attribute are no structures.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

from ner.plain import Plain, plain
from ner.tokens import BINDING, COMMAS, HYPHENS, SOFT, split
from ner.vocabulary import (
    AMOUNT,
    AND,
    ATTRIBUTE,
    CHUNK,
    CONCEPT,
    CUE,
    DIAGNOSIS,
    FACT,
    IDENTITY,
    LIGHT,
    LOOK,
    NOUN,
    OR,
    PREPOSITION,
    SITE,
    VERB,
    Cue,
    Entry,
    Vocabulary,
    Word,
)


class Item(NamedTuple):
    """A table hit or classed word: words first:last of the text."""

    first: int
    last: int
    entry: Entry
    plural: bool


class Phrase(NamedTuple):
    """A noun phrase over the words first:last; `entry` is its last noun's."""

    first: int
    last: int
    entry: Entry
    concept: str


@dataclasses.dataclass(slots=True)
class Reading:
    """A text cut into words, with what was recognised in it.

    Attributes:
        plain: the plain text, and where its characters stand in the text as given.
        text: the plain text itself.
        starts: character offset of each word in the plain text.
        ends: end-exclusive character offset of each word.
        gaps: what stands behind each word.
        words: each word, looked up.
        items: table hits and classed words, in order.
        phrases: structures, in order, without overlaps.
        facts: phrases that state site, diagnosis, stain, magnification or specimen.
        cues: words at which polarity cues may begin: first, end-exclusive last of the table hit
            that starts there, and the cue that it is, if any.
        nouns: end-exclusive last word of each noun and phrase by its first word.
        others: markers and the sign of a magnification, in order.
    """

    plain: Plain
    text: str
    starts: list[int]
    ends: list[int]
    gaps: list[str]
    words: list[Word]
    items: list[Item]
    phrases: list[Phrase]
    facts: list[Phrase]
    cues: list[tuple[int, int, Cue | None]]
    nouns: dict[int, int]
    others: list[Item]

    def span(self, phrase: Phrase) -> tuple[int, int]:
        """Return the characters of the text as given that a phrase covers."""
        start, end = self.starts[phrase.first], self.ends[phrase.last - 1]
        return (start, end) if self.plain.starts is None else self.plain.span(start, end)

    def word_spans(self) -> tuple[list[int], list[int]]:
        """Return where each word starts and ends in the text as given."""
        spans = [self.plain.span(*ends) for ends in zip(self.starts, self.ends, strict=True)]
        return [start for start, _ in spans], [end for _, end in spans]


def read(
    text: str | Plain, vocabulary: Vocabulary, given: Mapping[str, Entry] | None = None
) -> Reading:
    """Return the words, phrases and facts of a text.

    Args:
        text: any text, or one that is plain already.
        vocabulary: the compiled tables.
        given: what words of this text mean by its own definition (abbreviations), as spelled.
    """
    origin = plain(text) if isinstance(text, str) else text
    text = origin.text
    parts = split(text)
    offsets = list(itertools.accumulate(map(len, parts)))
    surface = parts[1::2]
    known = vocabulary._cache
    look_up = vocabulary.word
    table = [known.get(word) or look_up(word) for word in surface]
    if given:
        for i, word in enumerate(surface):
            entry = given.get(word)
            if entry is not None:
                table[i] = Word(word.lower(), word.endswith("s"), entry, None, 0, True)
    reading = Reading(
        origin, text, offsets[:-1:2], offsets[1::2], parts[2::2], table, [], [], [], [], {}, []
    )
    reading.items = _items(reading)
    _chunk(reading, reading.items)
    return reading


def _items(reading: Reading) -> list[Item]:
    """Longest matches from left to right, else single classed words."""
    table, gaps = reading.words, reading.gaps
    starts, ends = reading.starts, reading.ends
    hyphens = not HYPHENS.isdisjoint(gaps)
    pairs = hyphens or " to " in reading.text
    count = len(table)
    items: list[Item] = []
    cues = reading.cues
    i = 0
    while i < count:
        word = table[i]
        if hyphens and i and gaps[i - 1] in HYPHENS:
            compound = _compound(reading, items, i)
            if compound is not None:
                items.append(compound)
                i += 1
                continue
        if not word.active:
            if word.cue is not None and _may_say(reading, i):
                cues.append((i, i + 1, None))
            i += 1
            continue
        entry, last = word.entry, i + 1
        node, j = word.node, i + 1
        while node and j < count:
            gap = gaps[j - 1]
            if gap not in BINDING and not (gap == ". " and ends[j - 1] - starts[j - 1] == 1):
                break
            here = node.get(table[j].lemma)
            if here is None:
                break
            j += 1
            # "The cells cluster": a plural before a singular is subject and verb.
            if here.entry is not None and (j != i + 2 or table[i + 1].plural or not word.plural):
                entry, last = here.entry, j
            node = here.next
        if last > i + 1 and entry is not None and _is_told(table, gaps, i, last, entry):
            entry, last = word.entry, i + 1
        if last == i + 1 and word.meanings:
            entry = _meaning(word, table) or entry
        if pairs and last == i + 1 and i + 2 < count and _is_pair(table, gaps, i):
            items.append(Item(i, i + 3, _LOOK_ITEM, False))
            i += 3
            continue
        if word.cue is not None:
            if entry is not None and entry.cue is not None:
                cues.append((i, last, entry.cue))
            elif last == i + 1 and _may_say(reading, i):
                cues.append((i, last, None))
        if entry is None or (word.flags & VERB and last == i + 1 and _is_verb(table, i)):
            i += 1
            continue
        items.append(_new(Item, (i, last, entry, table[last - 1].plural)))
        i = last
    return items


def _is_pair(table: list[Word], gaps: list[str], i: int) -> bool:
    """Whether three words are an adjective: "wall-to-wall", "salt-and-pepper", "end to end"."""
    if not table[i + 1].flags & (PREPOSITION | AND):
        return False
    if gaps[i] in HYPHENS and gaps[i + 1] in HYPHENS:
        return True
    return table[i + 1].lemma == "to" and table[i].lemma == table[i + 2].lemma


def _may_say(reading: Reading, i: int) -> bool:
    """Whether a cue may begin at word i though no table hit is one.

    Its words stand apart ("is not clearly seen") or it is all that is said ("Glands: positive").
    """
    words, gaps, here = reading.words, reading.gaps, reading.words[i].cue
    if here is None:
        return False
    if here.next and i + 1 < len(words):
        after = words[i + 1]
        if after.adverb or after.lemma in here.next:
            return True
    return here.entry is not None and (gaps[i] != " " or (i > 0 and gaps[i - 1] != " "))


def _meaning(word: Word, table: list[Word]) -> Entry | None:
    """What a standard abbreviation stands for in this text, None when nothing tells."""
    for meaning in word.meanings:
        if not meaning.context or any(other.lemma in meaning.context for other in table):
            return meaning.entry
    return None


# Second halves of compound adjectives that tell a look; all others keep the first half's meaning.
_LOOKS = frozenset(
    {"like", "shaped", "looking", "appearing", "sized", "walled", "colored", "stained"}
)
# A dozen items a caption: made without the detour over their class, which takes twice as long.
_new = tuple.__new__
_LOOK_ITEM = Entry(LOOK, "")
_IDENTITY_ITEM = Entry(IDENTITY, "")


def _compound(reading: Reading, items: list[Item], i: int) -> Item | None:
    """The adjective that ends in word i after a hyphen ("mucin-filled"), or None.

    Takes what it covers off `items`.
    """
    word = reading.words[i]
    entry = word.entry
    look = word.lemma in _LOOKS
    if entry is not None and not look and (entry.kind > NOUN or word.node is not None):
        return None
    if word.flags and not look and not word.flags & VERB:
        return None
    before = items[-1] if items and items[-1].last == i else None
    if before is not None and before.entry.kind > CHUNK:
        return None
    kept = before is not None and before.entry.kind >= IDENTITY
    if before is not None:
        items.pop()
    first = before.first if before is not None else i - 1
    if entry is not None and entry.kind == IDENTITY and not look:
        return Item(first, i + 1, entry, False)
    return Item(first, i + 1, _IDENTITY_ITEM if kept and not look else _LOOK_ITEM, False)


def _is_told(table: list[Word], gaps: list[str], i: int, last: int, entry: Entry) -> bool:
    """Whether words i:last are no adjective: "tumor infiltrating the stroma", "... fat".

    Without a hyphen, what tumors infiltrate is no "tumor-infiltrating" tissue, but cells may be.
    """
    first = table[i].entry
    if entry.kind != IDENTITY or first is None or first.name not in _OR_DISEASE:
        return False
    if gaps[i] != " " or not table[last - 1].lemma.endswith("ing") or last == len(table):
        return False
    return not any(
        word.entry is not None and (word.entry.name in _CELLS or word.entry.name == "cell")
        for word in table[last : last + 3]
    )


def _is_verb(table: list[Word], i: int) -> bool:
    """Whether a word that can be noun or verb ("infiltrates", "lines") is a verb here."""
    if i and table[i - 1].lemma in ("that", "which", "to", "they", "may", "can", "and", "also"):
        return True
    if i and table[i - 1].plural and not table[i].plural and table[i - 1].entry is not None:
        return True
    after = table[i + 1] if i + 1 < len(table) else None
    if i and table[i].plural and not table[i - 1].plural:
        before = table[i - 1].entry
        if before is not None and (before.kind == DIAGNOSIS or before.name in _OR_DISEASE):
            return after is None or not after.flags & VERB  # "The tumor infiltrates fat."
    return after is not None and after.lemma in ("the", "a", "an", "into", "this", "these")


def _chunk(reading: Reading, items: list[Item]) -> None:
    """Group items into phrases and facts of the reading."""
    gaps, phrase_nouns = reading.gaps, reading.nouns
    row: list[Item] = []
    nouns = False
    loose: list[Item] | None = None  # adjectives without a noun, left open for a coordination
    for item in items:
        first, last, entry, _ = item
        kind = entry.kind
        if row:
            before = row[-1]
            gap = gaps[first - 1]
            if kind > CHUNK or before.last != first or gap not in SOFT:
                loose = _close(reading, row, nouns, loose)
                row, nouns = [], False
            elif nouns and kind < NOUN:
                if gap in HYPHENS:
                    nouns = False
                else:
                    loose = _close(reading, row, nouns, loose)
                    row, nouns = [], False
            elif nouns and before.plural and kind != LIGHT:
                loose = _close(reading, row, nouns, loose)
                row, nouns = [], False
        if kind > CHUNK:
            if kind == CUE:
                continue
            phrase_nouns[first] = last
            if kind == FACT:
                reading.facts.append(Phrase(first, last, entry, ""))
                if entry.inner is not None:
                    _inner(reading, first, entry.inner)
            else:
                reading.others.append(item)
            continue
        row.append(item)
        if kind > NOUN:
            nouns = True
            phrase_nouns[first] = last
            if entry.inner is not None:
                _inner(reading, first, entry.inner)
    if row:
        _close(reading, row, nouns, loose)


def _inner(reading: Reading, first: int, inner: tuple[int, Entry]) -> None:
    """Add the site that a word within a table hit states: the "renal" of "renal cortex"."""
    i, entry = inner
    reading.facts.append(Phrase(first + i, first + i + 1, entry, ""))


def _close(
    reading: Reading, row: list[Item], nouns: bool, loose: list[Item] | None
) -> list[Item] | None:
    """Finish one row: a phrase, a fact, or loose adjectives, which are returned."""
    if not nouns:
        return _joined(reading, loose, row)
    while row[-1].entry.kind < NOUN:
        row.pop()
    head = row[-1]
    entry = head.entry
    if entry.kind == LIGHT:
        if len(row) == 1:
            return None
        if row[-2].entry.kind > NOUN:
            row.pop()
            head = row[-1]
            entry = head.entry
    first = head.first if len(row) == 1 else _left_edge(row)
    if loose and head.last - row[0].first > 1 and _joined(reading, loose, row) is not row:
        first = next((item.first for item in loose if item.entry.kind == IDENTITY), first)
    gaps, phrases = reading.gaps, reading.phrases
    taken = phrases[-1].last if phrases else 0
    while first > taken and gaps[first - 1] in HYPHENS:
        first -= 1
    if entry.kind <= CONCEPT:
        concept = _concept(row)
        if concept is not None and not (
            entry.name in _OR_DISEASE and _is_disease(reading, row, first)
        ):
            phrases.append(Phrase(first, head.last, entry, concept))
            reading.nouns[first] = head.last
    if entry.fact and not (entry.everyday and _is_figure(reading, head)):
        reading.facts.append(Phrase(first, head.last, entry, ""))
    if len(row) > 1:
        for item in row[:-1]:
            if item.entry.fact == "site" and not (
                item.entry.everyday and _is_figure(reading, item)
            ):
                reading.facts.append(Phrase(item.first, item.last, item.entry, ""))
    return None


_PEOPLE = frozenset(
    {"patient", "man", "woman", "child", "boy", "girl", "male", "female", "infant", "adult"}
)


def _is_figure(reading: Reading, item: Item) -> bool:
    """Whether a part of the body is a figure of speech: "the foot of the picture", "hand lens"."""
    words, gaps, i = reading.words, reading.gaps, item.last
    if i == len(words) or gaps[i - 1] not in SOFT:
        return False
    after = words[i]
    if after.lemma == "of":
        return not any(word.lemma in _PEOPLE for word in words[i + 1 : i + 8])
    return gaps[i - 1] in HYPHENS or not (after.flags or after.entry or after.adverb or after.node)


def _joined(reading: Reading, loose: list[Item] | None, row: list[Item]) -> list[Item]:
    """Return the adjectives before "and" or a comma together with those of the row."""
    if loose:
        between = row[0].first - loose[-1].last
        flags = reading.words[row[0].first - 1].flags
        gap = reading.gaps[loose[-1].last - 1]
        if (between == 1 and flags & (AND | OR) and (gap in SOFT or gap in COMMAS)) or (
            between == 0 and gap in COMMAS
        ):
            return [*loose, *row]
    return row


def _left_edge(row: list[Item]) -> int:
    """First word of the phrase: the first modifier of identity, or the head."""
    head = row[-1]
    edge = head.first
    for item in reversed(row[:-1]):
        kind = item.entry.kind
        if kind == ATTRIBUTE:
            break
        if kind >= IDENTITY:
            edge = item.first
    if edge == head.first and head.entry.head in ("empty", "loose") and len(row) > 1:
        before = row[-2]
        if before.entry.kind == LOOK:
            return before.first
    return edge


def _concept(row: list[Item]) -> str | None:
    """Canonical name of what the phrase names; None when it names nothing."""
    entry = row[-1].entry
    if len(row) == 1:
        return entry.name if entry.head not in ("bound", "loose") and entry.kind != LIGHT else None
    before = [item for item in row[:-1] if item.entry.kind != AMOUNT]
    if entry.kind == LIGHT:
        return (before[-1].entry.name or "structure") if before else None
    if entry.name == "cell" and before and before[-1].entry.kind == DIAGNOSIS:
        return "tumor cell" if _MALIGNANT.search(before[-1].entry.name) else entry.name
    if entry.head not in ("bound", "loose"):
        return entry.name
    if entry.name == "infiltration":
        return "inflammation" if any(item.entry.name in _CELLS for item in before) else None
    for item in reversed(before):
        kind = item.entry.kind
        if kind == CONCEPT or (kind == IDENTITY and item.entry.name):
            return item.entry.name
        if kind == SITE:
            return None
        identity = kind == IDENTITY and not item.entry.position
        if identity or (kind == LOOK and entry.head == "loose"):
            return entry.name
    return None


# Tissue or disease, by what stands around them.
_OR_DISEASE = frozenset({"tumor", "lesion"})
_MALIGNANT = re.compile("oma|cancer|tumor|leukemia")

# What infiltrates: an "infiltration" of anything else is a process, no structure.
_CELLS = frozenset(
    {
        "inflammatory cell",
        "inflammation",
        "lymphocyte",
        "lymphoid tissue",
        "plasma cell",
        "neutrophil",
        "eosinophil",
        "macrophage",
        "t cell",
        "b cell",
        "mast cell",
        "monocyte",
        "dendritic cell",
    }
)


def _is_disease(reading: Reading, row: list[Item], first: int) -> bool:
    """Whether "tumor" or "lesion" names a disease ("a mesenchymal tumor"), not what is shown."""
    head = row[-1]
    if head.last - head.first > 1:
        return False
    modified = first < head.first
    before = _determiner(reading, row[0].first)
    if head.entry.name == "lesion":
        return modified and before in ("a", "an")
    if head.plural:
        return before not in ("the", "these", "both")
    return before in ("a", "an") or (modified and before not in ("the", "this", "these"))


def _determiner(reading: Reading, first: int) -> str:
    """The function word before a phrase, past two words at most; "" at the start of a sentence."""
    for i in range(first - 1, max(first - 4, -1), -1):
        if reading.gaps[i] != " " and reading.gaps[i] not in HYPHENS:
            return ""
        if reading.words[i].flags:
            return reading.words[i].lemma
    return ""
