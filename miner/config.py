"""The configuration of a run: loaded from YAML, changed by `--set`, checked, hashed."""

from __future__ import annotations

import difflib
import hashlib
import importlib.resources
import json
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from filters.config import DedupeConfig, FilterConfig
from miner.corpora.config import CorpusConfig
from miner.errors import Refused
from miner.sampling import SamplingConfig
from miner.settings import Settings
from ner.config import NerConfig
from segmenters.config import SegmentConfig
from shards.config import ShardsConfig


class Resources(Settings):
    """What one Ray actor of a stage reserves.

    Attributes:
        num_cpus: cores, may be a fraction.
        num_gpus: GPUs, may be a fraction.
    """

    num_cpus: float = pydantic.Field(1.0, ge=0)
    num_gpus: float = pydantic.Field(0.0, ge=0)


class RunnerConfig(Settings):
    """How the work is spread. Nothing here but `threads` and `unit_rows` can change a byte.

    Attributes:
        workers: actors per group of stages; 0 means one per core of the machine or cluster.
        threads: threads of OpenMP, torch and OpenCV in each worker.
        unit_rows: captions in a work unit (an image's captions always stay together).
        in_flight: units underway per worker.
        resources: what an actor reserves, by stage (extract, segment, score, embed).
            Neighbouring stages that reserve the same share an actor; others are chained.
    """

    workers: int = pydantic.Field(0, ge=0)
    threads: int = pydantic.Field(1, ge=1)
    unit_rows: int = pydantic.Field(64, ge=1)
    in_flight: int = pydantic.Field(2, ge=1)
    resources: dict[typing.Literal["extract", "segment", "score", "embed"], Resources] = (
        pydantic.Field(default_factory=dict)
    )


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
        sampling: caps and targets per stratum.
        shards: packing, splits.
        runner: workers and threads.
    """

    seed: int = 0
    out: str = "runs/out"
    corpora: tuple[CorpusConfig, ...] = pydantic.Field(min_length=1)
    ner: NerConfig = NerConfig()
    segment: SegmentConfig = SegmentConfig()
    filters: FilterConfig = FilterConfig()
    dedupe: DedupeConfig = DedupeConfig()
    sampling: SamplingConfig = SamplingConfig()
    shards: ShardsConfig = ShardsConfig()
    runner: RunnerConfig = RunnerConfig()

    @pydantic.model_validator(mode="after")
    def _distinct_names(self) -> Config:
        names = [c.name or c.kind for c in self.corpora]
        if len(set(names)) != len(names):
            raise ValueError(f"corpora need distinct names, got {names}; set `name`")
        return self

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run: all settings but paths and the spread of the work."""
        value = self.model_dump(mode="json")
        del value["out"]
        for corpus in value["corpora"]:
            for field in [f for f in corpus if f.endswith("path") or f.endswith("paths")]:
                del corpus[field]
        value["runner"] = {"threads": self.runner.threads, "unit_rows": self.runner.unit_rows}
        return value

    def digest(self) -> str:
        """sha256 of `identity`, hexadecimal."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def load_config(
    path: str,
    sets: Sequence[str] = (),
    corpora: Sequence[str] = (),
    out: str | None = None,
    workers: int | None = None,
) -> Config:
    """Read a configuration.

    Args:
        path: YAML file; `configs/NAME.yaml` is also found among those that ship with the package.
        sets: `a.b=c` changes, the value in YAML; numbers index lists.
        corpora: `KIND=PATH` entries that replace the list of corpora.
        out: replaces `out`.
        workers: replaces `runner.workers`.

    Raises:
        Refused: the file is missing or not YAML, or a field is wrong.
    """
    value = _read_yaml(path)
    if corpora:
        value["corpora"] = [_corpus(entry) for entry in corpora]
    apply_sets(value, sets)
    if out is not None:
        value["out"] = out
    if workers is not None:
        value.setdefault("runner", {})["workers"] = workers
    return check_config(value, path)


def apply_sets(value: dict[str, Any], sets: Sequence[str]) -> None:
    """Apply `a.b=c` changes, in order, to a plain configuration; raises `Refused`."""
    for change in sets:
        _apply(value, change)


def check_config(value: Any, where: str) -> Config:
    """Turn a plain dict into a `Config`; raises `Refused` naming `where` and the field."""
    try:
        return Config.model_validate(value)
    except pydantic.ValidationError as error:
        raise Refused(f"{where}: {_explain(error)}") from None


def difference(old: Any, new: Any, path: str = "") -> list[str]:
    """Leaf by leaf differences of two plain values, as `a.b: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        return [
            line
            for k in keys
            for line in difference(old.get(k), new.get(k), f"{path}.{k}" if path else k)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in pairs for line in difference(a, b, f"{path}.{i}")]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]


def _read_yaml(path: str) -> dict[str, Any]:
    file = Path(path)
    source = file if file.exists() else importlib.resources.files("configs") / file.name
    try:
        value = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(f"{path}: no such configuration file") from None
    except IsADirectoryError:
        raise Refused(f"{path}: is a folder, not a configuration file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Refused(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise Refused(f"{path}: expected a mapping of settings, found {type(value).__name__}")
    return value


def _corpus(entry: str) -> dict[str, Any]:
    kind, equals, path = entry.partition("=")
    if not equals or not kind or not path:
        raise Refused(f"--corpus {entry}: expected KIND=PATH")
    return {"kind": kind, "path": path}


def _apply(value: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    if not equals:
        raise Refused(f"--set {change}: expected a.b=c")
    *parents, last = name.split(".")
    at: Any = value
    for part in parents:
        if isinstance(at, list):
            at = at[_index(at, part, change)]
            continue
        at[part] = {} if at.get(part) is None else at[part]
        at = at[part]
        if not isinstance(at, dict | list):
            raise Refused(f"--set {change}: {part} is not a section")
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError:
        raise Refused(f"--set {change}: the value is not YAML") from None
    if isinstance(at, list):
        at[_index(at, last, change)] = new
    else:
        at[last] = new
    # One way of stating the quality replaces the other.
    rivals = {"filters.precision": "fdr", "filters.fdr": "precision"}
    if name in rivals and isinstance(at, dict):
        at.pop(rivals[name], None)


def _index(at: list[Any], part: str, change: str) -> int:
    if not part.isdigit() or int(part) >= len(at):
        raise Refused(f"--set {change}: {part} is not an index below {len(at)}")
    return int(part)


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "configuration"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = sorted(_fields(Config, first["loc"][:-1]))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        return f"{where}: unknown setting; {hint}{more}"
    if first["type"] == "union_tag_invalid":
        kinds = first["ctx"]["expected_tags"].replace("'", "")
        return f"{where}: no kind {first['ctx']['tag']!r}; known: {kinds}"
    given = first["input"]
    got = f", got {given!r}" if isinstance(given, bool | int | float) else ""
    return f"{where}: {first['msg']}{got}{more}"


def _fields(annotation: Any, location: Sequence[Any]) -> set[str]:
    """Names of the settings at `location`, followed through containers and unions."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if not location:
            return set(annotation.model_fields)
        head, *rest = location
        if head in annotation.model_fields:
            return _fields(annotation.model_fields[head].annotation, rest)
        # A discriminated union puts its tag into the location.
        kind = annotation.model_fields.get("kind")
        tags = typing.get_args(kind.annotation) if kind else ()
        return _fields(annotation, rest) if head in tags else set()
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return set().union(*(_fields(a, location) for a in typing.get_args(annotation)))
    if typing.get_origin(annotation) in (tuple, list, dict) and location:
        return set().union(*(_fields(a, location[1:]) for a in typing.get_args(annotation)))
    return set()
