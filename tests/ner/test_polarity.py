import pytest

import ner
from tests.ner.marked import parse

CASES = """
No [glands]-, [mitoses]- or [necrosis]- but [stroma]+ is seen.
Absence of [goblet cells]- in the [crypts]+.
[Stroma]+ that lacks [nuclei]-.
[Fat]+ without [nuclei]- and with [vessels]+.
Negative for [necrosis]-. [Fat]+.
[Glands]+ rather than [sheets]-.
The [crypts]+ have lost their [goblet cells]-.
[Necrosis]- is absent.
[Glands]- and [lumina]- are not seen, the [stroma]+ is loose.
[Glands]- in the [stroma]+ are absent.
Neither [granulomas]- nor [hyphae]- were found.
There is no [mucin]- in the [lumen]+.
No question about it, these are [lymphocytes]+.
Not only [neutrophils]+ but also [eosinophils]+.
[Amyloid]? cannot be excluded.
Cannot exclude [amyloid]?.
Possible [mucin]? beside [fat]+.
[Fibrosis]? may be present.
This may represent [amyloid]?.
Suggestive of [mucin]?.
Features consistent with [amyloid]+.
[Spindle cells]+ like [muscles]?.
[Cells]+ resembling [neurons]? in [stroma]+.
[Neutrophils]? or [eosinophils]?.
Is there [necrosis]??
What is this [connective tissue]+?
If this were a [granuloma]?.
Scant [cytoplasm]+ and few [mitoses]+.
[Nuclei]+ can be seen in the [dermis]+.
No significant atypia in the [nuclei]+.
The lack of architecture suggests a process with [stroma]+.
It does not reach into the [dermis]+.
You won't find any [colloid]- in this field.
I don't see any [glands]- or [stroma]-.
No increase in [plasma cells]+.
[Melanocytes]- have been replaced by [fibroblasts]+.
Dark foci possibly correspond to [lymphocytes]?.
Like beads on a string, the [nuclei]+ line up.
These features suggest [granulomas]?.
"""

# Cues that overlap: the longest that leaves a target on its side.
OVERLAPS = """
[Glands]+ are negative for [mucin]-.
The [stroma]+ is negative for [amyloid]-.
[Crypts]+ are lacking [goblet cells]-.
The [stroma]+ is free of [granulomas]-.
[Tumor cells]+ are negative for CD20.
[Tumor cells]+ were negative for HMB99 and positive for S100.
[Glands]- are negative.
CD20: the [tumor cells]+ are negative.
[Amyloid]? cannot be completely excluded.
[Amyloid]? has not been ruled out.
[Necrosis]- is not clearly seen.
There is absent [mucin]- in the [glands]+.
No loss of [nuclei]+, without absence of [goblet cells]+.
[Goblet cells]+ are not absent.
The [stroma]+ is not free of [tumor]+.
"""

# Cues with two directions.
DIRECTIONS = """
[Necrosis]- absent.
Absent [necrosis]-.
[Necrosis]- absent, [mitoses]+ present.
[Granulomas]- not identified; not identified were [hyphae]-.
[Necrosis]- has been ruled out.
We ruled out [necrosis]-, not the [fibrosis]-.
[Amyloid]? not excluded.
[Fibrosis]? may be.
[Glands]+ may be dilated.
[Amyloid]? possible.
Possible [amyloid]?.
[Myoepithelial cells]- are focally absent in the [glands]+.
[Necrosis]-, [mitoses]- and [granulomas]- were all absent.
Loss of [villi]-, [crypts]- and [goblet cells]- are absent.
Well differentiated [glands]+, no [necrosis]-, [mitoses]- not seen.
[Stroma]+ and [lymphocytes]+, [necrosis]- absent.
[Nests]- of [tumor cells]-, [glands]- and [mitoses]- are absent.
[Myoepithelial cells]-, which should surround the [ducts]+, are absent.
[Fibrosis]-, with [collagen]+, is not seen.
[Nests]+ of [cells]+, but [necrosis]-, [mitoses]- and [granulomas]- are absent.
We see that [necrosis]-, [mitoses]- and [granulomas]- are absent.
In this field [necrosis]-, [mitoses]- and [granulomas]- are absent.
In the [dermis]+, [mitoses]- and [granulomas]- are absent.
[Crypts]+ elongated, [goblet cells]+ reduced, and [Paneth cells]- not seen.
"""

# What is said of a thing in a line of its own, whatever stands between.
LINES = """
[Necrosis]-: absent
[Necrosis]-: No. [Mitoses]+: Yes.
[Granulomas]-: negative
[Granulomas]-: none seen; [mitoses]+: present.
[Necrosis]-: absent [Mitoses]+: present [Granulomas]-: none
[Necrosis]- absent [Mitoses]+ present [Granulomas]- not seen
[Necrosis]- - absent; [mitoses]+ - present
[Necrosis]- – none – [mitoses]+ – many
[Necrosis]- (absent), [mitoses]+ (rare), [mucin]? (?)
[Necrosis]-: - [Mitoses]+: + [Mucin]?: +/-
[Necrosis]- (-), [mitoses]+ (+++)
[Mucin]- -ve, [fat]+ +ve
[Necrosis]- = 0, [mitoses]-: 0/10 HPF
[Necrosis]- and [granulomas]-: absent
[Necrosis]- in [cell nests]+: absent
Lymph nodes: negative for [tumor]-.
[Glands]+: no [mucin]-
[Glands]+: may be dilated
[Stroma]+ dense, [necrosis]-: not identified in this section
Absent: [necrosis]-, [granulomas]-, [hyphae]-. Present: [mitoses]+.
Negative for: [necrosis]-, [hyphae]- and [granulomas]-.
[Hyphae]?: not assessed. [Mucin]?: n/a. [Fibrin]?: cannot be excluded.
[Granulomas]-? None. Any [necrosis]-? No.
| [Necrosis]- | absent | [Mitoses]+ | many |
No [necrosis]- - [mitoses]+ - [fat]+
Slide No. 3, [tumor]+ No. 2.
"""

# What is asked for, and what could not be judged.
DOUBTS = """
Exclude [amyloid]?.
These findings exclude [amyloid]-.
We can rule out [amyloid]- here.
The biopsy was taken to rule out [granulomas]?.
Cannot assess margins, [glands]? or [stroma]?.
Not assessed: [mitoses]?.
Lymphovascular invasion cannot be assessed in the [stroma]+.
[Nuclei]? hard to interpret, [mitoses]+ present.
DD [granuloma]?, [abscess]?. [Fat]+.
A differential count of [leukocytes]+ was done.
[Necrosis]- in 0% of the [nests]+.
[Tumor cells]+ 0-5%, [fat]- 0 percent.
[Mitoses]+? Yes.
Any [granulomas]??
And the [stroma]+? It is loose.
[Cells]+: [lymphocytes]??
[Mucin]? (?) in [glands]+.
[Glands]- and [mucin]- (-).
"""


@pytest.mark.parametrize(
    "marked", "".join((CASES, OVERLAPS, DIRECTIONS, LINES, DOUBTS)).strip().splitlines()
)
def test_polarity(marked):
    text, expected = parse(marked)
    found = [(mention.text, mention.polarity) for mention in ner.extract(text).mentions]
    assert found == [(phrase, polarity) for phrase, _, polarity in expected]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("No dysplasia in the colon.", ["colon"]),
        ("Dysplasia: absent. Malignancy: negative. Carcinoma not seen.", []),
        ("The differential includes lymphoma and leukemia.", []),
        ("DCIS cannot be excluded.", []),
        ("Lymphoma or leukemia?", []),
        ("Differential: lymphoma, melanoma.", []),
        ("Glands, ?adenocarcinoma.", []),
        ("Is this a lymphoma?", []),
        ("Squamous cell carcinoma, no melanoma.", ["squamous cell carcinoma"]),
        # What the picture is of is not denied with what is in it.
        ("No hepatic adenocarcinoma at low power.", ["liver", "low power"]),
        ("No tumor in the colon, biopsy, H&E.", ["colon", "biopsy", "H&E"]),
        ("Biopsy was negative. PAS is negative.", ["biopsy", "PAS"]),
        ("I can't see it at high power.", ["high power"]),
        ("Unlike the kidney, the liver.", ["liver"]),
        ("No H&E.", []),
    ],
)
def test_facts_have_a_polarity(text, facts):
    assert [fact.value for fact in ner.extract(text).facts] == facts
