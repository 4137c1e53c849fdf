"""The errors that reach a user as sentences instead of tracebacks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user asked for or supplied. Nothing ran; the exit status is 2.

    The message says what was wrong, where, and what to do next.
    """


class PluginError(Exception):
    """A defect in a plugin. The message names the owner and its file and line; other plugins are unaffected."""


def near_misses(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean X? Available: ..." for an unknown ``name``."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{hint}Available: {', '.join(names) if names else 'none'}."
