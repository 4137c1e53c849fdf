"""Whether a module leaves tensors behind when it moves to another device, found out on a machine that has only one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmark.testing.steps import NotApplicable

DEVICES = "make tensors with device=x.device or x.new_zeros(...), and register constants with register_buffer"
ELSEWHERE = "is not on the expected device"
"""What torch says where tensors of two devices meet."""
TRIED = "tried on torch's meta device"


@contextmanager
def on_meta() -> Iterator[None]:
    """Run code on torch's meta device, which has shapes and no values: where a tensor is elsewhere, torch says so.

    Raises:
        NotApplicable: the code asks for values, which that device does not have.
    """
    try:
        yield
    except RuntimeError as error:
        if ELSEWHERE in str(error):
            raise
        raise NotApplicable(f"without values torch can't follow it: {error}".split("\n")[0][:200]) from error
