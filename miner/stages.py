"""The stages in pipeline order, and how neighbours are grouped into workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from miner.config import Config, Resources
from miner.core.store import Store
from miner.core.unit import Stage

Name = Literal["extract", "segment", "score", "embed"]
NAMES: tuple[Name, ...] = get_args(Name)


def _extract(config: Config) -> Stage:
    from ner.stage import ExtractMentions

    ner = config.ner
    out = Store(config.out)
    if ner.llm is not None and ner.llm.cache is None and out.local:
        # Recorded replies make a resumed run give the same bytes.
        llm = ner.llm.model_copy(update={"cache": out.path("llm")})
        ner = ner.model_copy(update={"llm": llm})
    return ExtractMentions(ner)


def _segment(config: Config) -> Stage:
    from segmenters.stage import Segment

    return Segment(config.segment, config.runner.threads, config.shards.keep_negatives)


def _score(config: Config) -> Stage:
    from filters.stage import Score

    return Score(config.filters, threads=config.runner.threads)


def _embed(config: Config) -> Stage:
    from filters.embed import Embed

    return Embed(config.dedupe)


BUILD: dict[Name, Callable[[Config], Stage]] = {
    "extract": _extract,
    "segment": _segment,
    "score": _score,
    "embed": _embed,
}


def groups(config: Config) -> list[tuple[Resources, tuple[Name, ...]]]:
    """Neighbouring stages that reserve the same resources share a worker.

    On CPUs alone that is one group: a unit then crosses no process border between stages, which
    on few cores is worth more than a pipeline.
    """
    result: list[tuple[Resources, tuple[Name, ...]]] = []
    for name in NAMES:
        wanted = config.runner.resources.get(name, Resources())
        if result and result[-1][0] == wanted:
            result[-1] = (wanted, (*result[-1][1], name))
        else:
            result.append((wanted, (name,)))
    return result
