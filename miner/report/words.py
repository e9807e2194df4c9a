"""What statuses, reasons and scores mean, in a reader's words."""

from __future__ import annotations

STATUS = {
    "written": "in the shards, with at least one mask or a confirmed negative",
    "duplicate": "the same picture as a better grounded one",
    "no_entity": "the caption names no structure that could be outlined",
    "no_mask": "no segmenter drew a mask of what it names",
    "rejected": "masks were drawn, none stood up to the tests",
    "unreadable": "picture, slide or row can't be read",
    "excluded": "left out on purpose",
}

REASON = {
    "only_negated": "everything it names is denied",
    "only_uncertain": "everything it names is in doubt",
    "finding": "what it names can't occur in this organ",
    "empty_caption": "the caption is empty",
    "decoy": "a control: nobody says it is there",
    "negated": "the caption denies it",
    "uncertain": "the caption is in doubt",
    "empty": "the segmenter found nothing",
    "unsupported": "no segmenter knows the concept",
    "out_of_support": "the picture is unlike anything the references know",
    "whole_image": "the mask is the whole picture",
    "too_small": "the mask is a speck",
    "specks": "the mask is mostly specks",
    "at_border": "the outline follows the picture's border",
    "wrong_size": "objects are too large or small for the concept",
    "too_many": "more objects than fit",
    "outside_parent": "lies outside of what it is a part of",
    "same_mask": "another phrase got the same mask and scores higher",
    "outscored": "another segmenter's mask of it scores higher",
    "low_score": "its probability to be right is below the threshold",
    "high_fdr": "beyond the stated rate of wrong masks",
    "uncertifiable": "no threshold reaches the stated precision for this concept",
    "undefined": "neither agreement nor KS could be computed",
    "exact": "same bytes as another picture",
    "semantic": "nearly the same as another picture",
}

# Scores with a histogram, and what they say; only those that a run has are drawn.
SHOWN = {
    "score": "probability that the mask is right",
    "confidence": "the segmenter's own confidence",
    "clip_prob": "share of the phrase among its rivals (agreement)",
    "clip_margin_sibling": "agreement above the best sibling phrase",
    "clip_margin_complement": "agreement above the rest of the picture",
    "ks_d_norm": "KS distance to the concept's reference",
    "ks_margin": "KS distance of the next concept minus its own",
    "ks_rim": "KS contrast across the outline",
    "geometry_area_fraction": "share of the picture that the mask covers",
}
