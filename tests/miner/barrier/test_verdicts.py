import pytest

from miner.barrier.verdicts import row_states

MENTION = {"concept": "gland", "polarity": "affirmed", "groundable": True}


def sample(*mentions, status=None, reason=None):
    return {"image_id": "q/i", "mentions": mentions, "status": status, "reason": reason}


def candidate(concept="gland", keep=True, reason=None, score=0.9, area=100, image="q/i"):
    return {
        "image_id": image,
        "concept": concept,
        "keep": keep,
        "reason": reason,
        "score": score,
        "area_px": area,
    }


@pytest.mark.parametrize(
    ("candidates", "status", "reason"),
    [
        ([candidate()], "written", None),
        ([candidate(keep=False, reason="low_score")], "rejected", "low_score"),
        ([candidate(keep=False, reason="empty", area=0)], "no_mask", "empty"),
        ([candidate(image="q/other")], "no_mask", "not_asked"),
        ([candidate(concept="stroma")], "no_mask", "not_asked"),
        ([], "no_mask", "not_asked"),
        (
            [
                candidate(keep=False, reason="low_score", score=0.2),
                candidate(keep=False, reason="speck", score=0.4),
            ],
            "rejected",
            "speck",
        ),
        (  # of equal ones the first
            [
                candidate(keep=False, reason="low_score", score=0.4),
                candidate(keep=False, reason="speck", score=0.4),
            ],
            "rejected",
            "low_score",
        ),
    ],
)
def test_a_row_ends_by_what_became_of_its_masks(candidates, status, reason):
    (state,) = row_states([sample(MENTION)], candidates, keep_negatives=False)
    assert (state.status, state.reason) == (status, reason)


def test_only_the_kept_masks_of_affirmed_groundable_mentions_become_regions():
    mentions = [
        MENTION,
        MENTION,
        {"concept": "necrosis", "polarity": "negated", "groundable": True},
        {"concept": "hepatocyte", "polarity": "affirmed", "groundable": False},
    ]
    candidates = [candidate("necrosis"), candidate("gland"), candidate("hepatocyte")]
    (state,) = row_states([sample(*mentions)], candidates, keep_negatives=False)
    assert state.kept == (1,)
    assert state.score == pytest.approx(0.9)


def test_a_row_that_ended_before_stays_as_it_was():
    row = sample(MENTION, status="unreadable", reason="truncated")
    (state,) = row_states([row], [candidate()], keep_negatives=True)
    assert (state.status, state.reason, state.kept) == ("unreadable", "truncated", ())


@pytest.mark.parametrize(("keep", "status"), [(True, "written"), (False, "no_entity")])
def test_rows_with_only_negatives_are_written_when_asked_for(keep, status):
    row = sample(status="no_entity", reason="only_negated")
    (state,) = row_states([row], [], keep_negatives=keep)
    assert state.status == status


def test_a_row_is_as_good_as_its_kept_masks_together():
    rows = [sample(MENTION, {**MENTION, "concept": "stroma"})]
    both = [candidate(score=0.9), candidate("stroma", score=0.6)]
    (state,) = row_states(rows, both, False)
    assert (state.kept, state.score) == ((0, 1), pytest.approx(1.5))
    dropped = [candidate(keep=False, reason="low_score", score=0.4)]
    assert row_states(rows, dropped, False)[0].score == 0
    silent = [sample(status="no_entity", reason="no_mention")]
    assert row_states(silent, [], True)[0].score == 0
