"""The errors that reach a user as sentences instead of tracebacks."""

from __future__ import annotations

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


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


def describe(error: BaseException) -> str:
    """Describe an exception in a sentence with a file and line: the last that is neither a library's nor the harness's,
    since that is where an author can mend it. Notes on the exception follow.
    """
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    text = f"{type(error).__name__}: {error}".rstrip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    home = Path(__file__).parent
    others = (sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"], str(home), "<")
    own = [frame for frame in frames if not frame.filename.startswith(others)]
    # The registry only hands on what a plugin's import raised: its own lines tell an author nothing.
    places = [frame for frame in own or frames if frame.filename != str(home / "registry.py")]
    place = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return ". ".join([text + place, *getattr(error, "__notes__", [])])
