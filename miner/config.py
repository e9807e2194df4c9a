"""The configuration of a run: its settings, and what makes two of them the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Set
from typing import Annotated, Any, Literal

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError

from filters.config import PRECISION, TARGETS, DedupeConfig, FilterConfig, ProtectConfig
from filters.scores import EXTENT, SCORES, VERDICT
from miner.barrier.config import SamplingConfig
from miner.core.chosen import In
from miner.core.contents import identity
from miner.core.settings import Settings
from miner.core.unit import CANDIDATES
from miner.corpora.config import CorpusConfig, corpus_name
from miner.corpora.licenses import exclusive
from ner.config import NerConfig
from segmenters.config import SegmentConfig
from shards.config import ShardsConfig

StageName = Literal["extract", "segment", "score", "embed"]  # in pipeline order


class Resources(Settings):
    """What one Ray actor of a stage reserves.

    Attributes:
        num_cpus: cores, may be a fraction.
        num_gpus: GPUs, may be a fraction.
        memory_gb: main memory, in GB of 10^9 bytes: so many share a node as fit into what Ray has
            there, some 70% of it. A worker with the embedded models takes some 1.2.
        workers: actors of this stage and those that share them; 0 means `runner.workers`.
    """

    num_cpus: float = pydantic.Field(1.0, ge=0)
    num_gpus: float = pydantic.Field(0.0, ge=0)
    memory_gb: float = pydantic.Field(1.5, ge=0)
    workers: int = pydantic.Field(0, ge=0)


class RunnerConfig(Settings):
    """How the work is spread. Nothing here but `threads` and `unit_rows` can change a byte.

    Attributes:
        workers: actors per group of stages; 0 means as many as the machine or cluster holds, now
            and when it grows. With a number, those that find no room yet are waited for.
        threads: threads of OpenMP, torch and OpenCV in each worker.
        unit_rows: captions in a work unit (an image's captions always stay together).
        in_flight: units underway per worker.
        isolation: work in processes of their own, which a picture may end without ending the run;
            without, an error still costs its picture alone, a crash or a hang ends the run.
        unit_timeout_s: seconds that a unit may take before it is tried again alone, then in parts.
            By default no unit is hurried: one is given up when for ten minutes, or for 20 times as
            long as units take in the middle, no picture of it was begun.
        resources: what an actor reserves, by stage (extract, segment, score, embed).
            Neighbouring stages that reserve the same share an actor; others are chained.
    """

    workers: int = pydantic.Field(0, ge=0)
    threads: int = pydantic.Field(1, ge=1)
    unit_rows: int = pydantic.Field(64, ge=1)
    in_flight: int = pydantic.Field(2, ge=1)
    isolation: bool = True
    unit_timeout_s: float | None = pydantic.Field(None, gt=0)
    resources: dict[StageName, Resources] = pydantic.Field(default_factory=dict)

    def incidental(self) -> Set[str]:
        """How the work is spread."""
        return type(self).model_fields.keys() - {"threads", "unit_rows"}


class Config(Settings):
    """Everything a run depends on.

    Attributes:
        seed: seed of every random choice.
        out: folder or fsspec URL of the output.
        corpora: what is read, in this order.
        ner: captions to mentions.
        segment: mentions to candidate masks.
        filters: candidate masks to verdicts.
        dedupe: which pictures count as the same.
        protect: test sets: what is like one of their pictures, or of their patients, is left out.
        sampling: caps, targets and proportions per stratum.
        shards: packing, splits.
        runner: workers and threads.
    """

    seed: int = 0
    out: str = "runs/out"
    corpora: tuple[Annotated[CorpusConfig, In("corpora")], ...] = pydantic.Field(min_length=1)
    ner: NerConfig = NerConfig()
    segment: SegmentConfig = SegmentConfig()
    filters: FilterConfig = FilterConfig()
    dedupe: DedupeConfig = DedupeConfig()
    protect: tuple[ProtectConfig, ...] = ()
    sampling: SamplingConfig = SamplingConfig()
    shards: ShardsConfig = ShardsConfig()
    runner: RunnerConfig = RunnerConfig()

    @pydantic.model_validator(mode="after")
    def _distinct_names(self) -> Config:
        names = [corpus_name(c) for c in self.corpora]
        if len(set(names)) != len(names):
            raise ValueError(f"corpora need distinct names, got {names}; set `name`")
        guards = [p.name for p in self.protect]
        if len(set(guards)) != len(guards):
            raise ValueError(f"protect: its sets need distinct names, got {guards}")
        others = [a.name for a in self.dedupe.against]
        if len(set(others)) != len(others):
            raise ValueError(f"dedupe.against: its runs need distinct names, got {others}")
        return self

    @pydantic.model_validator(mode="after")
    def _licenses_together(self) -> Config:
        """What is packed as one data set can be passed on as one, unless nobody means to."""
        texts = {corpus_name(c): c.license for c in self.corpora}
        pairs = [] if self.shards.mixed_licenses else exclusive(texts)
        if pairs:
            a, b = pairs[0]
            raise ValueError(
                f"corpora: licences of {a} ({texts[a]}) and {b} ({texts[b]}) exclude each other: "
                "mine them into two OUTs, or set shards.mixed_licenses where nothing is passed on"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _known_scores(self) -> Config:
        """Thresholds are on scores that this run measures, and no score has another's name."""
        ours = {*SCORES, *VERDICT, *EXTENT, *CANDIDATES.names}
        of_segmenters, of_parts = self.segment.columns(), self.filters.columns()
        twice = of_segmenters.keys() & ours | of_parts.keys() & (ours | of_segmenters.keys())
        if twice:
            raise _wrong("filters", "scores", f"{min(twice)} is another score's name")
        known = {*SCORES, "confidence", *of_segmenters, *of_parts}
        limits = {"at_least": self.filters.at_least, "at_most": self.filters.at_most}
        for word, stated in limits.items():
            for name in sorted(stated.keys() - known):
                said = f"no score is called {name!r}; there are {', '.join(sorted(known))}"
                raise _wrong("filters", word, said)
        return self

    def incidental(self) -> Set[str]:
        """Where the output goes."""
        return {"out"}

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run: settings, and the content of the files they name.

        Raises:
            Refused: a file cannot be read.
        """
        return identity(self)

    def digest(self) -> str:
        """sha256 of `identity`, hexadecimal."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def _wrong(section: str, setting: str, said: str) -> pydantic.ValidationError:
    kind = PydanticCustomError("score", "{said}", {"said": said})
    line = InitErrorDetails(type=kind, loc=(section, setting), input=None)
    return pydantic.ValidationError.from_exception_data("Config", [line])


UNSET = "not set"


def in_force(config: Mapping[str, Any]) -> dict[str, Any]:
    """A plain configuration with the precision that holds where it sets no other target."""
    filters = config.get("filters")
    if not isinstance(filters, dict) or any(filters.get(name) for name in TARGETS):
        return dict(config)
    return {**config, "filters": {**filters, "precision": PRECISION}}


def difference(old: Any, new: Any, path: str = "") -> list[str]:
    """Leaf by leaf differences of two plain values, as `a.b: old -> new`, or `not set -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(set(old) | set(new)):
            place = f"{path}.{key}" if path else key
            found += difference(old.get(key, UNSET), new.get(key, UNSET), place)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in pairs for line in difference(a, b, f"{path}.{i}")]
    told = [UNSET if value is UNSET else json.dumps(value) for value in (old, new)]
    return [] if old == new else [f"{path}: {told[0]} -> {told[1]}"]
