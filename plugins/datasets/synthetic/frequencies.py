"""How often a diagnosis occurs and shows each value of each criterion: the tables that the sampler draws from.

They follow how often each value occurs in each diagnosis of Derm7pt (Kawahara et al. 2019), rounded by hand and, where
that set holds a handful of cases, smoothed. So diagnoses overlap as they do in a clinic: a melanoma may lack every
melanoma feature, and a nevus may show one.

Some findings are more frequent than there, where a textbook names them for the diagnosis: hairpin vessels in seborrheic
keratosis, comma vessels in dermal nevus, arborizing ones in basal cell carcinoma, dotted ones in Spitz nevus, wreath
vessels among the miscellaneous, a white centre in dermatofibroma, regression in thin melanoma. Otherwise they would be
too rare in 1,011 cases for anything to learn them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SPLIT_GROUPS: Mapping[str, Mapping[str, int]] = {
    "train": {"BCC": 19, "NEV": 256, "MEL": 90, "MISC": 32, "SK": 16},
    "valid": {"BCC": 7, "NEV": 100, "MEL": 61, "MISC": 25, "SK": 10},
    "test": {"BCC": 16, "NEV": 219, "MEL": 101, "MISC": 40, "SK": 19},
}
"""Cases a group and split, equal to those of Derm7pt; they sum to 1,011."""


@dataclass(frozen=True)
class Frequencies:
    """``weight`` of a diagnosis within its group (about the count in 1,011) and, for each criterion, the percentages
    of its values in the order of ``Criterion.values``, absent first.
    """

    weight: int
    percent: Mapping[str, tuple[int, ...]]


def _shows(
    weight: int,
    *,
    network: tuple[int, ...],
    streaks: tuple[int, ...],
    pigmentation: tuple[int, ...],
    regression: tuple[int, ...],
    dots: tuple[int, ...],
    veil: tuple[int, ...],
    vessels: tuple[int, ...],
) -> Frequencies:
    percent = {
        "pigment_network": network,
        "streaks": streaks,
        "pigmentation": pigmentation,
        "regression_structures": regression,
        "dots_and_globules": dots,
        "blue_whitish_veil": veil,
        "vascular_structures": vessels,
    }
    return Frequencies(weight, percent)


# One diagnosis is one block.
# fmt: off
DIAGNOSES: Mapping[str, Frequencies] = {
    "basal cell carcinoma": _shows(
        40, network=(92, 5, 3), streaks=(93, 0, 7), pigmentation=(68, 2, 24, 1, 5), regression=(84, 8, 4, 4),
        dots=(45, 5, 50), veil=(80, 20), vessels=(31, 60, 1, 2, 2, 1, 2, 1),
    ),
    "blue nevus": _shows(
        30, network=(92, 8, 0), streaks=(96, 1, 3), pigmentation=(15, 50, 34, 1, 0), regression=(98, 2, 0, 0),
        dots=(88, 11, 1), veil=(85, 15), vessels=(94, 5, 1, 0, 0, 0, 0, 0),
    ),
    "clark nevus": _shows(
        400, network=(20, 66, 14), streaks=(73, 13, 14), pigmentation=(69, 10, 12, 1, 8), regression=(74, 15, 4, 7),
        dots=(16, 55, 29), veil=(97, 3), vessels=(91, 0, 3, 0, 4, 0, 2, 0),
    ),
    "combined nevus": _shows(
        15, network=(60, 38, 2), streaks=(92, 0, 8), pigmentation=(68, 15, 2, 8, 7), regression=(92, 8, 0, 0),
        dots=(15, 55, 30), veil=(10, 90), vessels=(98, 1, 1, 0, 0, 0, 0, 0),
    ),
    "congenital nevus": _shows(
        20, network=(30, 58, 12), streaks=(94, 5, 1), pigmentation=(60, 18, 20, 1, 1), regression=(78, 16, 1, 5),
        dots=(6, 59, 35), veil=(98, 2), vessels=(96, 0, 3, 0, 0, 0, 1, 0),
    ),
    "dermal nevus": _shows(
        35, network=(85, 12, 3), streaks=(97, 1, 2), pigmentation=(82, 6, 8, 1, 3), regression=(97, 3, 0, 0),
        dots=(15, 66, 19), veil=(94, 6), vessels=(45, 0, 45, 2, 0, 1, 4, 3),
    ),
    "recurrent nevus": _shows(
        5, network=(50, 48, 2), streaks=(20, 17, 63), pigmentation=(20, 2, 76, 1, 1), regression=(50, 18, 30, 2),
        dots=(33, 17, 50), veil=(98, 2), vessels=(68, 0, 0, 0, 16, 0, 16, 0),
    ),
    "reed or spitz nevus": _shows(
        80, network=(56, 14, 30), streaks=(23, 47, 30), pigmentation=(43, 24, 32, 1, 0), regression=(87, 9, 0, 4),
        dots=(18, 37, 45), veil=(56, 44), vessels=(74, 0, 0, 0, 0, 0, 26, 0),
    ),
    "melanoma": _shows(
        2, network=(70, 5, 25), streaks=(60, 2, 38), pigmentation=(25, 5, 65, 0, 5), regression=(55, 5, 30, 10),
        dots=(30, 5, 65), veil=(65, 35), vessels=(70, 2, 0, 3, 10, 0, 10, 5),
    ),
    "melanoma (in situ)": _shows(
        65, network=(5, 16, 79), streaks=(46, 3, 51), pigmentation=(49, 1, 38, 1, 11), regression=(32, 32, 12, 24),
        dots=(12, 7, 81), veil=(89, 11), vessels=(76, 0, 0, 0, 21, 0, 2, 1),
    ),
    "melanoma (less than 0.76 mm)": _shows(
        100, network=(25, 13, 62), streaks=(23, 3, 74), pigmentation=(46, 1, 49, 0, 4), regression=(26, 18, 24, 32),
        dots=(8, 4, 88), veil=(62, 38), vessels=(68, 0, 0, 0, 23, 0, 6, 3),
    ),
    "melanoma (0.76 to 1.5 mm)": _shows(
        55, network=(58, 13, 29), streaks=(40, 2, 58), pigmentation=(34, 2, 58, 0, 6), regression=(64, 8, 10, 18),
        dots=(2, 2, 96), veil=(12, 88), vessels=(55, 0, 0, 2, 3, 0, 29, 11),
    ),
    "melanoma (more than 1.5 mm)": _shows(
        30, network=(57, 11, 32), streaks=(50, 1, 49), pigmentation=(29, 1, 63, 0, 7), regression=(85, 4, 1, 10),
        dots=(11, 4, 85), veil=(8, 92), vessels=(35, 1, 0, 4, 3, 0, 22, 35),
    ),
    "melanoma metastasis": _shows(
        5, network=(96, 2, 2), streaks=(98, 0, 2), pigmentation=(50, 24, 25, 0, 1), regression=(96, 2, 2, 0),
        dots=(26, 24, 50), veil=(75, 25), vessels=(26, 46, 0, 24, 0, 0, 3, 1),
    ),
    "dermatofibroma": _shows(
        20, network=(20, 78, 2), streaks=(98, 1, 1), pigmentation=(72, 2, 6, 0, 20), regression=(58, 0, 40, 2),
        dots=(30, 26, 44), veil=(98, 2), vessels=(79, 5, 10, 1, 0, 0, 5, 0),
    ),
    "lentigo": _shows(
        25, network=(2, 70, 28), streaks=(91, 1, 8), pigmentation=(70, 27, 1, 1, 1), regression=(91, 5, 1, 3),
        dots=(49, 29, 22), veil=(98, 2), vessels=(98, 0, 0, 0, 1, 0, 1, 0),
    ),
    "melanosis": _shows(
        15, network=(80, 13, 7), streaks=(26, 61, 13), pigmentation=(55, 19, 25, 0, 1), regression=(75, 6, 7, 12),
        dots=(55, 25, 20), veil=(94, 6), vessels=(76, 5, 6, 5, 6, 0, 2, 0),
    ),
    "miscellaneous": _shows(
        10, network=(86, 12, 2), streaks=(55, 2, 43), pigmentation=(62, 13, 24, 0, 1), regression=(64, 1, 34, 1),
        dots=(26, 24, 50), veil=(97, 3), vessels=(16, 1, 1, 2, 1, 60, 18, 1),
    ),
    "vascular lesion": _shows(
        30, network=(96, 3, 1), streaks=(98, 1, 1), pigmentation=(62, 33, 4, 0, 1), regression=(98, 1, 1, 0),
        dots=(85, 8, 7), veil=(97, 3), vessels=(95, 1, 1, 0, 0, 1, 1, 1),
    ),
    "seborrheic keratosis": _shows(
        45, network=(73, 16, 11), streaks=(91, 2, 7), pigmentation=(22, 33, 42, 1, 2), regression=(93, 4, 1, 2),
        dots=(48, 27, 25), veil=(96, 4), vessels=(50, 1, 1, 45, 1, 0, 2, 0),
    ),
}
"""Order of the values: pigment network absent, typical, atypical; streaks and dots absent, regular, irregular;
pigmentation absent, diffuse regular, diffuse irregular, localized regular, localized irregular; regression absent,
blue, white, combinations; veil absent, present; vessels absent, arborizing, comma, hairpin, within regression, wreath,
dotted, linear irregular.
"""

METADATA: Mapping[str, Mapping[str, int]] = {
    "elevation": {"flat": 45, "palpable": 43, "nodular": 12},
    "location": {
        "back": 28, "lower limbs": 20, "abdomen": 12, "upper limbs": 12, "chest": 10, "head neck": 9, "acral": 6,
        "buttocks": 2, "genital areas": 1,
    },
    "sex": {"female": 52, "male": 48},
    "level_of_diagnostic_difficulty": {"low": 38, "medium": 37, "high": 25},
}
"""Free metadata, drawn without regard to the diagnosis: nothing is to be learnt from it."""
# fmt: on
