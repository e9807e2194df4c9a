"""Settings of the caption stage."""

from miner.settings import Settings


class LlmConfig(Settings):
    """An OpenAI-compatible server that extracts mentions.

    Attributes:
        base_url: address of the server's `/v1`.
        model: model name as the server knows it.
    """

    base_url: str
    model: str


class NerConfig(Settings):
    """How mentions are found.

    Attributes:
        llm: the LLM extractor; not called when left out.
    """

    llm: LlmConfig | None = None
