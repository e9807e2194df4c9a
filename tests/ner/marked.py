"""Sentences with their expected reading written into them: "No [necrosis]- in the [glands]+"."""

import re

POLARITIES = {"+": "affirmed", "-": "negated", "?": "uncertain"}
_MARK = re.compile(r"\[([^\]=]+)(?:=([^\]]+))?\]([+?-])")


def parse(marked):
    """Return the plain sentence and (phrase, concept or None, polarity) of each marked phrase."""
    expected = [(text, concept, POLARITIES[mark]) for text, concept, mark in _MARK.findall(marked)]
    return _MARK.sub(lambda found: found[1], marked), [
        (text, concept or None, polarity) for text, concept, polarity in expected
    ]
