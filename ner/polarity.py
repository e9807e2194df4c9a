"""Whether a phrase is affirmed, negated or uncertain: cues with scope.

In the manner of NegEx and ConText, but on noun phrases. A forward cue ("no", "lack of") reaches to
the first of: the end of the sentence, a word that opens another clause ("but", "which"), a finite
verb or a preposition of place after the first phrase ("no mucin in the cytoplasm"), a comma that
does not continue a list. A backward cue ("is absent", "cannot be excluded") reaches back over its
subject. Pseudo-cues ("no question", "not only") stand in the table with the effect "none": they are
longer than the cue inside them and so hide it.
"""

from __future__ import annotations

from ner.phrases import Item, Phrase, Reading
from ner.vocabulary import AND, BREAK, DETERMINER, OR, PREPOSITION, VERB

_END = frozenset(".;!?")
AFFIRMED, NEGATED, UNCERTAIN = "affirmed", "negated", "uncertain"


def polarities(reading: Reading) -> list[str]:
    """Return the polarity of each phrase of a reading, in order."""
    phrases = reading.phrases
    result = [AFFIRMED] * len(phrases)
    if not phrases:
        return result
    at = {}
    for index, phrase in enumerate(phrases):
        for word in range(phrase.first, phrase.last):
            at[word] = index
    _alternatives(reading, result)
    cues = {cue.first: cue for cue in reading.cues}
    for effect in (UNCERTAIN, NEGATED):
        for cue in reading.cues:
            if cue.entry.effect != effect:
                continue
            reached: list[int] = []
            if cue.entry.direction != "backward":
                reached += _forward(reading, cue, at, cues)
            if cue.entry.direction != "forward":
                reached += _backward(reading, cue, at)
            for index in reached:
                result[index] = effect
    _questions(reading, result)
    return result


def _forward(reading: Reading, cue: Item, at: dict[int, int], cues: dict[int, Item]) -> list[int]:
    """Phrases that a cue reaches after it."""
    words = reading.words
    reached: list[int] = []
    i = cue.last
    while i < len(words):
        gap = reading.gap(i - 1)
        if i > cue.first and not gap.isspace():
            if not _END.isdisjoint(gap) and not _abbreviated(gap, reading, i):
                break
            if (")" in gap and "(" not in gap) and reached:
                break
            if "," in gap and reached and not _continues(reading, i, at):
                break
        index = at.get(i)
        if index is not None:
            reached.append(index)
            i = reading.phrases[index].last
            continue
        flags = words[i].flags
        if flags & BREAK:
            break
        other = cues.get(i)
        if other is not None and i > cue.first and other.entry.effect == "end":
            break
        if reached and flags & VERB:
            break
        if reached and flags & PREPOSITION and words[i].lemma != "of":
            break
        if reached and flags & AND and _new_clause(reading, i + 1, at):
            break
        i += 1
    return reached


def _abbreviated(gap: str, reading: Reading, i: int) -> bool:
    """Whether a full stop belongs to a number or an abbreviation instead of ending a sentence."""
    return gap == "."


def _continues(reading: Reading, i: int, at: dict[int, int]) -> bool:
    """Whether the comma before word i continues a list that an "or" or "and" closes."""
    words = reading.words
    seen = False
    while i < len(words):
        flags = words[i].flags
        index = at.get(i)
        if flags & (OR | AND):
            return not _new_clause(reading, i + 1, at) if flags & AND else True
        if index is not None:
            seen = True
            i = reading.phrases[index].last
        elif flags & (VERB | BREAK | PREPOSITION | DETERMINER) and words[i].lemma != "of":
            return False
        else:
            i += 1
        if i < len(words):
            gap = reading.gap(i - 1)
            if not _END.isdisjoint(gap):
                return False
    return seen and False


def _new_clause(reading: Reading, i: int, at: dict[int, int]) -> bool:
    """Whether what follows "and" is a statement of its own."""
    words = reading.words
    if i >= len(words):
        return True
    if words[i].flags & (DETERMINER | VERB | PREPOSITION | BREAK):
        return True
    for j in range(i, min(i + 6, len(words))):
        index = at.get(j)
        if index is not None:
            after = reading.phrases[index].last
            return (
                after < len(words)
                and bool(words[after].flags & VERB)
                and (reading.gap(after - 1).isspace())
            )
    return False


def _backward(reading: Reading, cue: Item, at: dict[int, int]) -> list[int]:
    """Phrases of the subject before a cue."""
    words = reading.words
    reached: list[int] = []
    i = cue.first - 1
    while i >= 0:
        if not _END.isdisjoint(reading.gap(i)):
            break
        index = at.get(i)
        if index is not None:
            reached.append(index)
            i = reading.phrases[index].first - 1
            continue
        flags = words[i].flags
        if flags & BREAK:
            break
        if flags & VERB and reached:
            break
        i -= 1
    return reached


def _alternatives(reading: Reading, result: list[str]) -> None:
    """Phrases joined by "or" are alternatives: each is uncertain."""
    for index in range(len(reading.phrases) - 1):
        left, right = reading.phrases[index], reading.phrases[index + 1]
        if right.first - left.last == 1 and reading.words[left.last].flags & OR:
            result[index] = result[index + 1] = UNCERTAIN


def _questions(reading: Reading, result: list[str]) -> None:
    """What is asked is open: phrases of a sentence that ends with a question mark."""
    if "?" not in reading.text:
        return
    for index, phrase in enumerate(reading.phrases):
        i = phrase.last - 1
        while i < len(reading.words):
            gap = reading.gap(i) if i + 1 < len(reading.words) else reading.text[reading.ends[i] :]
            if not _END.isdisjoint(gap):
                if "?" in gap and result[index] == AFFIRMED:
                    result[index] = UNCERTAIN
                break
            i += 1


def polarity_of(reading: Reading, phrase: Phrase) -> str:
    """Return the polarity of one phrase of a reading."""
    return polarities(reading)[reading.phrases.index(phrase)]
