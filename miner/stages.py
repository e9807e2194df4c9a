"""The stages in pipeline order, and how neighbours are grouped into workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

from miner.config import Config, Resources, StageName
from miner.core.settings import Settings
from miner.core.store import Store
from miner.core.unit import Stage
from segmenters.config import SegmentConfig

S = TypeVar("S", bound=Settings)
NAMES: tuple[StageName, ...] = get_args(StageName)


def _extract(config: Config) -> Stage:
    from ner.stage import ExtractMentions

    return ExtractMentions(_recorded(config.ner, "llm", config.out))


def _recorded(section: S, name: str, out: str) -> S:
    """The section with its language model's replies recorded in OUT, unless they are elsewhere.

    Recorded replies make a resumed run give the same bytes.
    """
    model = getattr(section, name)
    store = Store(out)
    if model is None or model.cache is not None or not store.local:
        return section
    cached = model.model_copy(update={"cache": store.path("llm")})
    return section.model_copy(update={name: cached})


def _services_recorded(section: SegmentConfig, out: str) -> SegmentConfig:
    """The section with the answers of its services recorded in OUT, unless they are elsewhere."""
    store = Store(out)
    if not store.local:
        return section
    return section.model_copy(
        update={
            "segmenters": tuple(
                one.model_copy(update={"cache": store.path("services")})
                if getattr(one, "cache", "") is None
                else one
                for one in section.segmenters
            )
        }
    )


def _segment(config: Config) -> Stage:
    from segmenters.stage import Segment

    segment = _services_recorded(config.segment, config.out)
    return Segment(segment, config.runner.threads, config.shards.keep_negatives)


def _score(config: Config) -> Stage:
    from filters.stage import Score

    filters = _recorded(config.filters, "judge", config.out)
    return Score(filters, threads=config.runner.threads)


def _embed(config: Config) -> Stage:
    from filters.embed import Embed

    return Embed(config.dedupe)


BUILD: dict[StageName, Callable[[Config], Stage]] = {
    "extract": _extract,
    "segment": _segment,
    "score": _score,
    "embed": _embed,
}


def groups(config: Config) -> list[tuple[Resources, tuple[StageName, ...]]]:
    """Neighbouring stages that reserve the same resources share a worker.

    On CPUs alone that is one group: a unit then crosses no process border between stages, which
    on few cores is worth more than a pipeline.
    """
    result: list[tuple[Resources, tuple[StageName, ...]]] = []
    for name in NAMES:
        wanted = config.runner.resources.get(name, Resources())
        if result and result[-1][0] == wanted:
            result[-1] = (wanted, (*result[-1][1], name))
        else:
            result.append((wanted, (name,)))
    return result
