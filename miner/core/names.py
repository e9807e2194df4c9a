"""Names of files as different systems write them, and those of label maps.

macOS spells letters with marks in pieces (NFD) and others whole (NFC), zips of Windows have
backslashes, and macOS, editors and notebooks leave files behind that nobody means as data.
"""

from __future__ import annotations

import unicodedata

PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")
_LEFT_BEHIND = "__MACOSX"
# A label map has the name of its concept, with `_` for spaces, but for these.
_OF_MAPS = {
    "nuclei": "nucleus",
    "epithelial_nuclei": "epithelial nucleus",
    "stromal_nuclei": "stromal nucleus",
}
_OF_CONCEPTS = {concept: name for name, concept in _OF_MAPS.items()}


def map_name(concept: str) -> str:
    """Name of a concept's label map, without suffix: `epithelial_nuclei`, `red_blood_cell`."""
    return _OF_CONCEPTS.get(concept, concept.replace(" ", "_"))


def map_concept(name: str) -> str:
    """The concept that a label map of this name is of."""
    return _OF_MAPS.get(name, name.replace("_", " "))


def plain(name: str) -> str:
    """A name by which equal names are equal: NFC, with `/` between folders."""
    return unicodedata.normalize("NFC", name).replace("\\", "/")


def base(name: str) -> str:
    """The name without its folders, spelled as it was."""
    return name.replace("\\", "/").rpartition("/")[2]


def stem(name: str) -> str:
    """Base name without the suffix of a picture; other dots, as in the names of slides, stay."""
    last = base(name)
    head, dot, suffix = last.rpartition(".")
    return head if dot and f".{suffix.lower()}" in PICTURES else last


def hidden(name: str) -> bool:
    """Whether a name, or a folder in it, begins with a dot (`._a.jpg`, `.ipynb_checkpoints`)."""
    parts = plain(name).split("/")
    return any(p == _LEFT_BEHIND or (p[:1] == "." and p not in (".", "..")) for p in parts)


def spellings(name: str) -> tuple[str, ...]:
    """Ways in which a file system may spell a name, as it stands first."""
    whole = plain(name)
    return tuple(dict.fromkeys((name, whole, unicodedata.normalize("NFD", whole))))


def zip_name(raw: bytes, flags: int) -> str:
    """Name of a zip's member: many writers put UTF-8 without the flag (0x800) that says so."""
    if flags & 0x800:
        return raw.decode("utf-8", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp437")
