"""Whether a phrase is affirmed, negated or uncertain: cues with scope.

In the manner of NegEx and ConText, but on noun phrases. A forward cue ("no", "lack of") reaches to
the first of: the end of the sentence, a word that opens another clause ("but", "which"), a finite
verb or a preposition of place after the first phrase ("no mucin in the cytoplasm"), a comma that
does not continue a list. A backward cue ("is absent", "cannot be excluded") reaches back over its
subject. Pseudo-cues ("no question", "not only") stand in the table with the effect "none": they are
longer than the cue inside them and so hide it.
"""

from __future__ import annotations

from ner.phrases import Item, Reading
from ner.tokens import HYPHENS
from ner.vocabulary import AND, BREAK, CHUNK, DETERMINER, NOUN, OR, PREPOSITION, VERB

_END = frozenset(".;!?")
_REACH = 40  # words; no cue reaches farther, so that run-on text is read in linear time
AFFIRMED, NEGATED, UNCERTAIN = "affirmed", "negated", "uncertain"


def polarities(reading: Reading) -> list[str]:
    """Return the polarity of each phrase of a reading, in order."""
    phrases = reading.phrases
    result = [AFFIRMED] * len(phrases)
    if not phrases:
        return result
    _alternatives(reading, result)
    if reading.cues:
        at = {word: i for i, phrase in enumerate(phrases) for word in range(*phrase[:2])}
        nouns = {item.first: item.last for item in reading.items if NOUN < item.entry.kind < CHUNK}
        closers = {item.first for item in reading.cues if item.entry.effect == "end"}
        for effect in (UNCERTAIN, NEGATED):
            for cue in reading.cues:
                if cue.entry.effect != effect:
                    continue
                reached: list[int] = []
                if cue.entry.direction != "backward":
                    reached += _forward(reading, cue, at, nouns, closers)
                if cue.entry.direction != "forward":
                    reached += _backward(reading, cue, at)
                for index in reached:
                    result[index] = effect
    if "?" in reading.text:
        _questions(reading, result)
    return result


def _forward(
    reading: Reading, cue: Item, at: dict[int, int], nouns: dict[int, int], closers: set[int]
) -> list[int]:
    """Phrases that a cue reaches after it."""
    words = reading.words
    reached: list[int] = []
    # "does not reach into the dermis" negates a verb, and nothing about the dermis.
    verbal = words[cue.last - 1].lemma in ("not", "t")
    passed = False  # whether the noun phrase after the cue has been passed
    i = cue.last
    while i < min(len(words), cue.last + _REACH):
        gap = reading.gap(i - 1)
        if not gap.isspace() and gap not in HYPHENS:
            if not _END.isdisjoint(gap) and gap != ".":
                break
            if ")" in gap and "(" not in gap and passed:
                break
            if "," in gap and passed and not _continues(reading, i, at):
                break
        index = at.get(i)
        if index is not None:
            reached.append(index)
            i = reading.phrases[index].last
            passed = True
            continue
        flags = words[i].flags
        if flags & BREAK or i in closers:
            break
        if verbal and not passed and flags & PREPOSITION and words[i].lemma != "of":
            break
        if passed and (
            flags & VERB
            or (flags & PREPOSITION and words[i].lemma not in ("of", "or"))
            or (flags & AND and _new_clause(reading, i + 1, at))
        ):
            break
        if i in nouns:
            passed = True
            i = nouns[i]
        else:
            i += 1
    return reached


def _continues(reading: Reading, i: int, at: dict[int, int]) -> bool:
    """Whether the comma before word i continues a list that an "or" or "and" closes."""
    words = reading.words
    end = min(len(words), i + _REACH)
    while i < end:
        flags = words[i].flags
        index = at.get(i)
        if flags & (OR | AND):
            return not _new_clause(reading, i + 1, at) if flags & AND else True
        if index is not None:
            i = reading.phrases[index].last
        elif flags & (VERB | BREAK | PREPOSITION | DETERMINER) and words[i].lemma != "of":
            return False
        else:
            i += 1
        if i < len(words):
            gap = reading.gap(i - 1)
            if not _END.isdisjoint(gap):
                return False
    return False


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
    """Phrases of the subject before a cue: "glands in the stroma are absent" negates the glands."""
    words = reading.words
    verb = bool(words[cue.first].flags & VERB) and words[cue.first].lemma in _AUXILIARIES
    free: list[int] = []  # governed by no preposition
    near: list[int] = []  # since the last preposition
    i = cue.first - 1
    while i >= max(0, cue.first - _REACH):
        gap = reading.gap(i)
        if not _END.isdisjoint(gap) and gap != ".":
            break
        if "," in gap and (free or near) and _opens(reading, i + 1):
            break
        index = at.get(i)
        if index is not None:
            near.append(index)
            i = reading.phrases[index].first - 1
            continue
        flags = words[i].flags
        if flags & BREAK or (flags & VERB and near):
            break
        if flags & PREPOSITION and near and words[i].lemma != "of":
            if not verb:
                break
            free, near = free or near, []
        i -= 1
    return near or free


_AUXILIARIES = frozenset(
    {"is", "are", "was", "were", "has", "have", "may", "can", "could", "cannot"}
)


def _opens(reading: Reading, i: int) -> bool:
    """Whether word i opens a clause after a comma: "and in this case ...", "the ..."."""
    words = reading.words
    if i < len(words) and words[i].flags & AND:
        i += 1
    return i < len(words) and bool(words[i].flags & (DETERMINER | PREPOSITION | BREAK))


def _alternatives(reading: Reading, result: list[str]) -> None:
    """Phrases joined by "or" are alternatives: each is uncertain."""
    for index in range(len(reading.phrases) - 1):
        left, right = reading.phrases[index], reading.phrases[index + 1]
        if right.first - left.last == 1 and reading.words[left.last].flags & OR:
            result[index] = result[index + 1] = UNCERTAIN


# A question asks whether something is there; "what is this tissue?" takes it for granted.
_ASKS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "can", "could", "any", "has", "have"}
)
_GIVEN = frozenset({"the", "this", "these", "that", "those"})


def _questions(reading: Reading, result: list[str]) -> None:
    """What a yes-or-no question asks for is uncertain."""
    first, asked = 0, False
    index = 0
    for i, word in enumerate(reading.words):
        if i == first:
            asked = word.lemma in _ASKS
        gap = reading.gap(i) if i + 1 < len(reading.words) else reading.text[reading.ends[i] :]
        if _END.isdisjoint(gap) and i + 1 < len(reading.words):
            continue
        while index < len(reading.phrases) and reading.phrases[index].last <= i + 1:
            phrase = reading.phrases[index]
            before = reading.words[phrase.first - 1].lemma if phrase.first > first else ""
            if asked and "?" in gap and before not in _GIVEN and result[index] == AFFIRMED:
                result[index] = UNCERTAIN
            index += 1
        first = i + 1
