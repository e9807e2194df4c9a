"""Settings of a server that runs a language model."""

from __future__ import annotations

from collections.abc import Set

import pydantic

from miner.core.settings import Settings


class LlmSettings(Settings):
    """An OpenAI-compatible server.

    The key is read from the environment variable `key_env`, never from a file.

    Attributes:
        base_url: address of the server's `/v1`.
        model: model name as the server knows it.
        key_env: environment variable that holds the key; servers without keys need none.
        cache: folder of recorded replies; what has a recorded reply is not asked again.
        in_flight: requests under way at a time.
        timeout_s: seconds until one attempt counts as failed, its whole answer included.
        retries: further attempts after a time-out, 429 or 5xx, as the client does them.
        max_output_tokens: longest answer asked for.
        budget: most calls of one worker; null for no limit.
        tokens_per_minute: pause to stay below this rate; 0 for no limit.
        token_budget: stop calling after this many tokens in and out; 0 for no limit.
        money_budget: stop calling after this much money; 0 for no limit.
        price_in: money per million input tokens.
        price_out: money per million output tokens.
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
    budget: int | None = pydantic.Field(default=None, ge=0)
    tokens_per_minute: int = pydantic.Field(default=0, ge=0)
    token_budget: int = pydantic.Field(default=0, ge=0)
    money_budget: float = pydantic.Field(default=0.0, ge=0)
    price_in: float = pydantic.Field(default=0.0, ge=0)
    price_out: float = pydantic.Field(default=0.0, ge=0)
    seed: int = 0

    def incidental(self) -> Set[str]:
        """Where replies are recorded, and how fast they come."""
        return {"cache", "in_flight"}
