"""Whole runs over a few small pictures: corpora, configurations and files of OUT that are damaged.

A boundary as in `tests.fuzz.boundaries`: each input is a run from plan to report, some half a
second of processor time. What must hold: it ends, or is refused in a line; the ledger has each
planned row once; `validate` finds nothing; rows whose picture and caption are as they were come out
as they did; and an OUT of which a file was damaged gives the shards that it gave, or says so.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from miner.core.errors import Refused
from tests.fuzz.mutate import damaged, text, warped

ROWS = 5
CAPTIONS = ("Nuclei and stroma in field {}.", "Nuclei in field {}, no necrosis.")
Fate = tuple[Any, ...]


class Runs:
    """Whole runs; a third each with a damaged corpus, configuration and OUT."""

    share = 0

    def __init__(self, folder: Path):
        self.folder = folder
        write_corpora(folder / "corpora")
        self.kinds = {p.name: p.name.split("-")[0] for p in sorted((folder / "corpora").iterdir())}
        self.fates: dict[str, dict[Fate, Fate]] = {}

    def __call__(self, rng: random.Random) -> None:
        """Damage something and mine."""
        for name in ("work", "out"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        rng.choice((self._corpus, self._configuration, self._out))(rng)

    def sound(self, name: str) -> Path:
        """OUT of the corpus as it is."""
        out = self.folder / "sound" / name
        if name not in self.fates:
            self.fates[name] = self.mine(self.settings(name), out)
        return out

    def settings(self, name: str, corpus: Path | None = None) -> dict[str, Any]:
        path = corpus or self.folder / "corpora" / name
        return {
            "corpora": [{"kind": self.kinds[name], "path": str(path), "name": "c"}],
            "segment": {"segmenters": [{"kind": "stain"}], "decoys": 1},
            "filters": {"clip": None, "precision": 0.6},
            "runner": {"isolation": False, "unit_rows": 3, "threads": 1},
        }

    def _corpus(self, rng: random.Random) -> None:
        """A file of the corpus is damaged, or a caption is odd."""
        name = rng.choice(sorted(self.kinds))
        self.sound(name)
        work = self.folder / "work"
        shutil.copytree(self.folder / "corpora" / name, work)
        file = rng.choice(sorted(p for p in work.rglob("*") if p.is_file()))
        data = file.read_bytes()
        if file.suffix == ".txt" and rng.random() < 0.7:
            odd = text(rng, ("nuclei", "stroma", "no", "necrosis", "glands", "IDC", "(AB)"))
            file.write_text(odd, encoding="utf-8", errors="surrogatepass")
        elif file.suffix == ".json" and rng.random() < 0.7:
            file.write_text(json.dumps(warped(json.loads(data), rng)))
        else:
            file.write_bytes(damaged(data, rng))
        found = self.mine(self.settings(name, work), self.folder / "out")
        before = self.fates[name]
        for row in found.keys() & before.keys():
            assert found[row] == before[row], f"{name}: neighbour {row[:2]} of {file.name}"

    def _configuration(self, rng: random.Random) -> None:
        """A place of the configuration is odd."""
        name = rng.choice(sorted(self.kinds))
        value = warped(self.settings(name), rng)
        written = yaml.safe_dump(value)
        if rng.random() < 0.3:
            written = damaged(written.encode(), rng).decode("utf-8", "replace")
        os.chdir(self.folder)  # relative paths lead nowhere
        self.mine(written, self.folder / "out")

    def _out(self, rng: random.Random) -> None:
        """A file of a finished OUT is damaged, and the run gone on with, or filtered anew."""
        from miner.barrier.refilter import refilter
        from miner.core.store import Store
        from miner.run import write_report

        name = rng.choice(sorted(self.kinds))
        sound, out = self.sound(name), self.folder / "out"
        shutil.copytree(sound, out)
        finish, pack = ("finished.json",), ("finished.json", "shards/manifest.json")
        for gone in rng.choice(((), finish, pack, (*finish, "units/c-000001.json"))):
            (out / gone).unlink()
        file = rng.choice(sorted(p for p in out.rglob("*") if p.is_file()))
        if file.suffix == ".json" and rng.random() < 0.6:
            file.write_text(json.dumps(warped(json.loads(file.read_bytes()), rng)))
        else:
            file.write_bytes(damaged(file.read_bytes(), rng))
        try:
            if rng.random() < 0.3:
                refilter(str(out), [], write_report)
            else:
                self.mine(self.settings(name), out, check=False)
        except Refused:
            # Nothing got worse: where the file is as it was, so is all.
            shutil.copy2(sound / file.relative_to(out), file)
            self.mine(self.settings(name), out, check=False)
        if digests(out) != digests(sound):
            said = [str(fault) for fault in _faults(Store(out))]
            assert said, f"{file.relative_to(out)} of {name} damaged: others shards, unnoticed"

    def mine(
        self, settings: dict[str, Any] | str, out: Path, check: bool = True
    ) -> dict[Fate, Fate]:
        """Run; what became of every row by picture, caption and the picture's bytes."""
        from miner.core.store import Store
        from miner.load_config import load_config
        from miner.run import run

        file = self.folder / "c.yaml"
        written = settings if isinstance(settings, str) else yaml.safe_dump(settings)
        file.write_text(written, encoding="utf-8", errors="surrogatepass")
        run(load_config(str(file), [], None, str(out)), Unheard(), use_ray=False)
        if not check:
            return {}
        store = Store(out)
        assert [str(fault) for fault in _faults(store)] == []
        return fates(store)


class Unheard:
    """Progress that nobody hears."""

    def start(self, units: int, captions: int, done_units: int, done_captions: int) -> None:
        """The plan is made."""

    def unit(self, mark: dict[str, Any]) -> None:
        """A unit is committed."""

    def note(self, text: str) -> None:
        """Something worth a line: of one line it is."""
        assert "\n" not in text, text

    def barrier(self) -> None:
        """All units are committed."""


def _faults(store: Any) -> list[Any]:
    from shards.validate import validate

    return list(validate(store).faults)


def fates(store: Any) -> dict[Fate, Fate]:
    """What became of every row: state, reason and what is published of it."""
    from miner.commits import marks
    from miner.core.layout import RUN
    from miner.core.unit import STATUSES

    published: dict[str, list[Any]] = {}
    for name in store.names("shards", ".tar"):
        with tarfile.open(fileobj=io.BytesIO(store.read(name))) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    sample = json.load(tar.extractfile(member))  # type: ignore[arg-type]
                    regions = [(r["concept"], r["rle"]["counts"]) for r in sample["regions"]]
                    published[sample["key"]] = regions
    sums: dict[str, str] = {}
    inputs: dict[str, Fate] = {}
    for unit_id in marks(store):
        images = store.read_table(f"units/{unit_id}/images.parquet", ["image_id", "sha256"])
        sums |= {row["image_id"]: row["sha256"] for row in images.to_pylist()}
        names = ["sample_id", "image", "image_id", "caption"]
        for row in store.read_table(f"units/{unit_id}/samples.parquet", names).to_pylist():
            inputs[row["sample_id"]] = row["image"], row["caption"], sums[row["image_id"]]
    rows = [
        row
        for name in store.names("ledger/samples", ".parquet")
        for row in store.read_table(name).to_pylist()
    ]
    assert len(rows) == sum(store.read_json(RUN)["rows"].values())
    assert len({row["sample_id"] for row in rows}) == len(rows)
    found = {}
    for row in rows:
        assert row["status"] in STATUSES
        assert row["status"] == "written" or row["reason"], row
        assert (row["status"] == "written") == (row["sample_id"] in published)
        key = row["sample_id"]
        found[inputs[key]] = row["status"], row["reason"], published.get(key)
    return found


def digests(out: Path) -> dict[str, str]:
    """sha256 of every file of shards and ledger."""
    return {
        str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest()
        for folder in ("shards", "ledger")
        for p in sorted((out / folder).rglob("*"))
        if p.is_file()
    }


def write_corpora(folder: Path) -> None:
    """The same small phantoms in eight layouts."""
    import pyarrow.parquet as pq

    from miner.demo.render import tile
    from tests.miner.corpora.layouts import (
        image_table,
        pathgen_record,
        quilt_row,
        write_json,
        write_quilt,
        write_zip,
    )

    pictures = []
    for seed in range(ROWS):
        buffer = io.BytesIO()
        Image.fromarray(tile(seed, size=96, mpp=0.5).image).save(buffer, "PNG")
        pictures.append(buffer.getvalue())
    captions = [CAPTIONS[i % 2].format(i) for i in range(ROWS)]
    named = {f"v{i}_image_{i}.png": data for i, data in enumerate(pictures)}
    files: dict[str, Callable[[Path], None]] = {}

    def layout(write: Callable[[Path], None]) -> None:
        files[write.__name__.replace("_", "-")] = write

    @layout
    def pairs(at: Path) -> None:
        for i, data in enumerate(pictures):
            (at / f"{i}.png").write_bytes(data)
            (at / f"{i}.txt").write_text(captions[i])

    @layout
    def table_csv(at: Path) -> None:
        lines = [f'{i}.png,"{captions[i]}",g{i}' for i in range(ROWS)]
        (at / "t.csv").write_text("\n".join(["image,caption,group", *lines]))
        _folder(at / "images", {f"{i}.png": data for i, data in enumerate(pictures)})

    @layout
    def table_jsonl(at: Path) -> None:
        lines = [json.dumps({"image": f"{i}.png", "caption": captions[i]}) for i in range(ROWS)]
        (at / "t.jsonl").write_text("\n".join(lines))
        _folder(at / "images", {f"{i}.png": data for i, data in enumerate(pictures)})

    @layout
    def quilt(at: Path) -> None:
        names = list(named)
        write_quilt(
            at, [quilt_row(i, caption=captions[i], image_path=names[i]) for i in range(ROWS)]
        )
        write_zip(at / "images.zip", named)

    @layout
    def pathcap(at: Path) -> None:
        records = [{"img": f"1_gr{i}.png", "caption": captions[i]} for i in range(ROWS)]
        write_json(at / "data.json", records)
        _folder(at / "images", {f"1_gr{i}.png": data for i, data in enumerate(pictures)})

    @layout
    def hf(at: Path) -> None:
        rows = [
            {"image": {"bytes": data, "path": None}, "caption": caption}
            for data, caption in zip(pictures, captions, strict=True)
        ]
        pq.write_table(image_table(rows), at / "a.parquet", row_group_size=2)

    @layout
    def webdataset(at: Path) -> None:
        with tarfile.open(at / "a.tar", "w") as tar:
            for i, data in enumerate(pictures):
                for name, content in ((f"{i}.png", data), (f"{i}.txt", captions[i].encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))

    @layout
    def pathgen(at: Path) -> None:
        from miner.demo.slides import write_slide

        (at / "slides").mkdir()
        write_slide(at / "slides/A.tif", tile(9, size=1024, mpp=0.5).image, 0.5)
        records = [pathgen_record("A", 80 * i, 0, captions[i]) for i in range(ROWS)]
        write_json(at / "PathGen-1.6M.json", records)

    for name, write in files.items():
        (folder / name).mkdir(parents=True)
        write(folder / name)


def _folder(at: Path, files: dict[str, bytes]) -> None:
    at.mkdir()
    for name, data in files.items():
        (at / name).write_bytes(data)
