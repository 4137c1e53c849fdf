"""The seven-point checklist: criteria, their wording, diagnoses and groups, shared by Derm7pt and the synthetic set.

Criteria, values and the scoring rule: Argenziano et al., Arch. Dermatol. 1998, as coded by Kawahara et al., IEEE JBHI
2019. A paraphrase is a clause that stands alone as a sentence once it is capitalised and gets a full stop; canonical
and terse wordings are noun phrases. No wording names a diagnosis, and no paraphrase holds the canonical wording.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.errors import UserError, near_misses
from benchmark.interfaces import Criterion, CriticalGroup, Phrases


def _says(canonical: str, terse: str, *paraphrases: str) -> Phrases:
    return Phrases(canonical, terse, paraphrases)


def _criterion(name: str, weight: float, phrases: Mapping[str, Phrases]) -> Criterion:
    return Criterion(name, tuple(phrases), weight, phrases)


# fmt: off  (the tables stay readable with several wordings a line)
_PIGMENT_NETWORK = {
    "absent": _says(
        "no pigment network",
        "no network",
        "a pigment network is not seen",
        "there is no reticular pattern",
        "network lines are missing throughout",
        "the lesion lacks a reticulated grid of pigment",
        "no honeycomb of brown lines can be made out",
    ),
    "typical": _says(
        "typical pigment network",
        "typ. network",
        "the pigment network is regular, with thin and evenly spaced lines",
        "a uniform, delicate reticular pattern fades out at the border",
        "the network looks ordinary, with holes of even size",
        "brown network lines form an orderly, homogeneous mesh",
        "the reticulation is symmetric and even in colour and thickness",
    ),
    "atypical": _says(
        "atypical pigment network",
        "atyp. network",
        "the pigment network is irregular, with broad lines and uneven holes",
        "the reticular pattern is disordered, with thickened dark lines",
        "network lines vary in width and colour and end abruptly at the border",
        "a prominent, distorted mesh of grey, brown or black lines is seen",
        "the reticulation is heterogeneous and its meshes differ in size",
    ),
}

_STREAKS = {
    "absent": _says(
        "no streaks",
        "",
        "streaks are not seen",
        "there are neither pseudopods nor radial projections",
        "the border is free of linear extensions",
        "radial streaming is missing",
        "no streak is visible at the periphery",
    ),
    "regular": _says(
        "regular streaks",
        "reg. streaks",
        "streaks are spread evenly around the whole border",
        "radial projections form a symmetric, starburst-like rim",
        "the periphery shows uniform linear extensions on all sides",
        "evenly spaced pseudopods surround the entire lesion",
        "streaks of equal length radiate in an orderly way along the full circumference",
    ),
    "irregular": _says(
        "irregular streaks",
        "irreg. streaks",
        "streaks are spread unevenly along the border",
        "pseudopods crowd one part of the periphery only",
        "radial streaming is asymmetric and confined to some segments of the edge",
        "linear extensions of unequal length project from part of the margin",
        "the rim shows unevenly distributed radial projections",
    ),
}

_PIGMENTATION = {
    "absent": _says(
        "no diffuse or localized pigmentation",
        "",
        "there is no blotch of pigment",
        "structureless pigment is not seen",
        "neither diffuse nor circumscribed pigmented areas are visible",
        "blotches are missing",
        "no structureless brown or black area can be made out",
    ),
    "diffuse regular": _says(
        "diffuse regular pigmentation",
        "diff. reg. pigm.",
        "pigment is spread widely and evenly over the lesion",
        "an even, structureless tone covers most of the lesion",
        "the pigmentation is extensive and uniform",
        "a large symmetric blotch extends evenly over the lesion",
        "widespread pigment of homogeneous tone fills the lesion",
    ),
    "diffuse irregular": _says(
        "diffuse irregular pigmentation",
        "diff. irreg. pigm.",
        "pigment is spread widely but unevenly over the lesion",
        "a patchy, structureless tone of varying darkness covers most of the lesion",
        "the pigmentation is extensive and uneven",
        "a large asymmetric blotch extends over much of the lesion",
        "widespread pigment of mottled, inhomogeneous tone fills the lesion",
    ),
    "localized regular": _says(
        "localized regular pigmentation",
        "loc. reg. pigm.",
        "pigment is confined to one spot and evenly toned",
        "a single small blotch is symmetric and homogeneous",
        "the pigmentation is circumscribed and uniform",
        "a focal structureless area has an even tone and shape",
        "one well-limited part of the lesion is evenly pigmented",
    ),
    "localized irregular": _says(
        "localized irregular pigmentation",
        "loc. irreg. pigm.",
        "pigment is confined to one part and unevenly toned",
        "a small off-centre blotch has an uneven shape",
        "the pigmentation is circumscribed and uneven",
        "a focal structureless area is asymmetric and patchy",
        "one limited part of the lesion holds dark, inhomogeneous pigment",
    ),
}

_REGRESSION_STRUCTURES = {
    "absent": _says(
        "no regression structures",
        "",
        "there are no signs of regression",
        "neither scar-like areas nor peppering are seen",
        "regression is not evident",
        "the lesion is free of regressive change",
        "scar-like depigmentation and blue-grey granules are both missing",
    ),
    "blue areas": _says(
        "blue regression areas",
        "blue regr.",
        "regression appears as blue-grey areas only",
        "peppering marks a zone of regression, without scar-like white",
        "blue-grey granules show where the lesion has regressed, and no white scar is seen",
        "the regressed part is bluish, with no white component",
        "regression is of the blue, granular kind alone",
    ),
    "white areas": _says(
        "white regression areas",
        "white regr.",
        "regression appears as white, scar-like areas only",
        "scar-like depigmentation marks a zone of regression, without peppering",
        "part of the lesion has regressed to a white scar, and no blue-grey granules are seen",
        "the regressed part is white, with no bluish component",
        "regression is of the white, scar-like kind alone",
    ),
    "combinations": _says(
        "combined white and blue regression areas",
        "white+blue regr.",
        "regression shows both scar-like white and blue-grey parts",
        "scar-like depigmentation and peppering occur together",
        "white scarring is mixed with blue-grey granules",
        "the regressed zone is white in places and bluish in others",
        "both kinds of regression, white and blue, are present",
    ),
}

_DOTS_AND_GLOBULES = {
    "absent": _says(
        "no dots or globules",
        "",
        "dots and globules are not seen",
        "there are neither dots nor globules",
        "globular structures are missing",
        "round pigmented bodies cannot be found",
        "the lesion lacks any dot or globule",
    ),
    "regular": _says(
        "regular dots and globules",
        "reg. globules",
        "dots and globules are alike in size and evenly spread",
        "uniform globules are arranged symmetrically",
        "the globular pattern is orderly",
        "round brown bodies of equal size are distributed evenly",
        "evenly spaced globules of similar shape are seen",
    ),
    "irregular": _says(
        "irregular dots and globules",
        "irreg. globules",
        "dots and globules differ in size and are unevenly spread",
        "globules of varied shape are scattered asymmetrically",
        "the globular pattern is disorderly",
        "round bodies of unequal size and colour are distributed unevenly",
        "unevenly spaced dots and clumps of globules are seen",
    ),
}

_BLUE_WHITISH_VEIL = {
    "absent": _says(
        "no blue-whitish veil",
        "BWV-",
        "a bluish-white veil is not seen",
        "there is no blue-white haze over the lesion",
        "blue-white veiling is missing",
        "no milky blue film covers any part",
        "the surface is free of a whitish-blue ground-glass film",
    ),
    "present": _says(
        "blue-whitish veil",
        "BWV+",
        "a bluish-white veil covers part of the lesion",
        "a milky blue haze overlies the lesion",
        "blue-white veiling is seen",
        "a confluent blue area lies under a whitish ground-glass film",
        "a structureless blue zone is overlaid by a white haze",
    ),
}

_VASCULAR_STRUCTURES = {
    "absent": _says(
        "no vascular structures",
        "",
        "vessels are not seen",
        "there is no visible vascular pattern",
        "the lesion shows no blood vessels",
        "vascularity is not apparent",
        "no vessel of any kind can be made out",
    ),
    "arborizing": _says(
        "arborizing vessels",
        "arbor. vess.",
        "vessels branch like a tree",
        "thick trunks divide into ever finer vessels",
        "branching telangiectasia runs across the lesion",
        "the vascular pattern is tree-like",
        "sharply focused vessels ramify over the surface",
    ),
    "comma": _says(
        "comma vessels",
        "comma vess.",
        "vessels are short, thick and slightly curved like commas",
        "comma-shaped vessels are seen",
        "the vascular pattern consists of stout, gently bent commas",
        "coarse vessels are curved in the form of a comma",
        "the blood vessels look like commas",
    ),
    "hairpin": _says(
        "hairpin vessels",
        "hairpin vess.",
        "vessels form narrow U-shaped loops",
        "looped capillaries resemble hairpins",
        "hairpin-like vascular loops are seen",
        "the vascular pattern consists of tight elongated loops",
        "each vessel turns sharply on itself like a hairpin",
    ),
    "within regression": _says(
        "vessels within regression",
        "vess. in regr.",
        "vessels are seen inside the regressed zone",
        "the vascular structures lie in areas of regression",
        "blood vessels show through where the lesion has regressed",
        "vascularity is confined to the regression structures",
        "the only visible vessels run inside a regressed area",
    ),
    "wreath": _says(
        "wreath vessels",
        "wreath vess.",
        "vessels surround the lesion like a wreath",
        "a crown of vessels lines the periphery",
        "vessels are arranged in a garland around the edge",
        "wreath-like vessels bend around the centre without crossing it",
        "the vascular pattern forms a wreath along the border",
    ),
    "dotted": _says(
        "dotted vessels",
        "dotted vess.",
        "vessels appear as tiny red dots",
        "pinpoint vessels are seen",
        "the vascular pattern is punctate",
        "small red points mark vessels seen end-on",
        "dot-like vessels are scattered over the lesion",
    ),
    "linear irregular": _says(
        "linear irregular vessels",
        "lin. irreg. vess.",
        "vessels are linear and irregular in course and calibre",
        "irregularly shaped, line-like vessels are seen",
        "the vascular pattern consists of uneven red lines",
        "vessels run as winding lines of varying thickness",
        "linear vessels of irregular shape and size cross the lesion",
    ),
}
# fmt: on

CRITERIA: tuple[Criterion, ...] = (
    _criterion("pigment_network", 2.0, _PIGMENT_NETWORK),
    _criterion("streaks", 1.0, _STREAKS),
    _criterion("pigmentation", 1.0, _PIGMENTATION),
    _criterion("regression_structures", 1.0, _REGRESSION_STRUCTURES),
    _criterion("dots_and_globules", 1.0, _DOTS_AND_GLOBULES),
    _criterion("blue_whitish_veil", 2.0, _BLUE_WHITISH_VEIL),
    _criterion("vascular_structures", 2.0, _VASCULAR_STRUCTURES),
)

SCORING_VALUES: Mapping[str, frozenset[str]] = {
    "pigment_network": frozenset({"atypical"}),
    "streaks": frozenset({"irregular"}),
    "pigmentation": frozenset({"diffuse irregular", "localized irregular"}),
    "regression_structures": frozenset({"blue areas", "white areas", "combinations"}),
    "dots_and_globules": frozenset({"irregular"}),
    "blue_whitish_veil": frozenset({"present"}),
    "vascular_structures": frozenset({"dotted", "linear irregular"}),
}
"""Values that earn the points of their criterion; vessels within regression earn none."""

GROUPS = ("BCC", "NEV", "MEL", "MISC", "SK")
CRITICAL = CriticalGroup(group="MEL", name="melanoma", lookalike="NEV")
SUBGROUPS = ("level_of_diagnostic_difficulty", "elevation", "location", "sex")
"""Metadata by which results are broken down."""
DIAGNOSES = (
    "basal cell carcinoma",
    "blue nevus",
    "clark nevus",
    "combined nevus",
    "congenital nevus",
    "dermal nevus",
    "recurrent nevus",
    "reed or spitz nevus",
    "melanoma",
    "melanoma (in situ)",
    "melanoma (less than 0.76 mm)",
    "melanoma (0.76 to 1.5 mm)",
    "melanoma (more than 1.5 mm)",
    "melanoma metastasis",
    "dermatofibroma",
    "lentigo",
    "melanosis",
    "miscellaneous",
    "vascular lesion",
    "seborrheic keratosis",
)
_GROUP_BY_NAME = {"basal cell carcinoma": "BCC", "seborrheic keratosis": "SK"} | dict.fromkeys(
    ("lentigo", "dermatofibroma", "melanosis", "vascular lesion", "miscellaneous"), "MISC"
)


def group_of(diagnosis: str) -> str:
    """Return the group of a fine diagnosis by the rule of Kawahara et al. 2019; ``UserError`` where no rule applies."""
    if "nevus" in diagnosis:
        return "NEV"
    if diagnosis.startswith("melanoma"):
        return "MEL"
    if diagnosis in _GROUP_BY_NAME:
        return _GROUP_BY_NAME[diagnosis]
    raise UserError(f"'{diagnosis}' is no diagnosis of Derm7pt. {near_misses(diagnosis, DIAGNOSES)}")


TAXONOMY: Mapping[str, str] = {diagnosis: group_of(diagnosis) for diagnosis in DIAGNOSES}


def seven_point_score(descriptors: Mapping[str, str]) -> int:
    """Return the checklist score, 0 to 10: two points a major criterion, one a minor one.

    ``descriptors`` gives a value for each of the seven criteria; a missing one is a ``KeyError``.
    """
    return sum(int(c.weight) for c in CRITERIA if descriptors[c.name] in SCORING_VALUES[c.name])
