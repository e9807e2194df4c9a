"""Where something comes in: one mutated input each, and what must hold of what comes out.

A boundary is a class: built once in a process with a folder of its own, then called with a random
generator per input. A `Refused` of one line is a good end; what else is raised is a finding.
`share` is its part of the inputs; whole runs are counted by themselves.
"""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from miner.core.errors import Refused
from tests.fuzz.mutate import WORDS, damaged, odd, text, warped
from tests.fuzz.runs import Runs

SIZES = ((40, 30), (1, 1), (3, 200), (64, 64))


class Readers:
    """The publishers' files of nine layouts: one file damaged anywhere."""

    share = 20

    def __init__(self, folder: Path):
        from tests.miner.corpora.layouts import fates, read_all, write_images
        from tests.miner.corpora.test_damage import write_corpora

        self.folder, self.read_all, self.fates = folder, read_all, fates
        write_corpora(folder / "sound")
        (folder / "sound/csv").mkdir()
        lines = [f'{i}.jpg,"Fat, in row {i}."' for i in range(8)]
        (folder / "sound/csv/t.csv").write_text("\n".join(["image,caption", *lines]))
        write_images(folder / "sound/csv/images", [f"{i}.jpg" for i in range(8)])
        write_images(folder / "sound/pairs", [f"{i}.jpg" for i in range(4)])
        for i in range(4):
            (folder / f"sound/pairs/{i}.txt").write_text(f"Fat {i}.")
        self.kinds = {k.name: k.name for k in (folder / "sound").iterdir()} | {"csv": "table"}
        self.sound = {name: self.read(folder / "sound" / name, name, "o") for name in self.kinds}

    def read(self, corpus: Path, name: str, out: str) -> dict[tuple[str, str], str | None]:
        """Fate of every row, by picture and caption."""
        from tests.miner.corpora.layouts import config

        path = self.folder / out
        shutil.rmtree(path, ignore_errors=True)
        samples, images = self.read_all(config(self.kinds[name], corpus), path)
        for sample in samples:
            data = images[sample["image_id"]]["data"]
            if sample["status"] is None:
                _decodes(data)
        rows = [(s["image"], s["caption"]) for s in samples]
        return dict(zip(rows, self.fates(samples), strict=True))

    def __call__(self, rng: random.Random) -> None:
        """Damage a file of a copy and read it."""
        name = rng.choice(sorted(self.kinds))
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.folder / "sound" / name, work)
        files = sorted(p for p in work.rglob("*") if p.is_file())
        file = rng.choice(files)
        file.write_bytes(damaged(file.read_bytes(), rng))
        found = self.read(work, name, "out")
        if file.suffix in (".jpg", ".txt") and len(found) == len(self.sound[name]):
            stem = file.stem
            for row, fate in self.sound[name].items():
                if stem not in Path(row[0]).stem:
                    assert found.get(row, "gone") == fate, f"neighbour {row} of {file.name}"


class Rows:
    """Records of JSON: one place of one record is odd, the others are as they were."""

    share = 10

    def __init__(self, folder: Path):
        from tests.miner.corpora.layouts import pathgen_record, write_images, write_slide

        self.folder = folder
        names = [f"111111_gr{i}.jpg" for i in range(5)]
        write_images(folder / "images", names)
        write_slide(folder / "slides/A.tif", size=1024)
        self.lists: dict[str, list[Any]] = {
            "pathcap": [
                {"img": n, "caption": f"Glands {i}."} for i, n in enumerate(names)
            ],
            "table": [
                {"image": n, "caption": f"Fat {i}.", "group": i, "mpp": 0.5, "license": "CC0"}
                for i, n in enumerate(names)
            ],
            "pathgen": [pathgen_record("A", 32 * i, 0, f"Cells {i}.") for i in range(5)],
        }  # fmt: skip
        self.files = {"pathcap": "data.json", "table": "t.json", "pathgen": "PathGen-1.6M.json"}

    def __call__(self, rng: random.Random) -> None:
        """Warp a record and read the list."""
        from tests.miner.corpora.layouts import config, read_all

        kind = rng.choice(sorted(self.lists))
        rows = list(self.lists[kind])
        at = rng.randrange(len(rows))
        rows[at] = warped(rows[at], rng) if rng.random() < 0.9 else odd(rng)
        file = self.folder / self.files[kind]
        file.write_text(json.dumps(rows), encoding="utf-8")
        path = file if kind == "table" else self.folder
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        samples, _ = read_all(config(kind, path), self.folder / "out")
        file.unlink()
        said = {s["caption"] for s in samples if s["status"] is None}
        for i, row in enumerate(self.lists[kind]):
            same = rows[at].get("img", rows[at].get("image")) if isinstance(rows[at], dict) else 0
            if i != at and same != row.get("img", row.get("image", 1)):
                assert row["caption"] in said, f"neighbour {i} of {at}"


class Pictures:
    """Picture files of every format: whatever is accepted decodes again, to the size it says."""

    share = 15

    def __init__(self, folder: Path):
        rng = np.random.default_rng(0)
        self.files: list[bytes] = []
        for width, height in SIZES:
            pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
            rgb = Image.fromarray(pixels)
            for format_, modes in (
                ("JPEG", ("RGB", "L", "CMYK")),
                ("PNG", ("RGB", "L", "RGBA", "P", "1", "I;16")),
                ("TIFF", ("RGB", "L", "CMYK", "1", "F")),
                ("BMP", ("RGB", "P")),
                ("WEBP", ("RGB", "RGBA")),
                ("GIF", ("P",)),
            ):
                for mode in modes:
                    image = (
                        Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
                        if mode == "I;16"
                        else rgb.convert(mode)
                    )
                    for options in ({}, {"progressive": True, "interlace": 1}):
                        buffer = io.BytesIO()
                        image.save(buffer, format_, **options)
                        self.files.append(buffer.getvalue())
        for compression in ("tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"):
            buffer = io.BytesIO()
            rgb.save(buffer, "TIFF", compression=compression)
            self.files.append(buffer.getvalue())

    def __call__(self, rng: random.Random) -> None:
        """Check a damaged picture."""
        from miner.corpora.images import check

        found = check(damaged(rng.choice(self.files), rng), 36_000_000)
        assert (found.status is None) == (found.data is not None)
        if found.data is not None:
            assert _decodes(found.data) == (found.height, found.width)


class Masks:
    """Run lengths: a mask of the size asked for whose pixels add up, or a ValueError."""

    share = 10

    def __init__(self, folder: Path):
        from miner.core.masks import encode

        rng = np.random.default_rng(1)
        self.texts = [
            (encode(rng.random((h, w)) < p), h, w)
            for h, w in ((1, 1), (30, 40), (64, 64), (200, 3))
            for p in (0.0, 0.1, 0.5, 1.0)
        ]

    def __call__(self, rng: random.Random) -> None:
        """Decode damaged run lengths in every way there is."""
        from miner.core.masks import decode
        from miner.core.rle import decode_labels, decode_masks
        from shards.check import sound_rle

        counts, height, width = rng.choice(self.texts)
        broken = damaged(counts.encode(), rng).decode("latin-1")[:100_000]
        if rng.random() < 0.1:
            height, width = rng.choice(((0, 0), (1, 1), (width, height), (height + 1, width)))
        sound = sound_rle({"size": [height, width], "counts": broken})
        for call in (
            lambda: decode(broken, height, width),
            lambda: decode_masks([{"size": [height, width], "counts": broken}], height, width)[0],
            lambda: decode_labels([broken, counts], (height, width)),
        ):
            try:
                mask = call()
            except ValueError:
                continue
            assert sound, "what does not add up was decoded"
            assert mask.shape == (height, width)
            assert mask.max(initial=0) <= 2


class MaskFiles:
    """Outlines of others: COCO files of which one place is odd, label maps that are damaged."""

    share = 6

    def __init__(self, folder: Path):
        from miner.core.masks import encode

        self.folder = folder
        square = [[2, 2, 20, 2, 20, 20, 2, 20]]
        rle = {"size": [30, 40], "counts": encode(np.eye(30, 40, dtype=bool))}
        runs = {"size": [30, 40], "counts": [0, 600, 600]}
        self.coco = {
            "images": [{"id": 1, "file_name": "a.jpg", "height": 30, "width": 40}],
            "categories": [{"id": 1, "name": "gland"}, {"id": 2, "name": "nucleus"}],
            "annotations": [
                {"id": i, "image_id": 1, "category_id": 1 + i % 2, "segmentation": s, "iscrowd": 0}
                for i, s in enumerate((square, rle, runs, square * 2))
            ],
        }
        buffer = io.BytesIO()
        Image.fromarray(np.eye(30, 40, dtype=np.uint8)).save(buffer, "PNG")
        self.png = buffer.getvalue()

    def __call__(self, rng: random.Random) -> None:
        """Ask a segmenter of mask files about a picture."""
        from segmenters.mask_files import MaskFilesConfig, MaskFilesSegmenter
        from segmenters.protocol import Prompt

        if rng.random() < 0.6:
            path = self.folder / "coco.json"
            if rng.random() < 0.7:
                value = warped(self.coco, rng)
                path.write_text(json.dumps(value), encoding="utf-8")
            else:
                path.write_bytes(damaged(json.dumps(self.coco).encode(), rng))
        else:
            path = self.folder / "maps"
            (path / "a").mkdir(parents=True, exist_ok=True)
            (path / "a/gland.png").write_bytes(damaged(self.png, rng))
        segmenter = MaskFilesSegmenter(MaskFilesConfig(path=str(path)))
        image = np.zeros((30, 40, 3), np.uint8)
        encoded = segmenter.encode_named("quilt/a.jpg", image, None)
        kinds = (("gland", "object"), ("nucleus", "object"))
        prompts = [Prompt(concept, kind, (concept,), None, ()) for concept, kind in kinds]
        for one in segmenter.segment(encoded, prompts):
            assert one.mask is None or one.mask.shape == (30, 40)


CAPTION = (
    "glands", "no", "necrosis", "tumor cells", "without", "stroma", "lymphocytes", "H&E", "kidney",
    "x200", "20x", "invasive ductal carcinoma (IDC)", "IDC", "(AB)", "<b>", "</b>", "&amp;", "or",
    "rather than", "suggestive of", "nuclei", "arrow", "Figure 1A", "and", "not", "bilateral", "µm",
)  # fmt: skip


class Captions:
    """Captions of any text: mentions are verbatim spans of them."""

    share = 8

    def __init__(self, folder: Path):
        from ner.config import NerConfig
        from ner.extractor import Extractor

        self.extract = Extractor(NerConfig())

    def __call__(self, rng: random.Random) -> None:
        """Look for mentions, and for strata."""
        from miner.corpora.rows import clean
        from ner.strata import strata_column

        caption = clean(text(rng, CAPTION))[0]
        (found,) = self.extract([caption])
        for mention in found.mentions:
            assert caption[mention.start : mention.end] == mention.text, mention
        strata_column([caption], [{"organ": odd(rng)}], [None])


class Answers:
    """Answers of language models: what is taken of them are verbatim spans of the caption."""

    share = 10

    CAPTION = "Glands with necrosis; no tumor cells, glands again."

    def __init__(self, folder: Path):
        self.answer = {
            "mentions": [
                {"text": t, "kind": "object", "polarity": "affirmed", "concept": t.lower()}
                for t in ("Glands", "necrosis", "tumor cells", "glands")
            ]
        }
        self.verdict = {"verdict": "right", "confidence": 0.7}

    def __call__(self, rng: random.Random) -> None:
        """Read an answer in every way in which answers are read."""
        from collections import Counter

        from filters.judge import parse
        from miner.core.answers import sentence
        from ner.llm.reply import anchor, items

        value = warped(rng.choice((self.answer, self.verdict)), rng)
        content = json.dumps(value, ensure_ascii=rng.random() < 0.5)
        around = (
            "",
            "<think>",
            "</think>",
            "```json\n",
            "\n```",
            "final answer: ",
            "[[",
            "}}",
            "{",
        )
        content = rng.choice(around) + content + rng.choice(around)
        if rng.random() < 0.3:
            content = damaged(content.encode("utf-8", "replace"), rng).decode("utf-8", "replace")
        for span in anchor(self.CAPTION, items(content) or [], Counter()):
            assert 0 <= span.start < span.end <= len(self.CAPTION)
            assert len(span.concept) <= 80
            span.concept.encode()
        judged = parse(content)
        assert judged is None or 0 <= judged.right <= 1
        sentence(content)


class Configurations:
    """YAML of any kind and `--set` of any kind: a configuration, or one line."""

    share = 8

    def __init__(self, folder: Path):
        from miner.load_config import load_config

        self.folder, self.load = folder, load_config
        self.sound = {
            "seed": 1, "out": "runs/x",
            "corpora": [{"kind": "quilt", "path": "q", "side_paths": {"npy": "{stem}.npy"}}],
            "ner": {"llm": {"base_url": "http://h/v1", "model": "m"}, "merge": "union"},
            "segment": {"segmenters": [{"kind": "stain"}], "decoys": 1},
            "filters": {"at_least": {"ks_rim": 0.4}, "judge": {"base_url": "http://h"}},
            "dedupe": {"model": "embedded"}, "shards": {"splits": {"train": 1.0}},
            "runner": {"workers": 2, "resources": {"segment": {"num_gpus": 1}}},
        }  # fmt: skip

    def __call__(self, rng: random.Random) -> None:
        """Load it."""
        path = self.folder / "c.yaml"
        sets: list[str] = []
        how = rng.random()
        if how < 0.5:
            path.write_text(yaml.safe_dump(warped(self.sound, rng)), encoding="utf-8")
        elif how < 0.8:
            path.write_bytes(damaged(yaml.safe_dump(self.sound).encode(), rng))
        else:
            path.write_text(yaml.safe_dump(self.sound), encoding="utf-8")
            name = ".".join(rng.choice(("seed", "corpora", "0", "path", "filters", "", "x", "-1"))
                            for _ in range(rng.randint(1, 4)))  # fmt: skip
            sets = [f"{name}={rng.choice(WORDS)}"]
        found = self.load(str(path), sets)
        json.dumps(found.identity(), allow_nan=False)


class Models:
    """Checkpoints and fitted tables: never run, refused in a line where they are not sound."""

    share = 4

    def __init__(self, folder: Path):
        from filters.clip.convert import read_state
        from filters.clip.embedded import WEIGHTS
        from filters.decision import EMBEDDED, load_decision
        from filters.references import EMBEDDED as REFERENCES
        from filters.references import load_references
        from segmenters.mitoses import model as mitoses
        from segmenters.regions import weights as regions
        from segmenters.unet import weights as unet

        self.folder = folder
        read: list[tuple[Any, Callable[[Path], Any]]] = [
            (EMBEDDED, load_decision),
            (REFERENCES, load_references),
            (WEIGHTS, read_state),
            (unet.FOLDER / "nuclei.pt", lambda path: unet.load("nuclei", path)),
            (regions.FILE, regions.load),
            (mitoses.FILE, mitoses.load),
        ]
        self.kinds = [(p.read_bytes(), Path(str(p)).suffix, load) for p, load in read]
        self.sound: dict[int, Any] = {}

    def __call__(self, rng: random.Random) -> None:
        """Load a damaged file."""
        which = rng.randrange(len(self.kinds))
        data, suffix, load = self.kinds[which]
        path = self.folder / f"m{suffix}"
        if which not in self.sound:
            path.write_bytes(data)
            self.sound[which] = load(path)
        if suffix == ".json" and rng.random() < 0.6:
            path.write_text(json.dumps(warped(json.loads(data), rng)))
        else:
            path.write_bytes(damaged(data, rng))
        found = load(path)
        if suffix == ".pt":  # with sums of their own
            before, after = self.sound[which].state_dict(), found.state_dict()
            assert all((before[name] == after[name]).all() for name in before)


class Judged:
    """Judgements of auditors: a line that does not count is a problem."""

    share = 4

    def __init__(self, folder: Path):
        self.folder = folder
        self.audit = {
            "audit": "a" * 16,
            "items": [{"item": f"{i:016x}", "size": [9, 9]} for i in range(4)],
        }
        self.lines = [
            {"audit": "a" * 16, "item": f"{i:016x}", "auditor": "x", "verdict": "right",
             "outline": [[1, 1], [2, 2], [3, 1]]}
            for i in range(4)
        ]  # fmt: skip

    def __call__(self, rng: random.Random) -> None:
        """Read them."""
        from miner.audit.judgements import read_judgements

        lines = list(self.lines)
        at = rng.randrange(len(lines))
        lines[at] = warped(lines[at], rng)
        file = self.folder / "j.jsonl"
        data = "\n".join(map(json.dumps, lines)).encode()
        sound = rng.random() < 0.6
        file.write_bytes(data if sound else damaged(data, rng))
        found = read_judgements([file], self.audit)
        if sound:
            assert len(found.found) >= 3, found.problems


class Fingerprints:
    """Files of fingerprints and vectors of protected sets."""

    share = 3

    def __init__(self, folder: Path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        from filters.config import DedupeConfig
        from filters.dedupe.prints import read
        from filters.embed import embedder

        self.folder, self.embed = folder, embedder(DedupeConfig())
        pictures = folder / "p"
        pictures.mkdir()
        for i in range(3):
            Image.fromarray(
                np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            ).save(pictures / f"{i}.png")
        self.read = read
        made = read(str(pictures), "embedded", self.embed, "f").to_bytes()
        buffer = io.BytesIO()
        np.save(buffer, np.eye(4, dtype=np.float32))
        table = pa.table({"image": [(pictures / "0.png").read_bytes()]})
        sink = io.BytesIO()
        pq.write_table(table, sink)
        self.files = [
            (made, ".parquet"),
            (buffer.getvalue(), ".npy"),
            (sink.getvalue(), ".parquet"),
        ]

    def __call__(self, rng: random.Random) -> None:
        """Read a damaged one."""
        data, suffix = rng.choice(self.files)
        path = self.folder / f"x{suffix}"
        path.write_bytes(damaged(data, rng))
        self.read(str(path), "embedded", self.embed, "protect.0.path")


class State:
    """Every file of a finished OUT: whoever reads it says what is wrong in one line."""

    share = 12

    def __init__(self, folder: Path):
        from tests.miner.finished import finished

        self.folder = folder
        self.out = folder / "sound"
        finished(self.out)
        from miner.audit.folder import write_audit
        from miner.core.store import Store
        from miner.report import write_report

        for name, value in BESIDE.items():
            Store(self.out).write_json(name, value)
        write_report(Store(self.out))
        write_audit(Store(self.out), 4, "concept", 0)
        (folder / "precious").write_text("not of OUT")
        self.files = sorted(p for p in self.out.rglob("*") if p.is_file() and p.suffix != ".html")
        self.key = (
            Store(self.out)
            .read_table(next(iter(Store(self.out).names("ledger/samples", ".parquet"))))[
                "sample_id"
            ][0]
            .as_py()
        )

    def __call__(self, rng: random.Random) -> None:
        """Damage one and ask one reader."""
        from miner.core.store import Store

        file = rng.choice(self.files)
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.out, work, copy_function=_linked)
        broken = work / file.relative_to(self.out)
        data = file.read_bytes()
        if file.suffix == ".json" and rng.random() < 0.6:
            data = json.dumps(warped(json.loads(data), rng)).encode()
        else:
            data = damaged(data, rng)
        broken.unlink()
        broken.write_bytes(data)
        try:
            rng.choice(READS)(Store(work), self.key)
        finally:
            assert (self.folder / "precious").exists()


AMOUNT = {"low": 1.0, "middle": 2.0, "high": 3.0}
# What a hand-made OUT has not, as those who write it do.
BESIDE: dict[str, Any] = {
    "estimate/expected.json": {
        "rows": 14, "units": 2, **dict.fromkeys(
            ("hours", "gpu_hours", "seconds", "bytes", "tokens_in", "tokens_out"), AMOUNT
        ),
    },
    "estimate/took.json": {"rows": 14, "seconds": 3.5},
    "report/changes.json": {
        "settings": ["filters.precision: None -> 0.9"], "concepts": {"nucleus": [3, 2]},
        "reasons": {"precision": [0, 1]}, "gained": 0, "lost": 1,
    },
    "ledger/leaks.json": {
        "compared": 9, "excluded": 0, "model": "layout",
        "thresholds": {"detail": 0.6, "cosine": 0.84, "detail_beside_cosine": 0.4},
        "sets": [
            {"name": "pathmmu", "pictures": 3, "patients": 0, "levels": ["exact"], "pairs": [],
             "sha256": "0" * 64, "found": {"exact": 0}, "of_its_patients": 0,
             "control": {"planted": 4, "found": 4}}
        ],
    },
    "isolated/quilt-000000.json": {"rows": {"3": {"reason": "crashed"}}},
    "plan/quilt.json": {"rows": 7, "units": 1, "images": 7, "content": "0" * 64, "problems": ["x"]},
    "lease/000000.json": {
        "host": "h", "machine": "m", "pid": 1, "began": "2026-01-01T00:00:00+00:00", "beat": 3,
        "since": "2026-01-01T00:00:00+00:00", "seen": "2026-01-01T00:00:00+00:00",
    },
    "barrier/swap.json": {
        "folder": "barrier/0123456789abcdef/next", "put": ["shards/README.md", "run.json"],
        "remove": ["ledger/leaks.json"],
    },
}  # fmt: skip


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _status(store: Any, key: str) -> None:
    from miner.cluster.lease import state
    from miner.core.layout import RUN, check_out
    from miner.core.terminal import Terminal
    from miner.report.summary import print_status

    check_out(store)
    state(store)
    rows = store.read_json(RUN)
    print_status(store, len(rows), Terminal(file=io.StringIO()))


def _show(store: Any, key: str) -> None:
    from miner.report.show import chain, find, measured, overlay

    shown = find(store, key)
    for one in shown.candidates:
        chain(one, shown.limits)
        measured(one)
    overlay(shown)


def _validate(store: Any, key: str) -> None:
    from shards.validate import validate

    for fault in validate(store).faults:
        assert "\n" not in str(fault)


def _load(store: Any, key: str) -> None:
    from shards import GroundedCaptions

    for item in GroundedCaptions(store.url):
        assert item["masks"].shape[1:] == item["image"].shape[:2]


def _export(store: Any, key: str) -> None:
    from shards.export.run import samples

    for sample in samples(store):
        assert sample.key


def _audit(store: Any, key: str) -> None:
    from miner.audit.folder import read_audit
    from miner.audit.population import population

    read_audit(store)
    population(store, "concept")


def _report(store: Any, key: str) -> None:
    from miner.report import write_report

    write_report(store)


def _dupes(store: Any, key: str) -> None:
    from miner.report.dupes import pairs

    pairs(store)


def _mined(store: Any, key: str) -> None:
    import miner

    run = miner.open(store.url)
    run.funnel()
    run.samples()
    run.candidates()
    run.sampling()


def _swap(store: Any, key: str) -> None:
    from miner.barrier.swap import finish_swap

    finish_swap(store)


def _isolated(store: Any, key: str) -> None:
    from miner.isolation import left_out

    left_out(store)


def _estimate(store: Any, key: str) -> None:
    from miner.estimate import account

    account(store, 1.0, 2)


def _release(store: Any, key: str) -> None:
    """From judgements to what is published; the gate is open."""
    from miner.audit.folder import read_audit
    from miner.audit.release import release

    audit = read_audit(store)
    lines = [
        {"audit": audit["audit"], "item": one["item"], "auditor": "a", "verdict": "right"}
        for one in audit["items"]
    ]
    file, to = Path(store.root).parent / "judged.jsonl", Path(store.root).parent / "released"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    shutil.rmtree(to, ignore_errors=True)
    release(store, [file], to, 0.0, False, ["CC0"])


def _session(store: Any, key: str) -> None:
    from miner.audit.session import Session

    Session(store, "ann").left()


READS = (
    _status, _show, _validate, _load, _export, _audit, _report, _dupes, _mined, _swap, _isolated,
    _estimate, _release, _session,
)  # fmt: skip


class Inspected:
    """`miner inspect` of damaged corpora: what is there, or one line."""

    share = 4

    def __init__(self, folder: Path):
        from tests.miner.corpora.test_damage import write_corpora

        self.folder = folder
        write_corpora(folder / "sound")
        self.names = sorted(p.name for p in (folder / "sound").iterdir())

    def __call__(self, rng: random.Random) -> None:
        """Examine and print."""
        from miner.core.terminal import Terminal
        from miner.corpora.inspect import examine, show

        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.folder / "sound" / rng.choice(self.names), work)
        file = rng.choice(sorted(p for p in work.rglob("*") if p.is_file()))
        file.write_bytes(damaged(file.read_bytes(), rng))
        if rng.random() < 0.3:
            file.rename(file.with_name(rng.choice(("[red]x", "x\x1b[2J", "a b")) + file.suffix))
        show(examine(str(work)), Terminal(file=io.StringIO()))


class Stages:
    """Odd pictures, captions and rows through the stages: each row ends in a state."""

    share = 3

    def __init__(self, folder: Path):
        from filters.config import DedupeConfig, FilterConfig
        from filters.embed import Embed
        from filters.stage import Score
        from ner.config import NerConfig
        from ner.stage import ExtractMentions
        from segmenters.config import SegmentConfig
        from segmenters.stage import Segment

        segment = SegmentConfig.model_validate({"segmenters": [{"kind": "stain"}]})
        filters = FilterConfig.model_validate({"clip": None})
        self.stages = (
            ExtractMentions(NerConfig()), Segment(segment), Score(filters), Embed(DedupeConfig())
        )  # fmt: skip

    def __call__(self, rng: random.Random) -> None:
        """Three rows, one of them odd."""
        import pyarrow as pa

        from miner.core.unit import IMAGES, SAMPLES, Unit

        samples, images = [], []
        for row in range(3):
            data = _picture(rng) if row == 1 else _picture(random.Random(row))
            if row == 1 and rng.random() < 0.3:
                data = damaged(data, rng)
            caption = text(rng, CAPTION) if row == 1 else "Nuclei, stroma and glands."
            samples.append(
                {"sample_id": f"q-{row}", "corpus": "q", "row": row, "image": f"{row}.png",
                 "image_id": f"q/{row}.png", "group": "", "license": "", "source": "",
                 "caption": caption.encode("utf-8", "replace").decode(), "meta": "{}"}
            )  # fmt: skip
            images.append(
                {"image_id": f"q/{row}.png", "data": data, "format": "png",
                 "mpp": rng.choice((None, 0.5, 1e-9, 1e9)) if row == 1 else 0.5}
            )  # fmt: skip
        unit = Unit(pa.Table.from_pylist(samples, SAMPLES), pa.Table.from_pylist(images, IMAGES))
        for stage in self.stages:
            unit = stage(unit)
        assert unit.samples.num_rows == 3
        embedded = unit.images["embedding"].to_pylist()
        assert embedded[0] is not None
        assert embedded[2] is not None


def _picture(rng: random.Random) -> bytes:
    numbers = np.random.default_rng(rng.randrange(1 << 30))
    sizes = ((64, 64), (1, 1), (1, 300), (300, 2), (16, 16), (96, 80))
    height, width = rng.choice(sizes) if rng.random() < 0.9 else (128, 128)
    pixels = numbers.integers(0, 255, (height, width, 3), dtype=np.uint8)
    if rng.random() < 0.3:
        pixels[:] = rng.choice((0, 128, 255))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _decodes(data: bytes) -> tuple[int, int]:
    from miner.core.pixels import decode

    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    return pixels.shape[0], pixels.shape[1]


BOUNDARIES = {
    one.__name__.lower(): one
    for one in (
        Readers, Rows, Pictures, Masks, MaskFiles, Captions, Answers, Configurations, Models,
        Judged, Fingerprints, State, Inspected, Stages, Runs,
    )
}  # fmt: skip


def one(boundary: Any, name: str, seed: int) -> str:
    """What is wrong with how an input ends; "" for nothing."""
    try:
        boundary(random.Random(f"{name}:{seed}"))
    except Refused as error:
        line = str(error)
        return "" if line.strip() and "\n" not in line and len(line) < 5000 else f"said {line!r}"
    except Exception as error:
        import traceback

        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/tests/" not in f.filename]
        at = ours[-1] if ours else last
        where = "/".join(at.filename.split("/")[-3:])
        return f"{type(error).__name__} at {where}:{at.lineno}: {str(error)[:200]!r}"
    return ""
