"""Regions of whole slides as SpatialData: `python to_spatialdata.py EXPORT OUT.zarr`.

EXPORT is what `miner export OUT --to qupath --out EXPORT` wrote. Each of its slides becomes an
element of shapes with a coordinate system of its own, in pixels of the slide's level 0. SpatialData
needs Python 3.12 and a newer numpy than Histomine, so this runs in an environment of its own:
`python3.12 -m venv ENV && ENV/bin/pip install spatialdata==0.8.0`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import geopandas
from spatialdata import SpatialData
from spatialdata.models import ShapesModel
from spatialdata.transformations import Identity


def shapes(file: Path) -> geopandas.GeoDataFrame:
    """Regions of one slide: geometry, concept, whether it is a single object, scores, sample."""
    features = json.loads(file.read_text(encoding="utf-8"))["features"]
    rows = [
        {
            "geometry": feature["geometry"],
            "properties": {
                "concept": feature["properties"]["classification"]["name"],
                "object": feature["properties"]["objectType"] == "detection",
                "score": feature["properties"]["measurements"].get("score"),
                "exhaustive": feature["properties"]["measurements"].get("exhaustive"),
                "sample": feature["properties"]["metadata"]["sample"],
            },
        }
        for feature in features
    ]
    found = geopandas.GeoDataFrame.from_features(rows)
    # Rings of pixels that meet at a corner only are cut apart there.
    found.geometry = found.make_valid(method="structure", keep_collapsed=False)
    return ShapesModel.parse(found, transformations={file.stem: Identity()})


def main(export: str, out: str) -> None:
    """Write all slides of an export."""
    slides = {file.stem: shapes(file) for file in sorted(Path(export, "slides").glob("*.geojson"))}
    SpatialData(shapes=slides).write(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
