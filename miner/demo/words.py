"""The words of the phantom captions."""

from __future__ import annotations

# Concept -> wordings, each the smallest phrase that names it.
WORDS: dict[str, tuple[str, ...]] = {
    "nucleus": ("nuclei", "cell nuclei"),
    "epithelial nucleus": ("epithelial nuclei",),
    "stromal nucleus": ("stromal nuclei",),
    "tumor cell": ("tumor cells", "tumour cells", "neoplastic cells", "malignant cells"),
    "lymphocyte": ("lymphocytes", "lymphoid cells", "lymphs", "TILs"),
    "plasma cell": ("plasma cells", "plasmacytes"),
    "neutrophil": ("neutrophils", "polymorphs", "PMNs", "neutrophilic granulocytes"),
    "eosinophil": ("eosinophils",),
    "macrophage": ("macrophages", "histiocytes", "foamy macrophages"),
    "mitotic figure": ("mitotic figures", "mitoses"),
    "apoptotic body": ("apoptotic bodies",),
    "hepatocyte": ("hepatocytes", "liver cells"),
    "goblet cell": ("goblet cells",),
    "gland": ("glands", "glandular structures"),
    "lumen": ("lumina", "lumens", "glandular lumina"),
    "tubule": ("tubules",),
    "glomerulus": ("glomeruli",),
    "blood vessel": ("blood vessels", "vessels"),
    "red blood cell": ("red blood cells", "erythrocytes", "RBCs", "red cells"),
    "stroma": ("stroma", "fibrous stroma", "stromal tissue"),
    "epithelium": ("epithelium",),
    "tumor": ("tumor tissue", "tumor"),
    "smooth muscle": ("smooth muscle", "smooth muscle bundles"),
    "fat": ("adipose tissue", "fat", "fatty tissue"),
    "necrosis": ("necrosis", "necrotic debris", "necrotic tissue"),
    "mucin": ("mucin", "mucus", "extracellular mucin"),
    "colloid": ("colloid",),
    "keratin": ("keratin",),
    "hemorrhage": ("hemorrhage", "haemorrhage"),
}

# How things look: words beside a phrase, not in it.
LOOKS: dict[str, tuple[str, ...]] = {
    "object": ("numerous", "scattered", "a few", "some", "crowded", "prominent", "many"),
    "stuff": ("pale", "abundant", "a little", "patchy", "pink"),
}

# Concept -> long form and abbreviation, as defined in a legend.
ABBREVIATIONS: dict[str, tuple[str, str]] = {
    "lymphocyte": ("tumor-infiltrating lymphocytes", "TILs"),
    "red blood cell": ("red blood cells", "RBCs"),
    "neutrophil": ("polymorphonuclear neutrophils", "PMNs"),
    "tumor cell": ("tumor cells", "TCs"),
}

SITES: dict[str, tuple[str, ...]] = {
    "colon": ("colon", "colonic mucosa", "large bowel"),
    "breast": ("breast", "breast tissue"),
    "prostate": ("prostate", "prostatic tissue"),
    "kidney": ("kidney", "renal cortex"),
    "liver": ("liver", "liver tissue"),
    "lung": ("lung", "lung parenchyma"),
    "skin": ("skin",),
    "oral mucosa": ("oral mucosa",),
    "lymph node": ("lymph node",),
    "thyroid": ("thyroid", "thyroid gland"),
    "brain": ("brain", "cerebral cortex"),
    "soft tissue": ("soft tissue",),
}

STAINS: dict[str, tuple[str, str]] = {
    "H&E": ("H&E", "hematoxylin and eosin"),
    "PAS": ("PAS", "periodic acid-schiff"),
    "IHC": ("immunohistochemistry", "immunohistochemistry"),
    "hematoxylin": ("haematoxylin", "hematoxylin"),
    "trichrome": ("Masson's trichrome", "masson trichrome"),
}

# Captions that name nothing one could outline.
NOTHING: dict[str, tuple[str, ...]] = {
    "quilt": (
        "Okay, let's move on to the next case, and please put your questions into the chat.",
        "So, um, that was the history, and now we go to higher power.",
        "I'll come back to this one at the end of the session.",
        "So what would you do next, order a stain, or call a colleague?",
    ),
    "pathcap": (
        "Kaplan-Meier estimates of overall survival by treatment arm.",
        "Representative photomicrograph, original magnification ×200.",
        "Flow chart of patient selection.",
        "Immunohistochemical work-up of case 3 (see text).",
    ),
    "pathgen": (
        "The image is of limited diagnostic quality and no further description can be given.",
        "The appearance is nonspecific; correlation with clinical findings is recommended.",
    ),
}
