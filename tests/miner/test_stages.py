"""The stages read and add the columns that they say."""

import cv2
import pyarrow as pa

from miner.config import Config
from miner.core.unit import CANDIDATES_ADDED, IMAGES, IMAGES_ADDED, SAMPLES, SAMPLES_ADDED, Unit
from miner.demo import render
from miner.stages import BUILD, NAMES

TABLES = ("samples", "images", "candidates")


def unit():
    """A picture of a phantom with a caption, as the plan hands it to the first stage."""
    tile = render.tile(3, 256, 0.5, "colon", flaws=0)
    data = cv2.imencode(".png", tile.image[..., ::-1])[1].tobytes()
    sample = {
        "sample_id": "q-00000000-000000",
        "image_id": "q/a",
        "caption": "Nuclei in the stroma.",
    }
    image = {"image_id": "q/a", "data": data, "mpp": tile.mpp}
    return Unit(
        pa.Table.from_pylist([dict.fromkeys(SAMPLES.names) | sample], SAMPLES),
        pa.Table.from_pylist([dict.fromkeys(IMAGES.names) | image], IMAGES),
    )


def columns(unit, table):
    return set(getattr(unit, table).column_names)


def test_each_stage_needs_and_adds_what_it_declares(tmp_path):
    config = Config(corpora=[{"kind": "pairs", "path": "x"}], out=str(tmp_path))
    whole = unit()
    first = {name: columns(whole, name) for name in TABLES}
    for name in NAMES:
        stage = BUILD[name](config)
        read = {t: sorted(stage.requires.get(t, ())) for t in ("samples", "images")}
        if "candidates" in stage.requires:
            read["candidates"] = sorted(stage.requires["candidates"])
        alone = stage(Unit(**{t: getattr(whole, t).select(c) for t, c in read.items()}))
        before, whole = whole, stage(whole)
        for table in TABLES:
            declared = set(stage.adds.get(table, ()))
            more = columns(whole, table) - columns(before, table) - declared
            # Segmenters may have scores of their own.
            kinds = {getattr(whole, table).schema.field(one).type for one in more}
            assert not more or (name, table, kinds) == ("segment", "candidates", {pa.float64()})
            assert declared <= columns(whole, table)
            assert declared <= columns(alone, table), f"{name} reads more than it declares"
    added = {name: columns(whole, name) - first[name] for name in TABLES}
    assert added["samples"] | {"strata"} == set(SAMPLES_ADDED.names)  # strata are read on planning
    assert added["images"] == set(IMAGES_ADDED.names)
    assert added["candidates"] >= set(CANDIDATES_ADDED.names)
    assert whole.candidates["counts"].null_count < whole.candidates.num_rows
