"""scispaCy models as a further source: entities of any installed spaCy package.

The models are AI2's and come from AI2's release files. Packages of the same names on the public
index are somebody else's (version 999.9.9), so the message that says how to install one always
gives the release address, never a bare package name.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from typing import Any

from miner.core.errors import Refused

RELEASE = "https://s3-us-west-2.amazonaws.com/ai2-s2-scispacy/releases"
VERSION = "0.5.4"  # the newest release of the models; they work with scispaCy 0.6
FOREIGN_VERSION = "999.9.9"

# Entity types of the en_ner_* models that name structures, and what they are when the table does
# not know the words.
STRUCTURES = {
    "CELL": "cell",
    "TISSUE": "tissue",
    "MULTI_TISSUE_STRUCTURE": "structure",
    "CELLULAR_COMPONENT": "structure",
    "DEVELOPING_ANATOMICAL_STRUCTURE": "structure",
    "ANATOMICAL_SYSTEM": "",
    "ORGAN": "",
    "CANCER": "",
    "ENTITY": "",
}


def install_line(name: str) -> str:
    """Return the shell line that installs AI2's own package of this name."""
    return f"pip install {RELEASE}/v{VERSION}/{name}-{VERSION}.tar.gz"


def installed_version(name: str) -> str | None:
    """Return the version of the installed package of this name, None when there is none.

    Reads metadata only: no code of the package runs.
    """
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


class ModelExtractor:
    """Entities of a spaCy package, loaded once.

    Args:
        name: package name, such as `en_core_sci_sm` or `en_ner_bionlp13cg_md`.
        linker: link entities to UMLS with scispaCy's knowledge base.

    Raises:
        Refused: if the package is not installed, is not AI2's, or has no knowledge base.
    """

    def __init__(self, name: str, linker: bool = False) -> None:
        version = installed_version(name)
        if version is None:
            raise Refused(f"ner.model: {name} is not installed; get it with: {install_line(name)}")
        if version == FOREIGN_VERSION:
            raise Refused(
                f"ner.model: the installed {name} is not AI2's (version {FOREIGN_VERSION}); "
                f"remove it and get AI2's with: {install_line(name)}"
            )
        import spacy

        try:
            self._nlp = spacy.load(name)
        except OSError as error:
            raise Refused(f"ner.model: {name} is no spaCy pipeline ({error})") from error
        self._linker = linker
        if linker:
            try:
                import scispacy.linking  # noqa: F401  (registers the component)
            except ModuleNotFoundError as error:
                if error.name != "nmslib":
                    raise
                raise Refused(
                    "ner.linker: nmslib is not installed; parts of it are under the GPL; get it "
                    "with: pip install nmslib-metabrainz"
                ) from None
            try:
                self._nlp.add_pipe("scispacy_linker", config={"linker_name": "umls"})
            except (OSError, ValueError) as error:
                raise Refused(f"ner.linker: UMLS knowledge base not available ({error})") from error

    def __call__(self, text: str) -> Iterator[tuple[int, int, str, str | None]]:
        """Yield (start, end, concept to fall back on, UMLS code) of each entity, in order.

        Args:
            text: one caption. Parallelism belongs to the callers: `nlp.pipe(n_process=...)` is
                several times slower than one process.
        """
        for entity in self._nlp(text).ents:
            if entity.label_ in STRUCTURES:
                yield (
                    entity.start_char,
                    entity.end_char,
                    STRUCTURES[entity.label_],
                    self._code(entity),
                )

    def _code(self, entity: Any) -> str | None:
        linked = entity._.kb_ents if self._linker else ()
        return linked[0][0] if linked else None
