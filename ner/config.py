"""Settings of the caption stage."""

from __future__ import annotations

from typing import Literal

import pydantic

from miner.core.settings import Settings


class LlmConfig(Settings):
    """An OpenAI-compatible server that extracts mentions.

    The key is read from the environment variable `key_env`, never from a file.

    Attributes:
        base_url: address of the server's `/v1`.
        model: model name as the server knows it.
        key_env: environment variable that holds the key; servers without keys need none.
        cache: folder of recorded replies; a caption whose reply is recorded makes no call. In a run
            whose OUT is local, `llm/` in OUT by default.
        in_flight: requests under way at a time.
        timeout_s: seconds until one attempt counts as failed.
        retries: further attempts after a time-out, 429 or 5xx, as the client does them.
        max_output_tokens: longest answer asked for.
        tokens_per_minute: pause to stay below this rate; 0 for no limit.
        token_budget: stop calling after this many tokens in and out; 0 for no limit.
        money_budget: stop calling after this much money; 0 for no limit.
        price_in: money per million input tokens.
        price_out: money per million output tokens.
        json_schema: ask the server for answers that fit the schema; falls back where refused.
        seed: sampling seed sent along; the temperature is always 0.
    """

    base_url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    cache: str | None = None
    in_flight: int = pydantic.Field(default=8, ge=1, le=256)
    timeout_s: float = pydantic.Field(default=60.0, gt=0)
    retries: int = pydantic.Field(default=3, ge=0)
    max_output_tokens: int = pydantic.Field(default=1024, ge=16)
    tokens_per_minute: int = pydantic.Field(default=0, ge=0)
    token_budget: int = pydantic.Field(default=0, ge=0)
    money_budget: float = pydantic.Field(default=0.0, ge=0)
    price_in: float = pydantic.Field(default=0.0, ge=0)
    price_out: float = pydantic.Field(default=0.0, ge=0)
    json_schema: bool = True
    seed: int = 0


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
