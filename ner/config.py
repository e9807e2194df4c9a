"""Settings of the caption stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from miner.core.llm_settings import LlmSettings
from miner.core.settings import Files, Settings, files_at


class LlmConfig(LlmSettings):
    """An OpenAI-compatible server that extracts mentions.

    The key is read from the environment variable `key_env`, never from a file.

    Attributes:
        cache: folder of recorded replies; a caption whose reply is recorded makes no call. In a run
            whose OUT is local, `llm/` in OUT by default.
        json_schema: ask the server for answers that fit the schema; falls back where refused.
    """

    json_schema: bool = True


class NerConfig(Settings):
    """How mentions are found.

    Attributes:
        llm: the LLM extractor; not called when left out.
        model: name of an installed spaCy package (`en_core_sci_sm`, `en_ner_bionlp13cg_md`, ...)
            whose entities and parses take part; none when left out.
        linker: link entities to UMLS with scispaCy's knowledge base, where it is installed.
        merge: how sources vote on a mention: `union` takes what any source found, `majority` what
            more than half of them found, `lexicon` takes the lexicon's mentions unless the LLM
            contradicts their being affirmed, and what the LLM adds.
        abbreviations: look for abbreviations that the caption defines.
    """

    llm: LlmConfig | None = None
    model: str | None = None
    linker: bool = False
    merge: Literal["union", "majority", "lexicon"] = "union"
    abbreviations: bool = True

    def files(self) -> Mapping[str, Files]:
        """The tables of concepts, words and cues."""
        return {"tables": files_at(Path(__file__).parent / "data")}
