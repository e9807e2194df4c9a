"""How a structure is spoken of: its number, its capitals and the verb beside it.

A phrase of a caption keeps its words; only a capital that stood at the head of a sentence goes.
Concepts that no text names are spoken of in the plural where they can be counted.
"""

from __future__ import annotations

import functools
import re

from ner.concepts import concepts
from ner.words import fold, singular

# The table is in lower case; so are written the people and places in it, and single letters.
_NAMES = (
    "Antoni Aschoff Askanazy Auer Bowman Brunn Brunner Cajal Call Charcot Civatte Cowdry Dutcher "
    "Duval Exner Flexner Hassall Haversian Hodgkin Hofbauer Homer Hurthle Kaposi Kimmelstiel "
    "Kulchitsky Kupffer Langerhans Langhans Leydig Lieberkuhn Malassez Mallory Masson Meissner "
    "Merkel Mott Munro Pacinian Paget Paneth Pautrier Purkinje Reed Rokitansky Rosenthal Russell "
    "Schiller Schwann Sertoli Sezary Sternberg Touton Verocay Volkmann Walthard Wilson "
    "Wintersteiner Wright"
)
_NAME = {name.lower(): name for name in _NAMES.split()}
_PAIRS = ("Reed-Sternberg", "Call-Exner", "Schiller-Duval", "Rokitansky-Aschoff")
# Latin plurals that the forms of the table do not hold, by the end of the singular.
_LATIN = (
    ("trabecula", "trabeculae"), ("papilla", "papillae"), ("lacuna", "lacunae"),
    ("nucleus", "nuclei"), ("nucleolus", "nucleoli"), ("villus", "villi"), ("acinus", "acini"),
    ("alveolus", "alveoli"), ("glomerulus", "glomeruli"), ("thrombus", "thrombi"),
    ("bronchus", "bronchi"), ("fungus", "fungi"), ("septum", "septa"), ("cilium", "cilia"),
    ("bacterium", "bacteria"), ("syncytium", "syncytia"), ("lumen", "lumina"),
    ("mitosis", "mitoses"), ("hypha", "hyphae"), ("focus", "foci"),
    ("embolus", "emboli"), ("comedo", "comedones"),
)  # fmt: skip
_OF = re.compile(r"^(\S+(?: \S+)*?)( (?:of|with|in|from)\b.*)$")
_PLURALS = frozenset({"amylacea", "adnexa", "meninges"})
_UNCOUNTED = re.compile(r"(tissue|epithelium|mucosa|fat|stroma|melanin|microglia|adnexa|amylacea)$")
# Of which a picture has one or none, however far it goes: named like a substance, never counted.
_LAYER = re.compile(r"(?<!hyaline )(membrane|junction|zone)$|^(lymph node )?capsule$")
# Neither substances nor said in the plural: "a capsule", where one says "any fat".
_SINGLE = re.compile(
    r"\b(membrane|junction|zone|capsule|plate|layer|pelvis|wall|lining|infiltrate|component|"
    r"epididymis|cavernosum)$"
)
_COUNTED = re.compile(r"(fiber|area|lesion|ulcer|erosion|space|vesicle|deposit|fragment)$")


def written(text: str) -> str:
    """A phrase as it stands within a sentence, letter for letter but for its capitals.

    Args:
        text: a phrase of a caption or the name of a concept.
    """
    words = " ".join(text.split()).split(" ")
    shouted = text.isupper() and len(words) > 1
    for i, word in enumerate(words):
        plain = word.lower()
        person = plain.removesuffix("'s")
        if person in _NAME:
            words[i] = _NAME[person] + plain[len(person) :]
        elif len(word) == 1 and len(words) > 1 and plain in "tbc" and words[i + 1 :]:
            words[i] = word.upper() if words[i + 1].lower().startswith(("cell", "lymph")) else word
        elif (i == 0 and word.istitle()) or shouted or (word.isupper() and fold(word) in _known()):
            words[i] = plain
    return " ".join(words)


def named(concept: str) -> str:
    """A concept that no text names, as one says it: plural where it can be counted."""
    name = written(concept)
    for pair in _PAIRS:
        name = name.replace(pair.replace("-", " "), pair)
    name = name.replace("Lieberkuhn", "Lieberkühn")
    return plural(name) if numbered(concept) or _COUNTED.search(name) else name


def numbered(concept: str) -> bool:
    """Whether one asks how many of a concept there are: objects, but no layers."""
    table = concepts()
    return concept in table and table[concept].kind == "object" and not _LAYER.search(concept)


def article(text: str) -> str:
    """The article of a phrase in the singular, with a blank behind it; by letters, not sounds."""
    spoken_as_you = text.lower().startswith(("uni", "ure", "uro", "ute"))
    return "an " if text[:1].lower() in "aeiou" and not spoken_as_you else "a "


def single(text: str) -> bool:
    """Whether a phrase needs an article: what is not counted here, and yet no substance."""
    return _SINGLE.search(_parts(text)[0].lower()) is not None


def countable(text: str) -> bool:
    """Whether the last word of a phrase in the singular is one that the table counts."""
    return fold(_parts(text)[0].split(" ")[-1]) in _counted()


def many(text: str) -> bool:
    """Whether a phrase is in the plural, by the last word before "of" or "with"."""
    head = fold(_parts(text)[0].split(" ")[-1])
    return head in _PLURALS or singular(head, _Any(head)) is not None


def plural(text: str) -> str:
    """The plural of a phrase; one in the plural already stays."""
    front, rest = _parts(text)
    if many(front):
        return text
    for single, more in _LATIN:
        if front.lower().endswith(single):
            return front[: -len(single)] + front[-len(single)] + more[1:] + rest
    if _UNCOUNTED.search(front):
        return text
    if re.search(r"[^s]is$", front):
        return front[:-2] + ("ides" if front.endswith("didymis") else "es") + rest
    if re.search(r"(s|x|z|ch|sh)$", front):
        return front + "es" + rest
    if re.search(r"[^aeiou]y$", front):
        return front[:-1] + "ies" + rest
    return front + "s" + rest


def one(text: str) -> str:
    """The singular of a phrase whose last word the table knows; another stays."""
    front, rest = _parts(text)
    *before, head = front.split(" ")
    single = singular(fold(head), _Any(fold(head)))
    return " ".join([*before, single or head]) + rest


def _parts(text: str) -> tuple[str, str]:
    """A phrase before and from its "of" or "with"."""
    found = _OF.match(text)
    return (found[1], found[2]) if found else (text, "")


class _Any:
    """Words that count as known singulars: last words of the table, and what lost a plain s."""

    def __init__(self, word: str) -> None:
        plain = word.endswith("s") and not word.endswith(("ss", "us", "is"))
        self._plain = word[:-1] if plain else None

    def __contains__(self, word: object) -> bool:
        return word in _known() or word == self._plain


@functools.cache
def _known() -> frozenset[str]:
    """Last words of all names and forms of the table."""
    rows = concepts().values()
    return frozenset(fold(name.split()[-1]) for row in rows for name in (row.name, *row.forms))


@functools.cache
def _counted() -> frozenset[str]:
    """Last words of the names of objects, which have a plural."""
    rows = concepts().values()
    return frozenset(fold(row.name.split()[-1]) for row in rows if row.kind == "object")
