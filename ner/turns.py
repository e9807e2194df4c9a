"""Questions and answers: what a text in turns asserts.

A question asserts nothing. "Is there necrosis?" makes necrosis affirmed where the answer is yes and
denied where it is no; the word "Yes" is then the mention, so that what is grounded stands in the
answer. Of a choice the right option is affirmed, again in the answer, and wrong ones that name a
structure of the same kind are denied. What a rule does not surely read stays uncertain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ner.concepts import concepts
from ner.families import related
from ner.ground import judge, picture
from ner.mentions import Fact, Mention

ASKING = frozenset({"user", "human", "question"})
SILENT = frozenset({"system"})  # instructions to a model, about no picture
QUESTION = "question"  # reason of a mention that only a question makes

_LEAD = re.compile(r"\W*(yes|yeah|yep|no|nope|true|false|correct|incorrect)\b", re.IGNORECASE)
_NO = frozenset({"no", "nope", "false", "incorrect"})
# Behind such a word the lead is no plain yes or no; behind the others a yes is none.
_HEDGED = re.compile(
    r"\b(?:probabl[ey]|possibl[ey]|perhaps|maybe|likely|unlikely|uncertain|unclear|unsure|cannot "
    r"(?:say|tell|be (?:determined|excluded))|can't (?:say|tell)|could|might|may|seems?|appears?|"
    r"suspicious|although|partly|sort of|at least|hard to)\b",
    re.IGNORECASE,
)
_TURNED = re.compile(
    r"\b(?:not|no|but|however|isn't|aren't|doesn't|don't|cannot|can't)\b", re.IGNORECASE
)
_VERBS = (
    r"(?:show|contain|have|include|demonstrate|reveal|exhibit|depict|display|feature|see|find|"
    r"identify|observe|notice|recognize|detect|appreciate|harbor|present|illustrate)"
)
_SEEN = (
    r"(?:present|visible|seen|identified|evident|observed|noticed|found|shown|detected|noted|"
    r"apparent|depicted|appreciated|noticeable|demonstrated|displayed|there|in evidence|"
    r"\w+(?:iz|is|v|c)able|identifiable|"
    r"(?:one of|among|part of|a (?:part|component|feature) of) (?:the|this|these))"
)
_GONE = r"(?:absent|missing|lacking|not (?:present|visible|seen|identified|evident|found|there))"
_SUBJECT = r"(?:you|we|one|(?:the|this|that|these)\s[\w&-]+(?:\s[\w&-]+){0,3}?|it|they)"
_OPENING = re.compile(
    r"(?:would|do|can|could)\s+you\s+(?:say|tell|think|agree|conclude|believe|confirm)\s+(?:that\s+|whether\s+|if\s+)?|"
    r"is\s+it\s+true\s+that\s+",
    re.IGNORECASE,
)
_THERE = re.compile(r"(?:(?:is|are|was|were)\s+there|there\s+(?:is|are))\s+", re.IGNORECASE)
_SHOWS = re.compile(
    rf"(?:(?:do|does|did|can|could|would)\s+{_SUBJECT}\s+{_VERBS}|"
    rf"(?:has|have)\s+{_SUBJECT}(?:\s+(?:noticed|seen|found|identified|got))?)\s+",
    re.IGNORECASE,
)
_IS = re.compile(r"(?:is|are|was|were|can|could)\s+", re.IGNORECASE)
_IS_THIS = re.compile(r"(?:is|are)\s+(?:this|that|it|these|those)\s+(?:an?\s+)?", re.IGNORECASE)
_BE = rf"\s+(?:(?:is|are|was|were|be|being|can be|could be)\s+)?(?:also\s+)?{_SEEN}\b"
# Words between the verb and the name of a structure that do not narrow it.
_FREE = re.compile(
    r"(?:\s*\b(?:any|an?|the|some|histologic|histological|microscopic|convincing|evidence|signs?|hints?|traces?|areas?|foci|focus|features?|presence|of|obvious|"
    r"visible|definite|clear|cut)\b)*\s*",
    re.IGNORECASE,
)
# A place behind the name: "no" then says that it is not there, not that it is nowhere.
_PLACE = re.compile(
    r"\b(in|within|inside|around|near|between|beneath|under|above|along|throughout|at|on|outside|"
    r"surrounding|invading|infiltrating|adjacent|lining|filling|of|with|without)\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"\b(not|except|absent|absence|lacks?|lacking|missing|never|least|false|incorrect|none)\b|n't\b",
    re.IGNORECASE,
)
_NO_OF_IT = re.compile(r"\b(no|without|absence of|lack of|lacking)\b", re.IGNORECASE)
_OPTION = re.compile(r"(?:^|(?<=[\s;,(]))\(?([A-H])\s?[).:]\s*", re.MULTILINE)
_CHOICE = re.compile(
    r"\W*(?i:(?:the\s+)?(?:(?:correct|right|best)\s+)?(?:answer|option|choice)\b"
    r"\s*(?:is)?\s*:?\s*)?"
    r"(?i:option\s+)?\(?([A-H])(?:\)|\.|:|,|\s*$|(?=\s[A-Z]))",
)
# Where a question may begin: behind a sentence, a line, a mark such as <image>, an opening clause.
_BREAK = re.compile(
    r"(?:[.!?:]\s+|\n\s*|>\s*)(?=\S)|,\s+(?=(?:is|are|do|does|can|could|has|have)\b)", re.IGNORECASE
)
_THOUGHT = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)
_SHORT_WORDS = 6


class Said(NamedTuple):
    """What was found in one turn.

    Attributes:
        mentions: in its text.
        facts: likewise.
    """

    mentions: Sequence[Mention]
    facts: Sequence[Fact]


class _Ask(NamedTuple):
    """What a question asks the existence of.

    Attributes:
        mentions: of the question.
        denies: whether "yes" means that it is not there.
        certain_no: whether "no" says that there is none of it anywhere.
        certain_yes: whether "yes" says that all of it is there.
    """

    mentions: Sequence[Mention]
    denies: bool
    certain_no: bool
    certain_yes: bool


def settle(turns: Sequence[Mapping[str, Any]], found: Sequence[Said]) -> list[Mention]:
    """Mentions of a text in turns, by what its answers say.

    Args:
        turns: role and text.
        found: what each text names, as if it stood alone.

    Returns:
        Mentions with `turn`, in the order of the turns. Those of questions are never groundable.
    """
    seen = picture([fact for said in found for fact in said.facts])
    result: list[list[Mention]] = []
    for i, (turn, said) in enumerate(zip(turns, found, strict=True)):
        mine = [m._replace(turn=i) for m in said.mentions]
        if turn["role"] in SILENT:
            mine = []
        elif turn["role"] in ASKING:
            mine = [_asked(m) for m in mine]
        result.append(mine)
        if turn["role"] in ASKING or not i or turns[i - 1]["role"] not in ASKING:
            continue
        question, answer = str(turns[i - 1]["text"] or ""), str(turn["text"] or "")
        result[i - 1], result[i] = _exchange(question, answer, result[i - 1], mine)
    table = concepts()
    facts = [fact for said in found for fact in said.facts]
    return [
        judge(m, table[m.concept], seen, facts) if m.reason is None and not m.groundable else m
        for turn_mentions in result
        for m in turn_mentions
    ]


def _asked(mention: Mention) -> Mention:
    return mention._replace(polarity="uncertain", groundable=False, reason=QUESTION)


def _exchange(
    question: str, answer: str, asked: list[Mention], said: list[Mention]
) -> tuple[list[Mention], list[Mention]]:
    """Mentions of a question and of its answer, by each other."""
    thought = _THOUGHT.match(answer)
    begin = thought.end() if thought else 0
    final = answer[begin:]
    options = _options(question)
    if options:
        chosen = _chosen(options, question, final)
        if chosen is not None:
            return _choice(question, options, chosen, begin, final, asked, said)
    ask = _existence(question, asked)
    lead = _LEAD.match(final)
    if ask is not None and lead is not None:
        return asked, [*said, *_led(ask, lead, begin, final, said)]
    if not options and _NEGATIVE.search(question) and len(final.split()) <= _SHORT_WORDS:
        said = [_denied(m) if m.polarity == "affirmed" else m for m in said]
    return asked, said


def _denied(mention: Mention) -> Mention:
    return mention._replace(polarity="negated", groundable=False, reason="negated")


def _led(
    ask: _Ask, lead: re.Match[str], begin: int, final: str, said: Sequence[Mention]
) -> list[Mention]:
    """Mentions that the word yes or no makes, of what the answer does not name itself."""
    start, end = lead.span(1)
    yes = lead.group(1).lower() not in _NO
    rest = final[end:]
    named = {m.concept for m in said if m.start >= begin}
    # "No, but there are lymphocytes" is plain: what follows is about these.
    hedged = not named and (_HEDGED.search(rest) or (yes and _TURNED.search(rest)))
    found = []
    for mention in ask.mentions:
        if mention.concept in named:
            continue
        there = yes != ask.denies
        sure = ask.certain_yes if there else ask.certain_no
        polarity = "affirmed" if there else "negated"
        if not sure or hedged:
            polarity = "uncertain"
        found.append(_pointed(mention, polarity, begin + start, begin + end, lead.group(1)))
    return found


def _pointed(mention: Mention, polarity: str, start: int, end: int, text: str) -> Mention:
    """A mention of the answer that stands for what the question names."""
    return mention._replace(
        start=start,
        end=end,
        text=text,
        polarity=polarity,
        votes=tuple(f"{source}:{polarity}" for source in mention.sources),
        groundable=False,
        reason=None if polarity == "affirmed" else polarity,
        turn=None if mention.turn is None else mention.turn + 1,
    )


def _existence(question: str, asked: Sequence[Mention]) -> _Ask | None:
    """What a question asks the existence of, None for any other question."""
    start = _last_sentence(question)
    text = question[start:]
    there = [m for m in asked if m.start >= start]
    if not there:
        return None
    for form in (_THERE, _SHOWS):
        if (verb := form.match(text)) is not None:
            return _ask_behind(question, start + verb.end(), there)
    opening = _OPENING.match(text)
    verb = _IS.match(text)
    if opening is not None:
        start, text = start + opening.end(), text[opening.end() :]
        if (inner := _THERE.match(text)) is not None:
            return _ask_behind(question, start + inner.end(), there)
    elif verb is None:
        return None
    if (this := _IS_THIS.match(text)) is not None and there[0].start <= start + this.end() + 1:
        return _Ask(there[:1], False, False, True)
    tail = question[there[0].end :]
    gone = re.search(rf"\s+(?:(?:is|are|be)\s+)?{_GONE}\b", tail, re.IGNORECASE)
    seen = re.search(_BE, tail, re.IGNORECASE)
    if gone is None and seen is None:
        return None
    at = start if opening is not None or verb is None else start + verb.end()
    ask = _ask_behind(question, at, there)
    if ask is None:
        return None
    denied = gone is not None and (seen is None or gone.start() <= seen.start())
    return ask._replace(denies=ask.denies != denied)


def _ask_behind(question: str, at: int, there: Sequence[Mention]) -> _Ask | None:
    """What is asked behind a verb that ends at a character."""
    there = [m for m in there if m.start >= at]
    if not there:
        return None
    first = there[0]
    between = question[at : first.start]
    subjects, joints = [first], []
    for mention in there[1:]:
        gap = question[subjects[-1].end : mention.start]
        joint = re.fullmatch(r"\s*(?:,|,?\s*(and|or))\s*(?:any\s+|an?\s+|the\s+)?", gap)
        if joint is None:
            break
        joints.append(joint.group(1) or ",")
        subjects.append(mention)
    context = there[len(subjects) :]
    behind = question[subjects[-1].end :]
    narrowed = any(_narrowed(m) for m in subjects)
    denies = _NO_OF_IT.search(between) is not None
    free = _FREE.fullmatch(_NO_OF_IT.sub("", between)) is not None
    placed = bool(context) and _PLACE.search(behind) is not None
    several = len(subjects) > 1
    return _Ask(
        subjects,
        denies,
        certain_no=free and not narrowed and not placed and not (several and "or" not in joints),
        certain_yes=not (several and "or" in joints),
    )


def _narrowed(mention: Mention) -> bool:
    """Whether the words say more than the concept: no atypical glands is not no glands."""
    concept = concepts()[mention.concept]
    text = " ".join(mention.text.lower().split())
    head = concept.name.split()[-1]
    if len(text.split()) > len(concept.name.split()) and text.split()[-1].startswith(head[:-1]):
        return True
    names = {concept.name, *concept.forms, *concept.prompts}
    singles = {text, text.removesuffix("s"), text.removesuffix("es")}
    if text.endswith("ies"):
        singles.add(f"{text[:-3]}y")
    if text.endswith("i"):
        singles |= {f"{text[:-1]}us", f"{text[:-1]}eus"}
    if text.endswith("a"):
        singles |= {f"{text[:-1]}um", f"{text[:-1]}on"}
    return not names & singles


def _last_sentence(question: str) -> int:
    """Where the last sentence begins, which is the question."""
    body = question.rstrip()
    found = list(_BREAK.finditer(body))
    return found[-1].end() if found else len(question) - len(question.lstrip())


class _Option(NamedTuple):
    letter: str
    mark: int  # where its letter begins
    start: int  # of its text
    end: int


def _options(question: str) -> list[_Option]:
    """Options of a choice; none where fewer than two letters in their order introduce one."""
    marks: list[re.Match[str]] = []
    for found in _OPTION.finditer(question):
        if not marks or found.group(1) > marks[-1].group(1):
            marks.append(found)
    if len(marks) < 2 or marks[0].group(1) not in "AB":
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(question)]
    return [
        _Option(mark.group(1), mark.start(), mark.end(), end)
        for mark, end in zip(marks, ends, strict=True)
    ]


def _chosen(options: Sequence[_Option], question: str, final: str) -> _Option | None:
    """The option that an answer takes: by its letter, else by its words."""
    choice = _CHOICE.match(final)
    if choice is not None:
        return next((o for o in options if o.letter == choice.group(1)), None)
    words = _bare(final)
    alike = [o for o in options if _bare(question[o.start : o.end]) == words]
    return alike[0] if len(alike) == 1 else None


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _choice(
    question: str,
    options: Sequence[_Option],
    chosen: _Option,
    begin: int,
    final: str,
    asked: list[Mention],
    said: list[Mention],
) -> tuple[list[Mention], list[Mention]]:
    """Mentions of a choice and of its answer."""
    stem = question[: options[0].mark]
    negative = _NEGATIVE.search(stem) is not None
    right = [m for m in asked if chosen.start <= m.start < chosen.end]
    kinds, concepts_right = {m.kind for m in right}, {m.concept for m in right}
    denied = _NO_OF_IT.search(question[chosen.start : chosen.end]) is not None
    polarity = "negated" if negative != denied else "affirmed"
    named = {m.concept for m in said}
    answer = list(said)
    if negative:
        answer = [_denied(m) if m.concept in concepts_right else m for m in answer]
    words = final.strip()
    start = begin + final.index(words) if words else begin
    letter = _CHOICE.match(final)
    if letter is not None:
        start, words = begin + letter.start(1), letter.group(1)
    for mention in right:
        if mention.concept not in named and words:
            answer.append(_pointed(mention, polarity, start, start + len(words), words))
            named.add(mention.concept)
    if negative or denied:
        return asked, answer
    table = concepts()
    question_mentions = []
    for mention in asked:
        inside = next((o for o in options if o.start <= mention.start < o.end), None)
        wrong = inside is not None and inside is not chosen
        alike = mention.kind in kinds and not any(
            related(mention.concept, other, table) for other in concepts_right
        )
        denying = inside and _NO_OF_IT.search(question[inside.start : inside.end])
        question_mentions.append(_denied(mention) if wrong and alike and not denying else mention)
    return question_mentions, answer


def plain_lead(answer: str) -> str:
    """An answer with its yes or no blanked out, at the same places.

    "No, only lymphocytes." denies no lymphocytes: the word answers, the sentence behind it speaks.
    """
    thought = _THOUGHT.match(answer)
    begin = thought.end() if thought else 0
    lead = _LEAD.match(answer, begin)
    if lead is None or not re.match(r"\s*(?:[,.;:!\u2013\u2014-]|$)", answer[lead.end() :]):
        return answer
    start, end = lead.span(1)
    return answer[:start] + " " * (end - start) + answer[end:]
