"""BiomedParse v1 (Zhao et al., Nature Methods 2024), with torch alone.

A re-implementation of the official network (github microsoft/BiomedParse, Apache-2.0, with parts
that come from X-Decoder, MIT, and SEEM, Apache-2.0; the backbone is FocalNet, MIT). The tensors
are named as in the released checkpoint, `biomedparse_v1.pt`, whose licence allows research use
and no clinical one.

    model = BiomedParse.from_checkpoint("biomedparse_v1.pt")
    features = model.encode(image)
    answer = model.decode(features, ["neoplastic cells in breast pathology"])
    answer.prob  # (1, H, W)
"""

from segmenters.biomedparse.config import Sizes
from segmenters.biomedparse.predict import Answer, BiomedParse, Features

__all__ = ["Answer", "BiomedParse", "Features", "Sizes"]
