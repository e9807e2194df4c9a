"""What questions and answers assert: polarity, and where it stands."""

import itertools
import random

import pytest

from ner.extractor import default
from ner.turns import QUESTION, Said, plain_lead, settle


def read(*texts, roles=("human", "gpt")):
    """Mentions of a text in turns, as the caption stage reads them."""
    turns = [
        {"role": role, "text": text}
        for role, text in zip(itertools.cycle(roles), texts, strict=False)
    ]
    found = []
    for turn in turns:
        asks = turn["role"] in ("human", "user", "system")
        mentions, facts = default()(turn["text"] if asks else plain_lead(turn["text"]))
        found.append(Said(mentions, facts))
    mentions = settle(turns, found)
    for m in mentions:
        assert turns[m.turn]["text"][m.start : m.end] == m.text
        assert not (m.groundable and turns[m.turn]["role"] != "gpt")
        assert (m.reason is None) == m.groundable
    return mentions


def answered(*texts):
    """Polarity by concept, of the answers."""
    return {m.concept: m.polarity for m in read(*texts) if m.turn % 2}


NAMES = {
    "necrosis": "necrosis", "lymphocytes": "lymphocyte", "mitotic figures": "mitotic figure",
    "plasma cells": "plasma cell", "granulomas": "granuloma", "blood vessels": "blood vessel",
    "glands": "gland", "calcification": "calcification", "neutrophils": "neutrophil",
    "giant cells": "multinucleated giant cell", "hemorrhage": "hemorrhage",
    "eosinophils": "eosinophil",
    "keratin pearls": "keratin pearl", "fibrosis": "fibrosis", "mucin": "mucin",
}  # fmt: skip
ASKED = (
    "Is there {x}?", "Are there any {x} in this image?", "Is there any {x} visible here?",
    "Does the image show {x}?", "Does this H&E slide contain {x}?", "Do you see {x}?",
    "Can you identify {x} in the picture?", "Are {x} present?", "Is {x} seen in this section?",
    "Can {x} be seen?", "Is evidence of {x} present?", "<image>\nAre {x} visible in the field?",
    "This is a biopsy of the colon. Is {x} identified?", "Does it demonstrate {x}?",
    "Were {x} found in the specimen?", "Is there evidence of {x} in the photomicrograph?",
    "does this picture reveal {x}?", "Are there areas of {x}?",
)  # fmt: skip
YES = (
    "Yes", "yes", "Yes.", "Yes, there are.", "Yes, it does.", "yes, clearly",
    "Yes, as shown by the arrow.",
    "Yes, {x} can be seen.", "Yes, there is {x} in the center.",
)  # fmt: skip
NO = (
    "No", "no", "No.", "No, there are none.", "No, it does not.", "no, not at all",
    "No, not in this image.",
    "No, {x} cannot be seen.", "No, there is no evidence of {x}.", "No {x} is seen.",
)  # fmt: skip
UNSURE = ("yes, probably not", "Possibly", "Yes, but this is uncertain", "no, maybe", "Cannot tell")
OPTIONS = (
    "{q}\nA: {a}\nB: {b}\nC: {c}\nD: {d}", "{q} A) {a} B) {b} C) {c} D) {d}",
    "{q}\n(A) {a}\n(B) {b}\n(C) {c}\n(D) {d}",
    "{q}\nA. {a}\nB. {b}\nC. {c}\nD. {d}",
)  # fmt: skip
WHICH = (
    "Which structure is shown?", "What is seen in this image?", "What does the arrow point to?",
    "Identify the feature in the center of the picture.",
)  # fmt: skip
CHOSEN = (
    "{l}", "{l}: {x}", "{l}) {x}", "({l})", "The answer is {l}.", "The correct answer is {l}: {x}",
    "{x}", "Answer: {l}",
)  # fmt: skip


def yes_no(rng, n):
    """Cases: question, answer, concept, what the answer says of it."""
    for _ in range(n):
        x, concept = rng.choice(list(NAMES.items()))
        polarity, answers = rng.choice([("affirmed", YES), ("negated", NO), ("uncertain", UNSURE)])
        yield rng.choice(ASKED).format(x=x), rng.choice(answers).format(x=x), concept, polarity


def test_polarity_of_yes_and_no():
    cases = list(yes_no(random.Random(0), 600))
    wrong = [
        (question, answer, found.get(concept), polarity)
        for question, answer, concept, polarity in cases
        for found in [answered(question, answer)]
        # An answer that says neither need not name it.
        if (found.get(concept) or "uncertain") != polarity
    ]
    assert len(wrong) <= 0.03 * len(cases), wrong[:12]


def test_polarity_of_choices():
    rng = random.Random(1)
    wrong, n = [], 0
    for _ in range(300):
        names = rng.sample(list(NAMES), 4)
        right = rng.randrange(4)
        letters = dict(zip("abcd", names, strict=True))
        question = rng.choice(OPTIONS).format(q=rng.choice(WHICH), **letters)
        answer = rng.choice(CHOSEN).format(l="ABCD"[right], x=names[right])
        mentions = read(question, answer)
        said = {m.concept: m.polarity for m in mentions if m.turn == 1}
        n += 1
        if said != {NAMES[names[right]]: "affirmed"}:
            wrong.append((question, answer, said))
        asked = {m.concept: m.polarity for m in mentions if m.turn == 0}
        assert "affirmed" not in asked.values()
    assert len(wrong) <= 0.03 * n, wrong[:8]


def test_the_word_that_answers_is_the_mention():
    (asked, said) = read("Is there necrosis?", "Yes")
    assert (asked.text, asked.polarity, asked.reason) == ("necrosis", "uncertain", QUESTION)
    assert (said.text, said.turn, said.concept, said.groundable) == ("Yes", 1, "necrosis", True)


def test_the_sentence_behind_a_no_speaks_for_itself():
    assert answered("Are there glands?", "No, only lymphocytes.") == {
        "lymphocyte": "affirmed",
        "gland": "negated",
    }


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        # What is narrowed, placed or one of several is not denied as a whole.
        ("Are there atypical glands?", "No", {"gland": "uncertain"}),
        ("Are there lymphocytes in the stroma?", "No", {"lymphocyte": "uncertain"}),
        ("Are there mucin and fibrosis?", "No", {"mucin": "uncertain", "fibrosis": "uncertain"}),
        ("Are there mucin or fibrosis?", "No", {"mucin": "negated", "fibrosis": "negated"}),
        ("Are there mucin or fibrosis?", "Yes", {"mucin": "uncertain", "fibrosis": "uncertain"}),
        ("Are there mucin and fibrosis?", "Yes", {"mucin": "affirmed", "fibrosis": "affirmed"}),
        ("Are there atypical glands?", "Yes", {"gland": "affirmed"}),
        # Other questions presuppose: no answer to them asserts.
        ("Are the nuclei enlarged?", "No", {}),
        ("Is the stroma fibrotic?", "Yes", {}),
        # Denying questions.
        ("Is necrosis absent?", "Yes", {"necrosis": "negated"}),
        ("Is necrosis absent?", "No", {"necrosis": "affirmed"}),
        ("Is there no necrosis?", "Yes", {"necrosis": "negated"}),
        ("What is not seen in this image?", "necrosis", {"necrosis": "negated"}),
        ("What is seen in this image?", "necrosis", {"necrosis": "affirmed"}),
    ],
)  # fmt: skip
def test_what_an_answer_asserts(question, answer, expected):
    found = {m.concept: m.polarity for m in read(question, answer) if m.turn == 1}
    assert found == expected


def test_an_answer_behind_a_thought():
    """What is thought may be grounded where it points at something; the answer decides."""
    mentions = read("Is there necrosis?", "<think>I see glands. Is it necrosis?</think>Yes")
    assert [(m.text, m.concept, m.polarity) for m in mentions if m.turn] == [
        ("glands", "gland", "affirmed"),
        ("necrosis", "necrosis", "uncertain"),
        ("Yes", "necrosis", "affirmed"),
    ]


def test_wrong_options_of_the_same_kind_are_denied():
    question = "Which cells are seen?\nA: neutrophils\nB: plasma cells\nC: necrosis\nD: none"
    mentions = read(question, "B")
    asked = {m.concept: m.polarity for m in mentions if m.turn == 0}
    # Necrosis is no cell: that plasma cells are seen says nothing of it.
    assert asked.pop("cell") == "uncertain"
    assert asked == {"neutrophil": "negated", "plasma cell": "uncertain", "necrosis": "uncertain"}


def test_a_choice_of_what_is_not_there():
    question = "Which of these is NOT seen?\nA: glands\nB: necrosis\nC: lymphocytes\nD: mucin"
    mentions = read(question, "B")
    assert {m.concept: m.polarity for m in mentions if m.turn == 1} == {"necrosis": "negated"}
    assert {m.polarity for m in mentions if m.turn == 0} == {"uncertain"}


@pytest.mark.parametrize("answer", ["E", "Z", ""])
def test_an_answer_that_is_none_of_the_options(answer):
    question = "Which is seen?\nA: glands\nB: necrosis"
    assert {m.polarity for m in read(question, answer)} == {"uncertain"}


def test_a_dialogue_that_starts_with_the_answer_and_a_system_turn():
    mentions = read("Glands and stroma.", "Is there necrosis?", "No.", roles=("gpt", "human"))
    assert [(m.concept, m.polarity, m.turn) for m in mentions] == [
        ("gland", "affirmed", 0),
        ("stroma", "affirmed", 0),
        ("necrosis", "uncertain", 1),
        ("necrosis", "negated", 2),
    ]
    assert read("You look at glands.", "Describe.", roles=("system", "human")) == []
