"""All extractors as configured, behind one call."""

from __future__ import annotations

import functools

from ner.lexicon import Lexicon


@functools.cache
def default() -> Lexicon:
    """The extractor that needs no configuration and no model; built on first use."""
    return Lexicon()
