"""Limits on what a language model may cost: calls, tokens a minute, tokens in all, money in all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from miner.core.llm_settings import LlmSettings


class Budget:
    """Counts calls and tokens and says when to wait and when to stop.

    A call is charged its estimate before it is made and its usage afterwards, so that requests in
    flight cannot overdraw the budget by more than their estimates are wrong.

    Args:
        limits: limits and prices.
        clock: seconds, monotonic.
    """

    def __init__(self, limits: LlmSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._free_at = clock()
        self.calls = 0
        self.tokens_in = 0
        self.tokens_out = 0
        self._reserved_in = 0
        self._reserved_out = 0

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self._limits.price_in + tokens_out * self._limits.price_out) / 1e6

    def reserve(self, tokens_in: int, tokens_out: int) -> bool:
        """Charge an estimate; False, and nothing charged, when it would overdraw the budget."""
        limits = self._limits
        total_in = self.tokens_in + self._reserved_in + tokens_in
        total_out = self.tokens_out + self._reserved_out + tokens_out
        if limits.budget is not None and self.calls >= limits.budget:
            return False
        if limits.token_budget and total_in + total_out > limits.token_budget:
            return False
        if limits.money_budget and self._price(total_in, total_out) > limits.money_budget:
            return False
        self.calls += 1
        self._reserved_in += tokens_in
        self._reserved_out += tokens_out
        return True

    def settle(self, tokens_in: int, tokens_out: int, used_in: int, used_out: int) -> None:
        """Replace an estimate by what was used."""
        self._reserved_in -= tokens_in
        self._reserved_out -= tokens_out
        self.tokens_in += used_in
        self.tokens_out += used_out

    async def wait(self, tokens: int) -> None:
        """Wait until another `tokens` fit the rate; calls are spread evenly over the minute."""
        rate = self._limits.tokens_per_minute
        if not rate:
            return
        now = self._clock()
        start = max(now, self._free_at)
        self._free_at = start + 60.0 * tokens / rate
        if start > now:
            await asyncio.sleep(start - now)
