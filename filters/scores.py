"""The names of all scores a candidate can have, in one place.

Every score is a float column of `candidates`, null where it is not defined; `notes` says why.
"""

from __future__ import annotations

from collections.abc import Mapping

GEOMETRY: Mapping[str, str] = {
    "geometry_area_fraction": "share of the picture covered, 0..1",
    "geometry_objects": "single objects, or connected parts of a region",
    "geometry_speck_fraction": "share of the area in parts smaller than a speck, 0..1",
    "geometry_border_fraction": "share of the objects that the border cuts, 0..1",
    "geometry_outline_fraction": "share of the outline that lies on the border, 0..1",
    "geometry_largest_fraction": "share of the area in the largest object or part, 0..1",
    "geometry_diameter_um": "median diameter of a circle of the object's area, um",
    "geometry_solidity": "median share of the convex hull that is filled, 0..1",
    "geometry_density_mm2": "objects per square millimetre of picture",
    "geometry_overlap": "highest IoU with the mask of another phrase of the same segmenter, 0..1",
    "geometry_inside": "share inside the mask of what the concept is a part of, 0..1",
}

KS: Mapping[str, str] = {
    "ks_d": "mean KS statistic of the pixels against the concept's reference, raw stain, 0..1",
    "ks_p": "conformal p of ks_d among held-out correct regions",
    "ks_d_norm": "the same with the stain normalised, 0..1",
    "ks_p_norm": "conformal p of ks_d_norm",
    "ks_margin": "ks_d_norm of the nearest other concept's reference minus ks_d_norm, -1..1",
    "ks_rival": "mean KS statistic of the nearest concept of the same kind that stains otherwise, "
    "minus the own one; pixels and objects, raw and normalised, -1..1",
    "ks_p_rival": "conformal p of ks_rival",
    "ks_d_object": "mean KS statistic of object size, shape and spacing, 0..1",
    "ks_p_object": "conformal p of ks_d_object",
    "ks_effect": "mean KS statistic against the picture's own complement, an effect size, 0..1",
    "ks_rim": "mean KS statistic of just inside against just outside the outline, 0..1",
    "ks_support": "conformal p of the picture's stain among the reference pictures",
    "biomedparse_p": "BiomedParse's (p1 p2 p3 p4)^(1/4): a score, not a p-value, 0..1",
}

CLIP: Mapping[str, str] = {
    "clip_cosine": "cosine of region and phrase",
    "clip_prob": "softmax share of the phrase among itself, siblings and absent phrases, 0..1",
    "clip_margin_sibling": "cosine above the best sibling phrase",
    "clip_margin_absent": "cosine above the mean of absent phrases",
    "clip_rank": "share of the sibling phrases that the phrase beats, 0..1",
    "clip_margin_complement": "cosine above that of the rest of the picture",
    "clip_margin_random": "cosine above the mean of same-shaped regions elsewhere",
    "clip_margin_shifted": "cosine above the mean of the mask moved by half an object",
    "clip_instance_median": "median over single objects of the margin to the best sibling",
    "clip_instance_worst": "worst single object",
}

JUDGE: Mapping[str, str] = {
    "judge_right": "vision model's confidence that object and extent are right, 0..1",
}

# What the shipped segmenter says of its masks beside its confidence; columns of units already.
OWN: Mapping[str, str] = {
    "expected_iou": "IoU of the mask that the segmenter's own probabilities promise, 0..1",
    "mean_probability": "mean of these under the mask, 0..1",
    "margin": "mean of the own class's probability above the next one's under the mask, -1..1",
    "agreement": "IoU with what rules and networks find apart, 0..1",
}

SCORES: Mapping[str, str] = {**GEOMETRY, **KS, **CLIP, **JUDGE}

# What `filters.decide.decide` adds to the candidates at the barrier.
VERDICT: Mapping[str, str] = {
    "score": "probability that the mask has an IoU of .5 or more with the truth, 0..1",
    "calibration": "whose labelled data the score comes from: concept:NAME, family:NAME or global",
    "q_value": "expected share of wrong masks among those at least as good, 0..1",
    "failed": "first filter that the mask failed, whatever its role",
    "keep": "whether the mask stands up to all filters",
    "reason": "why it was not kept",
}

NOT_MEASURED = "not_measured"  # why a column says nothing: mined before there was such a measure

# What `filters.completeness.add_extent` adds to them.
EXTENT: Mapping[str, str] = {
    "presence": "probability that the concept is in the picture, at even odds before the search; "
    "null where no segmenter answered, or how often it misses the concept was not measured",
    "exhaustive": "probability that the mask is all of its concept in the picture: of the pixels "
    "80 %, of the objects 90 % or more",
    "exhaustive_why": "why that cannot be said",
    "count_low": "fewest objects that there are, at 90 %",
    "count_high": "most objects that there are, at 90 %",
    "count_why": "why that cannot be said",
}
