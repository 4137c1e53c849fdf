"""Which stages of a backbone become the two levels, and how maps become tokens.

A network with stages gives the last map of each of its two coarsest strides (16 and 32 for nearly all); a plain vision
transformer gives the patch tokens after two thirds of its depth and after its last block, before the final norm.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

Grids = tuple[tuple[int, int], ...]


def two_thirds(depth: int) -> list[int]:
    """Return the indices of the block at two thirds of the depth and of the last one: 7 and 11 of 12."""
    return [max(0, -(-2 * depth // 3) - 1), depth - 1]


def level_indices(reductions: Sequence[int]) -> list[int]:
    """Return the indices of the two stages to take, given the stride of every stage.

    ``[2, 4, 8, 16, 32]`` gives 3 and 4; twelve times 16, a plain transformer, gives 7 and 11.
    """
    strides = sorted(set(reductions))
    if len(strides) == 1:
        return two_thirds(len(reductions))
    return [max(i for i, stride in enumerate(reductions) if stride == wanted) for wanted in strides[-2:]]


def flatten(maps: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Grids]:
    """Turn maps (b, d, h, w) into tokens (b, h * w, d) in row-major order, and return their grids (h, w)."""
    tokens = tuple(level.flatten(2).transpose(1, 2) for level in maps)
    return tokens, tuple((int(level.shape[2]), int(level.shape[3])) for level in maps)
