"""How the lesion beneath the criteria looks: nearly the same for every diagnosis, so that the criteria have to tell.

What is left beside the criteria are a few habits that a clinician would miss: an angioma is red, a blue nevus bluish, a
dermatofibroma ill-defined, a seborrheic keratosis sharply bordered and often with cysts. Their ranges overlap with
those of other diagnoses, so that no picture gives its group away; they are also what a reference image can add to a
text that states every criterion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """Ranges to draw from. ``melanin`` and ``blood``: densities; ``blue``: opacity of deep, blue pigment; ``mottle``:
    how unevenly the pigment lies; ``lean``: how much darker the centre is than the rim; ``edge``: width of the rim's
    ramp in radii; ``uneven``: size of the outline's waves; ``radius``: in pixels of a picture 384 wide; ``cysts`` and
    ``lacunae``: chance of white cysts, of red lakes.
    """

    melanin: Range = (0.25, 1.0)
    blood: Range = (0.0, 0.28)
    blue: Range = (0.0, 0.0)
    mottle: Range = (0.05, 0.26)
    lean: Range = (-0.35, 0.55)
    edge: Range = (0.08, 0.42)
    uneven: Range = (0.08, 0.46)
    radius: Range = (46, 108)
    cysts: float = 0.07
    lacunae: float = 0.02


_ANY = Look()
_BY_GROUP: Mapping[str, Look] = {
    "MEL": replace(_ANY, mottle=(0.08, 0.3), uneven=(0.1, 0.5)),
    "SK": replace(_ANY, edge=(0.04, 0.22), cysts=0.5),
}
_BY_DIAGNOSIS: Mapping[str, Look] = {
    "basal cell carcinoma": replace(_ANY, melanin=(0.08, 0.65), blood=(0.1, 0.5)),
    "blue nevus": replace(_ANY, blue=(0.1, 0.45)),
    "dermal nevus": replace(_ANY, melanin=(0.2, 0.8)),
    "melanoma metastasis": replace(_ANY, melanin=(0.15, 0.9), blood=(0.1, 0.6)),
    "dermatofibroma": replace(_ANY, melanin=(0.2, 0.7), edge=(0.25, 0.6)),
    "vascular lesion": replace(_ANY, melanin=(0.05, 0.6), blood=(0.4, 1.5), lacunae=0.5),
}


def look_of(group: str, diagnosis: str) -> Look:
    """Return the look of ``diagnosis``, else that of its ``group``, else the common one."""
    return _BY_DIAGNOSIS.get(diagnosis, _BY_GROUP.get(group, _ANY))
