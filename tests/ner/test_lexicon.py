import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import ner
from ner.lexicon import Lexicon
from ner.vocabulary import vocabulary


def phrases(text):
    return [mention.text for mention in ner.extract(text).mentions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Looks go, identity stays.
        ("Dense, irregular fibrous stroma.", ["fibrous stroma"]),
        ("Hyperchromatic nuclei and prominent nucleoli.", ["nuclei", "nucleoli"]),
        ("The surrounding stroma.", ["stroma"]),
        ("A signet-ring cell in gastric mucosa.", ["signet-ring cell", "gastric mucosa"]),
        # Empty heads keep the adjective next to them; others name nothing alone.
        ("Large pleomorphic cells in fat.", ["pleomorphic cells", "fat"]),
        ("Pink amorphous material.", ["amorphous material"]),
        ("Necrotic areas in some areas.", ["Necrotic areas"]),
        ("Glandular structures among structures.", ["Glandular structures"]),
        # Light nouns.
        ("Hemosiderin deposition and gland formation.", ["Hemosiderin", "gland"]),
        ("Tubular formation.", ["Tubular formation"]),
        # A structure that only modifies an attribute.
        ("Nuclear atypia, gland crowding and tumor size.", []),
        # "X of Y" is two, a coordination without a noun of its own is one.
        ("Nests of tumor cells.", ["Nests", "tumor cells"]),
        ("Epithelial and myoepithelial cells.", ["Epithelial and myoepithelial cells"]),
        ("Glands and stroma.", ["Glands", "stroma"]),
        ("Fibrous, pink stroma.", ["Fibrous, pink stroma"]),
        # Compounds that are in no table.
        ("Perivascular lymphoid aggregates.", ["Perivascular lymphoid aggregates"]),
        ("Tumor-infiltrating T cells.", ["Tumor-infiltrating T cells"]),
        ("Non-neoplastic glands, club-shaped nuclei.", ["Non-neoplastic glands", "nuclei"]),
        ("Hemosiderin-laden macrophages.", ["Hemosiderin-laden macrophages"]),
        ("Lymphocytes plasma cells.", ["Lymphocytes", "plasma cells"]),
        # Nouns that are verbs here.
        ("Cells infiltrate the stroma. Cells line it.", ["Cells", "stroma", "Cells"]),
        ("The tumor infiltrates. Melanoma infiltrates between nerves.", ["tumor", "nerves"]),
        ("Tumour infiltrating muscle.", ["Tumour", "muscle"]),
        ("Tumor infiltrating immune cells.", ["Tumor infiltrating immune cells"]),
        ("Mucin producing adenocarcinoma.", []),
        ("The cells cluster around vessels.", ["cells", "vessels"]),
        # Diseases and organs are facts.
        ("Squamous cell carcinoma of lung tissue.", []),
        ("This is a mesenchymal tumor.", []),
        ("The tumor is solid.", ["tumor"]),
        # Spelling, plurals, speech.
        ("Tumour cells, oedema and septae.", ["Tumour cells", "oedema", "septae"]),
        ("Hassall's corpuscles and H. pylori.", ["Hassall's corpuscles", "H. pylori"]),
        ("My toses in the lamina propia.", ["My toses", "lamina propia"]),
        # Abbreviations, by the caption's own definition and by its words.
        ("Bile plugs (BPs) and more BPs.", ["Bile plugs", "BPs", "BPs"]),
        ("RBCs beside a renal GBM.", ["RBCs", "renal GBM"]),
        ("A cerebral GBM.", []),
    ],
)
def test_spans(text, expected):
    assert phrases(text) == expected


@pytest.mark.parametrize(
    ("text", "concept"),
    [
        ("erythrocytes", "red blood cell"),
        ("carcinoma cells", "tumor cell"),
        ("glandular structures", "gland"),
        ("necrotic zones", "necrosis"),
        ("perivascular lymphoid aggregates", "lymphoid aggregate"),
        ("spongiocytes", "cell"),
        ("chronic inflammatory cell infiltration", "inflammation"),
    ],
)
def test_concepts(text, concept):
    (mention,) = ner.extract(text).mentions
    assert mention.concept == concept
    assert mention.kind == vocabulary().concepts[concept].kind


def test_facts():
    text = "H&E, 40x: hepatic adenocarcinoma, needle biopsy of the colon."
    facts = ner.extract(text).facts
    assert [(fact.kind, fact.value, text[fact.start : fact.end]) for fact in facts] == [
        ("stain", "H&E", "H&E"),
        ("magnification", "40x", "40x"),
        ("diagnosis", "adenocarcinoma", "hepatic adenocarcinoma"),
        ("site", "liver", "hepatic"),
        ("specimen", "biopsy", "needle biopsy"),
        ("site", "colon", "colon"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A kidney with hepatocytes.", "finding"),
        ("A liver with hepatocytes.", None),
        ("A kidney and a liver with hepatocytes.", None),
        ("Low power view of nucleoli.", "scale"),
        ("High power view of nucleoli.", None),
        ("Amorphous material.", "vague"),
        ("A smear with lamina propria.", "specimen"),
        ("A biopsy with lamina propria.", None),
        ("No nucleoli.", "negated"),
        ("Possible nucleoli.", "uncertain"),
    ],
)
def test_groundability(text, reason):
    (mention,) = ner.extract(text).mentions
    assert mention.reason == reason
    assert mention.groundable is (reason is None)


WORDS = "no |without |nuclei|tumour cells| and |, |fibrous |stroma|. |(|)|DCIS|-|like |glands |?|\n"
STRANGE = "µ|ﬁbrosis|e\u0301pithelium|שלום |🔬|\0|İ|\u00ad|ß|細胞|necro\u00adsis|'s |is absent| of "
FRAGMENTS = st.sampled_from(f"{WORDS}|{STRANGE}".split("|"))


@settings(max_examples=300, deadline=None)
@example("NUCLEI-NUCLEI")
@given(st.one_of(st.text(max_size=200), st.lists(FRAGMENTS, max_size=30).map("".join)))
def test_offsets_slice_and_never_overlap(text):
    found = LEXICON(text)
    end = 0
    for mention in found.mentions:
        assert mention.start >= end
        assert mention.start < mention.end <= len(text)
        assert text[mention.start : mention.end] == mention.text
        assert mention.concept in vocabulary().concepts
        end = mention.end
    for fact in found.facts:
        assert 0 <= fact.start < fact.end <= len(text)
    assert LEXICON(text) == found


LEXICON = Lexicon()


@pytest.mark.parametrize("before", ["µ", "ﬁ ", "e\u0301 ", "שלום ", "🔬🔬 ", "\x00", "İ ", "ẞ "])
def test_what_stands_before_shifts_nothing(before):
    text = f"{before} tumor cells"
    (mention,) = ner.extract(text).mentions
    assert (mention.start, mention.end) == (len(before) + 1, len(text))


def test_ligatures_and_marks_are_read():
    assert phrases("ﬁbrosis and e\u0301pithelium, necro\u00adsis") == [
        "ﬁbrosis",
        "e\u0301pithelium",
        "necro\u00adsis",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "nuclei, stroma and no glands " * 3500,
        "no " * 33_000,
        "(" * 100_000,
        "a(b) " * 20_000,
        "x" * 100_000,
        "nuclei, " * 12_500,
        "no nuclei, " * 9_000,
        "is absent nuclei " * 6_000,
        "tumor-" * 16_000,
        "large " * 16_000 + "cells",
        "what? " * 16_000,
        "n",
        " \t\n" * 1000,
        "肿瘤细胞呈巢状排列，未见坏死。" * 3000,
        "",
    ],
    ids=lambda text: repr(text[:12]) + str(len(text)),
)
def test_odd_captions_are_answered_in_time(text):
    LEXICON("A gland (G).")  # whatever is loaded on first use
    begin = time.process_time()
    LEXICON(text)
    assert time.process_time() - begin < 1
