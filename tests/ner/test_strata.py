import pytest

from ner.strata import strata_of


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        (
            "65-year-old woman, invasive ductal carcinoma of the breast, grade 2 (H&E, x400).",
            {
                "organ": "breast",
                "system": "breast",
                "stain": "h&e",
                "magnification": "high",
                "subtype": "invasive ductal carcinoma",
                "grade": "grade 2",
                "age": "60-69",
                "sex": "female",
            },
        ),
        ("Renal biopsy, PAS, 20x.", {
            "organ": "kidney", "system": "genitourinary", "specimen": "biopsy", "stain": "pas",
            "magnification": "medium",
        }),
        ("Gleason score 3+4, stage pT2N0.", {"grade": "gleason 7", "stage": "stage t2"}),
        ("Stage IIIA, poorly differentiated.", {"stage": "stage 3", "grade": "high grade"}),
        ("No evidence of adenocarcinoma in this resection.", {"specimen": "resection"}),
        ("He said he is sure; HE stain.", {"stain": "h&e"}),
        ("It measured 3 x 4 cm, 10 years ago.", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_captions_say(caption, expected):
    found = strata_of(caption, {})
    assert {s.dimension: s.value for s in found} == expected
    assert all(s.origin == "caption" for s in found)


def test_spans_slice_to_what_was_read():
    caption = "Fine needle aspirate of the thyroid at low power."
    spans = {s.dimension: caption[s.start : s.end] for s in strata_of(caption, {})}
    assert spans == {
        "organ": "thyroid",
        "system": "thyroid",
        "magnification": "low power",
        "specimen": "Fine needle aspirate",
    }


def test_side_columns_come_before_the_caption():
    meta = {"magnification": "low", "pathology": ["Pulmonary"], "scanner": "GT450"}
    found = {s.dimension: s for s in strata_of("At 40x.", meta)}
    assert found["magnification"].value == "low"
    assert found["magnification"].start is None
    assert found["system"].value == "thoracic"
    assert found["system"].origin == "pathology"
    assert found["scanner"].value == "gt450"


def test_the_organ_named_wins_over_the_subspecialty():
    found = {s.dimension: s.value for s in strata_of("Liver.", {"pathology": ["Pulmonary"]})}
    assert found == {"organ": "liver", "system": "gastrointestinal"}
