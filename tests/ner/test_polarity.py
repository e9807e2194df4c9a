import pytest

import ner

MARKS = {"+": "affirmed", "-": "negated", "?": "uncertain"}

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
"""


@pytest.mark.parametrize("marked", CASES.strip().splitlines())
def test_polarity(marked):
    text, expected = "", []
    rest = marked
    while "[" in rest:
        before, _, rest = rest.partition("[")
        phrase, _, rest = rest.partition("]")
        expected.append((phrase, MARKS[rest[0]]))
        text, rest = text + before + phrase, rest[1:]
    text += rest
    found = [(mention.text, mention.polarity) for mention in ner.extract(text).mentions]
    assert found == expected
