"""Croissant 1.0: the machine-readable description of the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shards.pack import ShardInfo

# The context that Croissant 1.0 publishes, whole, so that nothing reads a term otherwise.
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format "
            "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex "
            "repeated replace samplingRate separator source subField transform"
        ).split()
    },
}


def croissant(
    infos: Sequence[ShardInfo], facts: Mapping[str, Any], citations: Sequence[str]
) -> dict[str, Any]:
    """Croissant 1.0 metadata: the tars as files, one record set over their JSON members.

    Args:
        infos: all shards.
        facts: what the card says.
        citations: how to cite the sources.
    """
    files = [
        {
            "@type": "cr:FileObject",
            "@id": i.name,
            "name": i.name,
            "contentUrl": i.name,
            "contentSize": f"{i.bytes} B",
            "encodingFormat": "application/x-tar",
            "sha256": i.sha256,
        }
        for i in infos
    ]
    members = {
        "@type": "cr:FileSet",
        "@id": "samples",
        "name": "samples",
        "containedIn": [{"@id": i.name} for i in infos],
        "encodingFormat": "application/json",
        "includes": "*.json",
    }
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"sample/{name}",
            "name": name,
            "description": text,
            "dataType": kind,
            "source": {"fileSet": {"@id": "samples"}, "extract": {"jsonPath": f"$.{name}"}},
        }
        for name, kind, text in (
            ("key", "sc:Text", "key of the sample"),
            ("corpus", "sc:Text", "name of the corpus"),
            ("caption", "sc:Text", "caption as published"),
            ("license", "sc:Text", "licence of picture and caption"),
            ("width", "sc:Integer", "width of the picture in pixels"),
            ("height", "sc:Integer", "height of the picture in pixels"),
        )
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "histomine-grounded-captions",
        "description": "Pathology captions whose phrases point to mined masks.",
        "license": sorted(facts["counts"]["licenses"]),
        "version": f"1.0.0+{facts['digest'][:16]}",
        "citeAs": "; ".join(citations),
        "distribution": [*files, members],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "sample", "name": "sample", "field": fields}
        ],
    }
