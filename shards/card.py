"""The dataset card of a run, the croissant metadata and the sample's schema.

Neither paths nor times enter, so that the same run gives the same bytes anywhere.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from miner.core.layout import LEAKS
from miner.core.parts import Part, find
from miner.core.rows import schema
from miner.core.shown import all_masked, markdown
from miner.core.store import Store
from shards.croissant import croissant
from shards.pack import FOLDER, ShardInfo, read_parquet
from shards.sample import ABSENT, UNKNOWN, GroundedSample, json_schema

# What the Hugging Face hub takes for `license` and `size_categories` of a data set.
HUB_LICENSES = (
    *(f"cc-by-{version}" for version in ("2.0", "2.5", "3.0", "4.0")),
    *(f"cc-by-{terms}-4.0" for terms in ("sa", "nc", "nd", "nc-sa", "nc-nd")),
    *("cc0-1.0", "pddl", "odbl", "odc-by", "apache-2.0", "mit"),
)
SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (math.inf, "100M<n<1B"),
)
PACKAGES = ("histomine", "numpy", "opencv-python-headless", "pyarrow", "pycocotools", "torch")


def write_card(
    store: Store,
    infos: Sequence[ShardInfo],
    config: Any,
    audit: Mapping[str, Any] | None = None,
) -> None:
    """Write `README.md`, `croissant.json` and `sample.schema.json` under shards/.

    Call it after the ledger and before the manifest, which signs these files.

    Args:
        store: OUT.
        infos: all shards.
        config: the run's `miner.config.Config`.
        audit: of a release, its `estimates` (`miner.audit.estimate`) and what the `gate` found.
    """
    counts = _counts(store, infos)
    kinds = {c.name or c.kind: c.kind for c in config.corpora}
    facts = {
        "counts": counts,
        "corpora": [
            {"name": name, "kind": kind, "rows": counts["statuses"].get(name, {})}
            for name, kind in sorted(kinds.items())
        ],
        "thresholds": _without_paths(all_masked(config.filters.model_dump(mode="json"))),
        "target": config.filters.target,
        "versions": _versions(),
        "digest": config.digest(),
        "seed": config.seed,
        "audit": audit,
        "leaks": store.read_json(LEAKS) if store.exists(LEAKS) else None,
    }
    store.write(f"{FOLDER}/README.md", _readme(infos, facts).encode())
    read = [find("corpora", c["kind"]) for c in facts["corpora"]]
    citations = [part.cite for part in read if part.cite]
    described = croissant(infos, facts, citations)
    text = json.dumps(described, indent=2, ensure_ascii=False)
    store.write(f"{FOLDER}/croissant.json", text.encode() + b"\n")
    store.write_json(f"{FOLDER}/sample.schema.json", json_schema())


def _without_paths(value: Any) -> Any:
    """Settings in which a path is its last part; hub ids (`owner/name`) stay."""
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_paths(v) for v in value]
    is_path = isinstance(value, str) and (value.count("/") > 1 or value[:1] in ("/", ".", "~"))
    return value.rstrip("/").rsplit("/", 1)[-1] if is_path else value


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _counts(store: Store, infos: Iterable[ShardInfo]) -> dict[str, Any]:
    """Samples, regions, concepts, licences by reading the index files and the ledger."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    concepts: dict[str, Counter[str]] = defaultdict(Counter)
    licenses: Counter[tuple[str, str]] = Counter()
    groups: set[str] = set()
    columns = ["corpus", "license", "group", "concepts", "areas_px", "absent", "unknown"]
    generated: Counter[str] = Counter()
    for info in infos:
        splits[info.split].update(samples=info.samples, regions=info.regions, bytes=info.bytes)
        table = read_parquet(store, info.index, [*columns, "generated"])
        composed = table.filter(pc.fill_null(table["generated"], False))
        generated.update(composed["corpus"].to_pylist())
        groups.update(table["group"].to_pylist())
        rows = zip(table["corpus"].to_pylist(), table["license"].to_pylist(), strict=True)
        licenses.update(rows)
        names = pc.list_flatten(table["concepts"]).to_pylist()
        areas = pc.list_flatten(table["areas_px"]).to_pylist()
        for name, area in zip(names, areas, strict=True):
            concepts[name].update(regions=1, area_px=area)
        for state in (ABSENT, UNKNOWN):
            for name in pc.list_flatten(table[state]).to_pylist():
                concepts[name].update({state: 1})
    return {
        "splits": {k: dict(v) for k, v in splits.items()},
        "concepts": {k: dict(v) for k, v in sorted(concepts.items())},
        "licenses": {f"{c}: {x or 'not stated'}": n for (c, x), n in sorted(licenses.items())},
        "generated": dict(sorted(generated.items())),
        "groups": len(groups),
        "statuses": _statuses(store),
    }


def _statuses(store: Store) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name in store.names("ledger/samples", ".parquet"):
        table = store.read_table(name, ["corpus", "status"])
        for corpus, status in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
            found[corpus][status] += 1
    return {corpus: dict(sorted(counts.items())) for corpus, counts in sorted(found.items())}


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = [[_cell(v) for v in row] for row in rows]
    lines = [list(head), ["---"] * len(head), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else markdown(str(value))


def _front_matter(infos: Sequence[ShardInfo], facts: Mapping[str, Any]) -> str:
    samples = sum(i.samples for i in infos)
    size = next(name for below, name in SIZES if samples < below)
    splits = sorted({i.split for i in infos})
    lines = [
        "---",
        *_license(facts["counts"]["licenses"]),
        "language: [en]",
        "pretty_name: Histomine grounded captions",
        "task_categories: [image-segmentation, image-to-text, visual-question-answering]",
        "tags: [pathology, histology, grounded-captions, pseudo-labels, webdataset]",
        f"size_categories: [{size}]",
        "configs:",
        "  - config_name: default",
        "    data_files:",
    ]
    for split in splits:
        lines += [f"      - split: {split}", f'        path: "{split}-*.tar"']
    described = {"dataset_info": {"config_name": "default", "features": _features()}}
    lines.append(yaml.safe_dump(described, sort_keys=False).rstrip())
    return "\n".join([*lines, "---"])


def _features() -> list[dict[str, Any]]:
    """`shards.FEATURES` as the hub's cards spell them, without the library `datasets`."""
    members = {"__key__": "string", "__url__": "string", "jpg": "image", "png": "image"}
    sample = _feature(pa.struct(list(schema(GroundedSample))))
    named = [{"name": name, "dtype": dtype} for name, dtype in members.items()]
    return [*named, {"name": "json", **sample}]


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_struct(kind):
        return {"struct": [{"name": field.name, **_feature(field.type)} for field in kind]}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return {"list": inner.get("struct") or inner.get("dtype") or inner}
    return {"dtype": {"double": "float64", "float": "float32"}.get(str(kind), str(kind))}


def _license(licenses: Mapping[str, int]) -> list[str]:
    """Identifiers of the Hugging Face hub where all licences have one, else `other`."""
    names = {text.partition(": ")[2] for text in licenses}
    spelled = sorted({"-".join(name.lower().split()) for name in names})
    if spelled and all(name in HUB_LICENSES for name in spelled):
        return [f"license: {spelled[0] if len(spelled) == 1 else '[' + ', '.join(spelled) + ']'}"]
    return ["license: other", "license_name: see-sources"]


def _readme(infos: Sequence[ShardInfo], facts: Mapping[str, Any]) -> str:
    counts = facts["counts"]
    splits = [
        (name, c["samples"], c["regions"], f"{c['bytes'] / 1e6:.1f}")
        for name, c in sorted(counts["splits"].items())
    ]
    known = {n: Counter(c) for n, c in counts["concepts"].items()}
    concepts = [
        (name, c["regions"], f"{c['area_px'] / max(c['regions'], 1):,.0f}", c[ABSENT], c[UNKNOWN])
        for name, c in sorted(known.items(), key=lambda kv: (-kv[1]["regions"], kv[0]))
        if c["regions"] or c[ABSENT]
    ]
    silent = [name for name, c in known.items() if not c["regions"] and not c[ABSENT]]
    statuses = sorted({s for c in counts["statuses"].values() for s in c})
    ledger = [
        (corpus, sum(c.values()), *(c.get(s, 0) for s in statuses))
        for corpus, c in counts["statuses"].items()
    ]
    sources = [_source(c["name"], find("corpora", c["kind"])) for c in facts["corpora"]]
    all_samples = sum(i.samples for i in infos)
    licenses = [
        f"- {markdown(text)} ({n:,} sample{'s' * (n != 1)}, {n / max(all_samples, 1):.1%})"
        for text, n in counts["licenses"].items()
    ]
    samples, regions = all_samples, sum(i.regions for i in infos)
    parts = [
        _front_matter(infos, facts),
        "# Grounded captions mined by Histomine",
        f"{samples:,} pathology image-caption pairs whose phrases point to {regions:,} regions, "
        f"from {len(facts['corpora'])} {'corpus' if len(facts['corpora']) == 1 else 'corpora'} and "
        f"{counts['groups']:,} groups (video, article, patient or slide; no group is in two "
        "splits). A region is the mask of a concept that a caption names, once for each caption of "
        "a picture. The masks are pseudo-labels: a segmenter drew them, tests kept them.",
        "## Contents",
        _table(("split", "samples", "regions", "MB"), splits),
        _table(("concept", "regions", "mean area (px)", "absent", "unknown"), concepts),
        "In so many samples a concept is confirmed to be absent, and in so many it is named or was "
        "asked for and nobody knows: no mask of it was kept, or it is denied and something was "
        f"found. {len(silent)} more concepts are only ever unknown. What no row counts is unknown, "
        "too.",
        *_generated(counts["generated"], all_samples),
        "## From caption row to sample",
        "Every row of the corpora ends in exactly one state.",
        _table(("corpus", "rows", *statuses), ledger) if ledger else "No ledger was there.",
        "## Quality",
        *_quality(facts),
        "## Protected sets",
        *_protected(facts["leaks"]),
        "## Reading",
        "Each `{split}-{n}.tar` holds `{key}.jpg` or `{key}.png` (the publisher's bytes) and "
        "`{key}.json`, described by `sample.schema.json`. The parquet beside a tar is its index "
        "with byte offsets. `manifest.json` has the sha256 of every file.",
        "```python\n"
        "import webdataset as wds\n"
        f'ds = wds.WebDataset("{infos[0].name if infos else "train-000000.tar"}", '
        "shardshuffle=False)\n\n"
        "from shards import GroundedCaptions, FEATURES  # of the package histomine\n"
        f'ds = GroundedCaptions("OUT", split="{infos[0].split if infos else "train"}")\n'
        "```",
        "`datasets.load_dataset` of this folder takes the types of all fields from this card. To "
        '`load_dataset("webdataset", …)` give `features=FEATURES`: types that it infers from the '
        "first samples lose what differs later.",
        "## Sources and licences",
        "The licence of every sample is in its `license` field; the pictures and captions stay "
        "under the terms of their publishers.",
        "\n".join(licenses) or "- none",
        "Please cite the sources:",
        "\n".join(sources) or "- none",
        "## Made with",
        _table(("package", "version"), facts["versions"].items()),
        f"Configuration `{facts['digest'][:16]}`, seed {facts['seed']}.",
        "## Limits",
        "Not for diagnosis. Masks can be wrong, captions can be wrong, and absence of a mention "
        "is no absence in the picture; `concepts` says what was checked to be absent, and a "
        "region's `exhaustive` and `count` whether it is all that there is.",
    ]
    return "\n\n".join(parts) + "\n"


def _protected(leaks: Mapping[str, Any] | None) -> list[str]:
    """The certificate: what was compared with test sets, what was found, and the control."""
    if leaks is None:
        return ["No test set was named, so these pictures were compared with none."]
    levels = ("exact", "near", "semantic")
    rows = [
        (
            s["name"],
            s["pictures"],
            *(s["found"].get(level, "not compared") for level in levels),
            s["of_its_patients"],
            f"{s['control']['found']} of {s['control']['planted']}",
        )
        for s in leaks["sets"]
    ]
    head = ("set", "its pictures", *(f"found: {level}" for level in levels), "of its patients")
    bars = leaks["thresholds"]
    return [
        f"{leaks['compared']:,} pictures were compared with these sets; {leaks['excluded']:,} are "
        "like one of theirs, or of one of their patients, and were left out. Planted copies, "
        "turned, mirrored and cropped, had to be found.",
        _table((*head, "planted copies found"), rows),
        f"Thresholds: correlation of detail {bars['detail']}; cosine {bars['cosine']} "
        f"({leaks['model']}) with a correlation of {bars['detail_beside_cosine']} beside it.",
    ]


def _generated(generated: Mapping[str, int], samples: int) -> list[str]:
    """How much of the text nobody published."""
    if not generated:
        return ["All captions are as their publishers have them; none was generated."]
    n = sum(generated.values())
    corpora = ", ".join(f"{markdown(name)} {count:,}" for name, count in generated.items())
    return [
        f"{n:,} of the samples ({n / max(samples, 1):.1%}; {corpora}) have a caption that was "
        "generated, whole or from the character `generated_from` on: composed of what is outlined, "
        "and published by nobody. `generated` is true in them."
    ]


def _source(name: str, part: Part) -> str:
    """A corpus, and how to cite it."""
    if not part.cite:
        return f"- `{name}` ({part.kind}): cite as its publisher asks"
    return f"- **{part.title or part.kind}** (`{name}`): {part.cite}"


def _quality(facts: Mapping[str, Any]) -> list[str]:
    thresholds, target = facts["thresholds"], facts["target"]
    if facts["audit"] is None:
        parts = [
            "Precision and its interval: **not audited** by a person. What is stated below is what "
            "the thresholds were chosen for, on the labelled data of the calibration."
        ]
    else:
        parts = _audited(**facts["audit"])
    if target is None:
        parts.append("Thresholds were set by hand, score by score.")
    elif target[0] == "fdr":
        parts.append(f"Masks were accepted at a stated false discovery rate of {target[1]}.")
    else:
        parts.append(f"Thresholds were chosen for a stated precision of {target[1]}.")
    if target is not None:  # also where nobody set it
        thresholds = {**thresholds, target[0]: target[1]}
    parts.append("<details><summary>All settings of the filters</summary>")
    parts.append("```json\n" + json.dumps(thresholds, indent=2, sort_keys=True) + "\n```")
    parts.append("</details>")
    return parts


def _audited(estimates: Mapping[str, Any], gate: Mapping[str, Any]) -> list[str]:
    """The precision that people found, concept by concept."""
    whole = estimates["precision"]["all"]["all"]
    auditors = estimates["auditors"]
    names = "one person" if len(auditors["judged"]) == 1 else f"{len(auditors['judged'])} people"
    parts = [
        f"**Audited** by {names}, {estimates['judged']} masks, drawn at random within strata from "
        "those the run kept and those it rejected; judgements and sample lie in `audit/`. A mask "
        "counts as right when it was called right or roughly right.",
        f"Precision of all kept masks **{whole['estimate']:.3f}**, 95% interval "
        f"{whole['low']:.3f}-{whole['high']:.3f}; of what is released the lower bound is "
        f"**{gate['low']:.3f}**. Right to the outline alone: "
        f"{estimates['strict']['estimate']:.3f}.",
        _table(
            ("concept", "judged", "precision", "95% interval", "lower bound, all at once"),
            (
                (
                    name,
                    row["n"],
                    f"{row['estimate']:.3f}",
                    f"{row['low']:.3f}-{row['high']:.3f}",
                    f"{gate['bounds'][name]:.3f}" if name in gate["bounds"] else "left out",
                )
                for name, row in estimates["precision"]["concept"].items()
            ),
        ),
    ]
    for controls in auditors["controls"].values():
        if not controls["right"] + controls["wrong"]:
            continue
        parts.append(
            f"Of the planted masks the auditor called {controls['right_called_right']} of "
            f"{controls['right']} right ones right and {controls['wrong_called_wrong']} of "
            f"{controls['wrong']} wrong ones wrong."
        )
    if auditors["krippendorff"] is not None:
        parts.append(f"Krippendorff's alpha of the auditors: {auditors['krippendorff']:.2f}.")
    return parts
