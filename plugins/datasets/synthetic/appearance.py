"""How the lesion beneath the criteria looks, by diagnosis: wide ranges that overlap, so that none gives it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Ranges to draw from. ``melanin`` and ``blood``: densities; ``blue``: opacity of deep, blue pigment; ``mottle``:
    how unevenly the pigment lies; ``edge``: width of the rim's ramp in radii; ``uneven``: size of the outline's waves;
    ``radius``: in pixels of a picture 384 wide; ``cysts`` and ``lacunae``: chance of white cysts, of red lakes.
    """

    melanin: Range = (0.35, 1.1)
    blood: Range = (0.0, 0.18)
    blue: Range = (0.0, 0.0)
    mottle: Range = (0.05, 0.2)
    edge: Range = (0.1, 0.35)
    uneven: Range = (0.08, 0.3)
    radius: Range = (48, 98)
    cysts: float = 0.03
    lacunae: float = 0.0


_NEVUS = Look()
_MELANOMA = Look(
    melanin=(0.4, 1.3), blood=(0.0, 0.35), mottle=(0.12, 0.4), edge=(0.06, 0.3), uneven=(0.18, 0.6), radius=(58, 112)
)
_BY_GROUP: Mapping[str, Look] = {
    "NEV": _NEVUS,
    "MEL": _MELANOMA,
    "BCC": Look(
        melanin=(0.05, 0.6), blood=(0.2, 0.7), blue=(0.0, 0.25), mottle=(0.1, 0.3), edge=(0.15, 0.5), uneven=(0.15, 0.5)
    ),
    "SK": Look(
        melanin=(0.3, 1.3), blood=(0.0, 0.2), mottle=(0.1, 0.35), edge=(0.03, 0.12), uneven=(0.1, 0.4), cysts=0.6
    ),
    "MISC": Look(melanin=(0.2, 1.1), blood=(0.0, 0.3)),
}
_BY_DIAGNOSIS: Mapping[str, Look] = {
    "blue nevus": replace(_NEVUS, melanin=(0.5, 1.2), blue=(0.35, 0.7), mottle=(0.02, 0.1)),
    "dermal nevus": replace(_NEVUS, melanin=(0.1, 0.7), blood=(0.15, 0.45)),
    "reed or spitz nevus": replace(_NEVUS, melanin=(0.4, 1.6), blood=(0.0, 0.4), radius=(38, 76)),
    "melanoma metastasis": replace(_MELANOMA, melanin=(0.1, 1.0), blood=(0.3, 0.9), blue=(0.0, 0.4)),
    "dermatofibroma": Look(melanin=(0.2, 0.6), blood=(0.1, 0.35), edge=(0.3, 0.6)),
    "vascular lesion": Look(melanin=(0.0, 0.35), blood=(0.9, 2.2), blue=(0.0, 0.25), edge=(0.05, 0.3), lacunae=0.8),
}


def look_of(group: str, diagnosis: str) -> Look:
    """Return the look of ``diagnosis``, else that of its ``group``."""
    return _BY_DIAGNOSIS.get(diagnosis, _BY_GROUP[group])
