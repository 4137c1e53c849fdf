"""The robustness page as markdown, and all of its numbers as one long csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan

from benchmark.report.columns import NONE, points, raw, signed_points, yes_or_no
from benchmark.report.formats import csv_text
from benchmark.report.robustness.answers import Identity
from benchmark.report.robustness.numbers import DRAWS, FEW, Estimate, Subgroup
from benchmark.report.robustness.summary import Summary
from benchmark.report.table import task_of
from benchmark.report.wording import SYNTHETIC, spans
from benchmark.tasks import Task

FEW_MARK = "\\*"
MEANING = {
    "paraphrase": "`paraphrase`: wordings that training never saw.",
    "terse": "`terse`: a clinician's shorthand; what is unremarkable is left out.",
    "contradicting": "`contradicting`: one criterion, drawn for each query, is stated with a false value, the others "
    "with their true ones.",
    "none": "`none`: no finding is stated. The text is one neutral word, which may lie far from all texts of training, "
    "so this asks for two things at once: to do without words, and to bear strange ones.",
    "without text": "`without text`: the features of the text are replaced by the mean ones of train.",
    "without image": "`without image`: the features of the picture are replaced by the mean ones of train.",
}
EXCLUDED = (
    "`without ... list ...`: trained and searched without the cases of that list; compared over the queries that are "
    "left in both."
)


def markdown(summary: Summary, stem: str) -> str:
    """Return a whole page, whose figures are called ``stem``-NAME.svg."""
    study = summary.study
    kind = " (synthetic images)" if study.dataset.synthetic else ""
    title = f"# Robustness: {study.dataset.name}{kind}, {study.protocol.task}"
    parts = [title, *([SYNTHETIC] if study.dataset.synthetic else []), _facts(summary), sections(summary, stem)]
    return "\n\n".join(parts) + "\n"


def sections(summary: Summary, stem: str) -> str:
    """Return a section for each question that the stored runs answer, and how it was made."""
    return "\n\n".join(
        [
            *([_curve(summary, stem)] if summary.curves else []),
            *([_changes(summary, stem)] if summary.conditions else []),
            *([_following(summary, stem)] if summary.followings else []),
            *([_subgroups(summary, stem)] if summary.keys else []),
            _how(summary, stem),
        ]
    )


def _facts(summary: Summary) -> str:
    study, answers = summary.study, [summary.canonical_answers(method) for method in summary.methods]
    protocol = study.protocol
    where = (
        "cross-validation over train + valid, the queries of all folds together" if study.cross_validated else "test"
    )
    parts = [
        f"Asked on {where}",
        f"{max(len(one.queries) for one in answers):,} queries",
        f"encoder {', '.join(sorted({one.encoder for one in answers}))}",
        f"seeds {spans(sorted({seed for one in answers for seed in one.seeds}))}",
        f"view {protocol.view}",
        *([f"gallery {protocol.gallery}"] if protocol.gallery != "split" else []),
        *([f"trained on {protocol.trained_on}"] if protocol.trained_on else []),
        *([f"training {protocol.training}"] if protocol.training else []),
    ]
    return " ".join(["; ".join(parts) + ".", *study.notes])


# ------------------------------------------------------------------------------------------------ sections


def _curve(summary: Summary, stem: str) -> str:
    places = sorted({point.stated for points_ in summary.curves.values() for point in points_})
    rows = []
    for method in _shown(summary, summary.curves):
        found = {point.stated: points(float(point.macro.mean())) for point in summary.curves[method]}
        rows.append([summary.study.name(method), *(found.get(place, NONE) for place in places)])
    text = (
        f"Macro mAP where 0 to {summary.study.criteria} criteria are stated, canonically worded; which ones is drawn "
        f"for each query. 0 is the text style `none`, {summary.study.criteria} the canonical text."
    )
    heads = ["method", *map(str, places)]
    return "\n\n".join(
        [
            "## How much is said",
            text,
            f"![Macro mAP by the number of stated criteria]({stem}-curve.svg)",
            _table(heads, rows),
        ]
    )


def _changes(summary: Summary, stem: str) -> str:
    rows = []
    for method in summary.methods:
        found = summary.changes[method]
        cells = [_signed(found[name].difference) if name in found else NONE for name in summary.conditions]
        rows.append([summary.study.name(method), _plain(summary.canonical[method]), *cells])
    lines = [MEANING.get(name, EXCLUDED) for name in summary.conditions]
    text = "Macro mAP, and what each condition adds to it. Nothing is trained anew, unless cases are left out."
    bullets = "\n".join(f"- {line}" for line in dict.fromkeys(lines))
    heads = ["method", "canonical", *summary.conditions]
    parts = [
        "## Asked or searched otherwise",
        text,
        f"![Change of macro mAP by condition]({stem}-changes.svg)",
    ]
    return "\n\n".join([*parts, _table(heads, rows), bullets])


def _following(summary: Summary, stem: str) -> str:
    rows = []
    for method in _shown(summary, summary.followings):
        one = summary.followings[method]
        rows.append(
            [
                summary.study.name(method),
                _signed(one.macro),
                f"{points(one.before[0])} → {points(one.after[0])}",
                _signed(one.stated),
                f"{points(one.before[1])} → {points(one.after[1])}",
                _signed(one.true),
            ]
        )
    queries = max(one.queries for one in summary.followings.values())
    text = (
        f"Under the text `contradicting`, {queries:,} queries state one value falsely. Of the first ten cases, the "
        "share that shows the value that the words state, and the share that shows the value of the query's picture: "
        "under the canonical text, under the contradicting one, and the difference. A ranking that follows the "
        "picture changes neither. Rows that read the words alone, or the picture alone, mark the two ends."
    )
    heads = ["method", "macro mAP", "stated value", "change", "true value", "change"]
    parts = [
        "## Words against picture",
        text,
        f"![What rankings follow where the text is false]({stem}-following.svg)",
        _table(heads, rows),
    ]
    return "\n\n".join(parts)


def _subgroups(summary: Summary, stem: str) -> str:
    name = summary.study.name(_reference_first(summary, summary.subgroups[summary.keys[0]])[0])
    text = (
        "Macro mAP under the canonical text, by metadata that no method sees. A subgroup is averaged over the strata "
        f"({_task(summary).stratum}) that it holds. *All* is the macro mAP of {name} over all queries of "
        f"those strata: a subgroup that lacks a hard one looks easy without being so. {FEW_MARK} fewer than "
        f"{FEW} queries: too few to read from, so without an interval."
    )
    parts = ["## By subgroup", text, f"![Macro mAP by subgroup]({stem}-subgroups.svg)"]
    for key in summary.keys:
        parts += [f"### {label(key)}", _subgroup_table(summary, summary.subgroups[key])]
    return "\n\n".join(parts)


def _subgroup_table(summary: Summary, found: Mapping[Identity, Sequence[Subgroup]]) -> str:
    methods = _reference_first(summary, found)
    by_value = {method: {one.value: one for one in found[method]} for method in methods}
    rows = []
    for one in found[methods[0]]:
        cells = [by_value[method].get(one.value) for method in methods]
        mark = f" {FEW_MARK}" if one.few else ""
        rows.append(
            [f"{one.value}{mark}", f"{one.queries:,}", str(one.strata), points(one.expected)]
            + [_plain(cell.macro) if cell else NONE for cell in cells]
        )
    heads = ["value", "queries", "strata", "all", *(summary.study.name(method) for method in methods)]
    return _table(heads, rows)


def _how(summary: Summary, stem: str) -> str:
    drawn = "references with all of their queries" if _task(summary).unit == "reference" else "queries within a stratum"
    several = any(len(summary.canonical_answers(method).seeds) > 1 for method in summary.methods)
    levels = f"two-level bootstrap ({DRAWS:,} draws), seeds, then {drawn}"
    alone = f"bootstrap ({DRAWS:,} draws) of {drawn}; there is one seed, so what training varies is not in them"
    text = (
        f"Numbers are points. Brackets are 95 % intervals of a {levels if several else alone}; differences are paired "
        "by seed and query. They hold for this gallery, and none is adjusted for the number of comparisons. A group "
        "with few queries in a subgroup adds little spread, so intervals of small subgroups are narrower than they "
        "should be."
    )
    if summary.study.cross_validated:
        text += (
            " Averages are over the queries of all folds together, so they differ a little from a mean over folds, and "
            "an interval over queries and the verdict over folds of an experiment can disagree; the verdict decides."
        )
    return f"## How the intervals were made\n\n{text} All numbers: {stem}-conditions.csv."


# ------------------------------------------------------------------------------------------------ cells


def _task(summary: Summary) -> Task:
    return task_of(summary.study.protocol)


def label(key: str) -> str:
    """Return a key of the metadata as words."""
    return key.replace("_", " ")


def _shown(summary: Summary, found: Mapping[Identity, object]) -> list[Identity]:
    return [method for method in summary.methods if method in found]


def _reference_first(summary: Summary, found: Mapping[Identity, object]) -> list[Identity]:
    return sorted(_shown(summary, found), key=lambda method: method != summary.reference)


def _plain(one: Estimate) -> str:
    interval = "" if isnan(one.low) else f" [{points(one.low)}, {points(one.high)}]"
    return f"{points(one.value)}{interval}"


def _signed(one: Estimate) -> str:
    return f"{signed_points(one.value)} [{signed_points(one.low)}, {signed_points(one.high)}]"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    align = ["left", *(["right"] * (len(heads) - 1))]
    return str(tabulate(cells, heads, tablefmt="pipe", colalign=align, disable_numparse=True))


# ------------------------------------------------------------------------------------------------ csv


HEADER = [
    "section", "method", "encoder", "condition", "key", "value", "metric", "mean", "low", "high", "seeds", "queries",
]  # fmt: skip


def csv(summary: Summary) -> str:
    """Return every number of the page, one a line, shares in [0, 1]."""
    rows = [row for method in summary.methods for row in _rows(summary, method)]
    return csv_text(with_facts(summary, [HEADER, *rows]))


def with_facts(summary: Summary, rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return a header and lines with the data set, and whether it is synthetic, in front."""
    header, *lines = rows
    facts = [summary.study.dataset.name, yes_or_no(summary.study.dataset.synthetic)]
    return [["dataset", "synthetic", *header], *([*facts, *line] for line in lines)]


def _rows(summary: Summary, method: Identity) -> Iterator[list[str]]:
    answers = summary.canonical_answers(method)
    counts = [str(len(answers.seeds)), str(len(answers.queries))]
    yield ["conditions", *method, "canonical", "", "", "macro_map", *_cells(summary.canonical[method]), *counts]
    for name, one in summary.changes[method].items():
        of_both = [str(one.seeds), str(one.queries)]
        yield ["conditions", *method, name, "", "", "macro_map", *_cells(one.macro), *of_both]
        yield ["conditions", *method, name, "", "", "macro_map_change", *_cells(one.difference), *of_both]
    if method in summary.followings:
        found = summary.followings[method]
        for metric, estimate in (("stated_value_10_change", found.stated), ("true_value_10_change", found.true)):
            cells = [*_cells(estimate), counts[0], str(found.queries)]
            yield ["following", *method, "contradicting", "", "", metric, *cells]
    for key in summary.keys:
        for group in summary.subgroups[key].get(method, ()):
            cells = [*_cells(group.macro), counts[0], str(group.queries)]
            yield ["subgroups", *method, "canonical", key, group.value, "macro_map", *cells]


def _cells(one: Estimate) -> list[str]:
    return [raw(one.value), raw(one.low), raw(one.high)]
