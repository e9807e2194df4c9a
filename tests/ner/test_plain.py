"""White space is not meaning, and markup is read as what it stands for; offsets stay."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ner
from ner.plain import PARAGRAPH, plain

SENTENCES = [
    "Goblet cells in the colon, stained with H & E at low power.",
    "There is absence of granulomas. Section negative for necrosis.",
    "Bundles of smooth muscle and islets of Langerhans; no germinal centers.",
    "Necrosis: absent Mitoses: present Granulomas: none.",
    "Amyloid cannot be excluded, as well as mucin - but not in the lamina propria.",
    "Dense, irregular fibrous stroma (papillary dermis) without hair follicles or sweat glands.",
]
# Everything that Unicode calls white space, alone or in runs, but for blank lines.
BLANKS = st.text(
    st.sampled_from(
        " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2004\u2007\u2009\u200a\u200b"
        "\u2028\u2029\u202f\u205f\u3000"
    ),
    min_size=1,
    max_size=5,
).filter(lambda gap: gap.count("\n") < 2)


def reading(text):
    found = ner.extract(text)
    for mention in found.mentions:
        assert text[mention.start : mention.end] == mention.text
    return (
        [(" ".join(m.text.split()), m.concept, m.polarity, m.reason) for m in found.mentions],
        [(fact.kind, fact.value) for fact in found.facts],
    )


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SENTENCES), st.data())
def test_any_white_space_is_a_blank(sentence, data):
    first, *words = sentence.split(" ")
    spaced = first + "".join(data.draw(BLANKS) + word for word in words)
    found, facts = reading(spaced.replace("\u200b", " "))
    assert (found, facts) == reading(sentence)
    assert [m.concept for m in ner.extract(spaced).mentions] == [c for _, c, _, _ in found]


def test_a_blank_line_ends_a_sentence():
    found = ner.extract("No necrosis\n \nNuclei").mentions
    assert [(m.text, m.polarity) for m in found] == [
        ("necrosis", "negated"),
        ("Nuclei", "affirmed"),
    ]


@pytest.mark.parametrize(
    ("caption", "stands_for"),
    [
        # HTML: named, decimal, hexadecimal, doubled, without semicolon; what only looks like it.
        ("H&amp;E, 20&nbsp;&micro;m", "H&E, 20 µm"),
        ("&#956;m &#x3bc;m &lt;5 &gt;3", "μm μm <5 >3"),
        ("H&amp;amp;E &amp;#956;m &amp;lt;b&amp;gt;x", "H&E μm x"),
        ("H&ampE 20&nbspx &lt5", "H&E 20 x <5"),
        ("R&D &foo; A & B; &", "R&D &foo; A & B; &"),
        ("goblet&shy;cells", "goblet\u00adcells"),
        ("<b>Goblet</b> <i class='x'>cells</i><br/>here<BR>there", "Goblet cells here there"),
        ("gob<b>let</b> cells", "goblet cells"),
        ("<p>No necrosis</p><p>Nuclei</p>", f"{PARAGRAPH}No necrosis{PARAGRAPH}Nuclei{PARAGRAPH}"),
        ("<td>fat</td><td>bone</td>", " fat bone "),
        ("CD8<sup>+</sup> T cells", "CD8+ T cells"),
        ("p<0.05, a <b and c> d, <5 mitoses", "p<0.05, a <b and c> d, <5 mitoses"),
        ("x<!-- no -->y", "xy"),
        # Markdown.
        ("**Necrosis:** *absent*, ***no*** _fat_, __bone__", "Necrosis: absent, no fat, bone"),
        ("`nuclei` [glands](https://x.org/a_b) ![fat](a.png)", "nuclei glands fat"),
        ("2 * 3, 5*4, goblet_cell", "2 * 3, 5*4, goblet_cell"),
        ("Title\n## Glands", f"Title{PARAGRAPH}Glands"),
        # LaTeX.
        (r"20 \mu m, $20\,\mu m$, 20 $\mu$m, $\times 400$", "20 μm, 20 μm, 20 μm, ×400"),
        (r"\textit{goblet cells} and {\em fat}", "goblet cells and fat"),
        (r"H\&E, 5\,\%, \emph{no} necrosis\cite{x2}", "H&E, 5 %, no necrosis"),
        (r"Sj\"ogren, \"signet ring\" cells", 'Sjögren, "signet ring" cells'),
        (r"$\mathrm{CD8}^{+}$ cells", "CD8+ cells"),
        (r"glands\\stroma~here", "glands stroma here"),
        ("it cost $5 or $6, ~20 cells, C:\\images", "it cost $5 or $6, ~20 cells, C:\\images"),
        # As JSON escapes them once more.
        (r"No necrosis.\nNuclei\tand fat", "No necrosis. Nuclei\\tand fat"),
    ],
)
def test_markup_stands_for(caption, stands_for):
    assert plain(caption).text == stands_for


@pytest.mark.parametrize("raised", ["<sup>1,2</sup>", "²", "$^{3}$", r"\textsuperscript{a}"])
def test_a_reference_is_no_part_of_the_word_before_it(raised):
    (mention,) = ner.extract(f"Goblet cells{raised} are seen.").mentions
    assert (mention.text, mention.concept) == ("Goblet cells", "goblet cell")


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ("No <b>goblet</b> cells.", "goblet</b> cells"),
        ("No **goblet cells**.", "goblet cells"),
        ("No \\textit{goblet} cells.", "goblet} cells"),
        ("No goblet&nbsp;cells.", "goblet&nbsp;cells"),
        ("No gob<i>let</i> cells.", "gob<i>let</i> cells"),
        ("No goblet\u2009\r\n  cells.", "goblet\u2009\r\n  cells"),
    ],
)
def test_spans_are_those_of_the_caption(caption, text):
    (mention,) = ner.extract(caption).mentions
    assert (mention.text, mention.concept, mention.polarity) == (text, "goblet cell", "negated")
    assert caption[mention.start : mention.end] == text


WRAPPINGS = st.sampled_from(
    [
        "{}",
        "<b>{}</b>",
        "<i style='x'>{}</i>",
        "*{}*",
        "**{}**",
        "_{}_",
        "`{}`",
        "\\emph{{{}}}",
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SENTENCES[:3]), st.data())
def test_emphasis_is_not_meaning(sentence, data):
    words = [word.strip(".,;") for word in sentence.split(" ")]
    marked = [data.draw(WRAPPINGS).format(word) for word in words]
    wanted = [(m.concept, m.polarity) for m in ner.extract(" ".join(words)).mentions]
    assert [(m.concept, m.polarity) for m in ner.extract(" ".join(marked)).mentions] == wanted


MARKUP = st.sampled_from(
    "<b>|</b>|&|amp;|#x41;|\\|mu|$|{|}|^|_|*|~|[x](y)|nuclei| |\n|²|²⁺|<br|>|µ|no".split("|")
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(MARKUP, max_size=25).map("".join)))
def test_every_character_leads_back(text):
    found = plain(text)
    if found.starts is not None:
        assert len(found.starts) == len(found.ends) == len(found.text)
        assert all(0 <= a < b <= len(text) for a, b in zip(found.starts, found.ends, strict=True))
        assert list(found.starts) == sorted(found.starts)
        assert list(found.ends) == sorted(found.ends)
    assert "  " not in found.text
    reading(text)


@pytest.mark.parametrize(
    "piece", ["<", "&", "<b ", "&amp", "\\", "$", "*", "_", "[", "](", "{", "\n", "#"]
)
def test_long_markup_takes_linear_time(piece):
    begin = time.process_time()
    plain(piece * (100_000 // len(piece)))
    assert time.process_time() - begin < 2
