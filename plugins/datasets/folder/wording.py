"""Words for the values of a criterion of which nothing but names is known.

No wording guesses singular or plural, and no paraphrase of a plain value holds its canonical wording.
"""

from __future__ import annotations

from collections.abc import Collection

from benchmark.interfaces import Phrases
from plugins.datasets.folder.declaration import Wording

UNKNOWN = "unknown"
"""The value of an empty cell. No text states it."""
UNSTATED = Phrases("", "", ())
ABSENT = frozenset({"absent", "no", "none", "false", "negative", "0"})
PRESENT = frozenset({"present", "yes", "true", "positive", "1"})
LONG, KEPT = 8, 5
"""A word of so many letters is cut to so many in a clinician's shorthand."""


def phrases(name: str, value: str, values: Collection[str], declared: Wording | None = None) -> Phrases:
    """Return the words of ``value`` of the criterion ``name``, which has ``values``: declared ones, else generated."""
    generated = _generated(_plain(name), _plain(value), values)
    if declared is None:
        return generated
    return Phrases(
        declared.canonical or generated.canonical,
        generated.terse if declared.terse is None else declared.terse.strip(),
        declared.paraphrases or generated.paraphrases,
    )


def _generated(name: str, value: str, values: Collection[str]) -> Phrases:
    if value.casefold() == UNKNOWN:
        return UNSTATED
    # 0 and 1 are counts or codes where there are other numbers, too.
    coded = not value.isdigit() or {known for known in values if known != UNKNOWN} <= {"0", "1"}
    if value.casefold() in ABSENT and coded:
        return _absent(name)
    if value.casefold() in PRESENT and coded:
        return _present(name)
    return _valued(name, value)


def _absent(name: str) -> Phrases:
    return Phrases(
        f"no {name}",
        "",
        (
            f"lacks {name}",
            f"{name} cannot be seen",
            f"without {name}",
            f"{name} cannot be made out",
            f"one looks for {name} in vain",
        ),
    )


def _present(name: str) -> Phrases:
    return Phrases(
        f"{name} present",
        f"{_short(name)} +",
        (f"shows {name}", f"{name} can be seen", f"with {name}", f"{name} can be made out", f"one finds {name}"),
    )


def _valued(name: str, value: str) -> Phrases:
    if name.casefold() in value.casefold():
        joined = value
    else:
        joined = f"{name} {value}" if value[0].isdigit() else f"{value} {name}"
    return Phrases(
        joined,
        _short(joined),
        (
            f"{name}: {value}",
            f"{value}, as to {name}",
            f"{name} described as {value}",
            f"regarding {name}, one notes {value}",
            f"{value} is what is seen of {name}",
        ),
    )


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").split())


def _short(text: str) -> str:
    return " ".join(f"{word[:KEPT]}." if len(word) >= LONG else word for word in text.split())
