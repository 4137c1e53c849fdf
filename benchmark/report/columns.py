"""The columns of a leaderboard: what is shown to people, and the raw numbers of the csv."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.report.exact import EXACT
from benchmark.report.leaderboard import Leaderboard, Line, column_name

NONE = "–"
STALE, NEAR, LABELS = "†", "≈", "‡"
CSV_DECIMALS = 6


@dataclass(frozen=True)
class Column:
    """A heading and how a line's cell is written; ``strong`` says that the best row's cell is set in bold."""

    heading: str
    cell: Callable[[Line], str]
    left: bool = False
    strong: bool = False


def columns(board: Leaderboard) -> list[Column]:
    """Return the columns of the full table, in order."""
    return _cross_validated(board) if board.cross_validated else _on_test(board)


def short_columns(board: Leaderboard) -> list[Column]:
    """Return the columns of the README's table, whose rows share one encoder."""
    several = len({line.numbers["seeds"] for line in board.lines}) > 1
    left_out = {"encoder", "P@1", "P@10", "wins by seed", *([] if several else ["seeds"])}
    return [column for column in _on_test(board) if column.heading not in left_out]


def paper_columns(board: Leaderboard) -> list[Column]:
    """Return the columns of the LaTeX table: what a page of paper is wide enough for."""
    return [column for column in columns(board) if column.heading not in {"P@1", "wins by seed"}]


def _on_test(board: Leaderboard) -> list[Column]:
    missed = [Column(missed_heading(board), _points(board.critical))] if board.critical else []
    return [
        Column("method", marked, left=True),
        Column("encoder", lambda line: line.encoder or NONE, left=True),
        Column("seeds", _count("seeds")),
        Column("macro mAP ± std [95 %]", macro_with_interval, strong=True),
        *_averages(board),
        Column("P@1", _points("p_1")),
        Column("P@10", _points("p_10")),
        *missed,
        Column("composition gap", _signed("composition_gap")),
        Column(difference_heading(board), difference),
        Column(f"p ({board.reference} vs row)", p_value),
        Column("wins by seed", _wins),
        Column("parameters", parameters),
    ]


def _cross_validated(board: Leaderboard) -> list[Column]:
    return [
        Column("method", marked, left=True),
        Column("encoder", lambda line: line.encoder or NONE, left=True),
        Column("seeds", _count("seeds")),
        Column("folds", _count("folds")),
        Column("macro mAP ± SE", _with_error("macro_map", signed=False), strong=True),
        *_averages(board),
        Column("P@10", _points("p_10")),
        Column("composition gap", _signed("composition_gap")),
        Column(f"row minus {board.reference} ± SE", _with_error("row_minus_reference", signed=True)),
        Column("parameters", parameters),
    ]


def _averages(board: Leaderboard) -> list[Column]:
    """Where exact matches count apart, they come next to the lead, and the few strata have a column each; groups, which
    are many, have a picture.
    """
    whole, graded = Column("mAP", _points("map")), Column("nDCG@10", _points("ndcg_10"))
    if not board.table.task.exact:
        return [whole, graded]
    strata = [Column(f"mAP, {name}", _points(column_name(f"AP[{name}]"))) for name in board.table.groups]
    return [graded, Column(EXACT, _points(column_name(EXACT))), *strata]


def difference_heading(board: Leaderboard) -> str:
    """Return e.g. ``proposed minus row [95 %]``."""
    return f"{board.reference} minus row [95 %]"


def missed_heading(board: Leaderboard) -> str:
    """Return e.g. ``missed melanoma@10``."""
    return f"missed {next(iter(board.table.judgments.values())).critical_name}@10"


# ------------------------------------------------------------------------------------------------ cells


def points(share: float) -> str:
    """Return a share as percentage points with one decimal."""
    # Rounded before it is written, so that the last bit of a sum can't decide how a tie such as 8.75 is written.
    return f"{round(100 * share, 9):.1f}".replace("-0.0", "0.0")


def signed_points(share: float) -> str:
    """Return points with their sign and a true minus."""
    text = points(share)
    return text.replace("-", "−") if text.startswith("-") or text == "0.0" else f"+{text}"


def marked(line: Line) -> str:
    """Return the label with its marks."""
    changed = line.row is not None and bool(line.row.changed)
    marks = [(line.near_best, NEAR), (line.kind == "reads labels", LABELS), (changed, STALE)]
    return " ".join([line.label, *(mark for given, mark in marks if given)])


def macro_with_interval(line: Line) -> str:
    """Return ``38.4 ± 0.6 [35.1, 42.0]``; chance has neither deviation nor interval."""
    numbers = line.numbers
    if line.kind == "chance":
        return points(numbers["macro_map"])
    deviation = points(numbers["macro_map_std"]) if "macro_map_std" in numbers else NONE
    interval = f"[{points(numbers['macro_map_low'])}, {points(numbers['macro_map_high'])}]"
    return f"{points(numbers['macro_map'])} ± {deviation} {interval}"


def difference(line: Line) -> str:
    """Return how far the reference is above a row, with the interval: ``+3.6 [+1.9, +5.3]``."""
    name = "reference_minus_row"
    if name not in line.numbers:
        return NONE
    low, high = (signed_points(line.numbers[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{signed_points(line.numbers[name])} [{low}, {high}]"


def p_value(line: Line) -> str:
    """Return the adjusted p with three decimals, or ``<0.001``."""
    if "p_holm" not in line.numbers:
        return NONE
    return "<0.001" if line.numbers["p_holm"] < 0.001 else f"{round(line.numbers['p_holm'], 9):.3f}"


def parameters(line: Line) -> str:
    """Return the number of parameters of a line, where it has any."""
    return parameters_text(int(line.numbers["parameters"])) if "parameters" in line.numbers else NONE


def parameters_text(count: int) -> str:
    """Return a number of parameters as ``1.2M``, ``345k`` or ``512``."""
    if count >= 999_500:
        return f"{count / 1e6:.1f}M"
    return f"{count / 1e3:.0f}k" if count >= 1_000 else str(count)


def _wins(line: Line) -> str:
    return f"{line.numbers['wins']:.0f}/{line.numbers['wins_of']:.0f}" if "wins" in line.numbers else NONE


def _count(name: str) -> Callable[[Line], str]:
    return lambda line: f"{line.numbers[name]:.0f}" if name in line.numbers else NONE


def _points(name: str) -> Callable[[Line], str]:
    return lambda line: points(line.numbers[name]) if name in line.numbers else NONE


def _signed(name: str) -> Callable[[Line], str]:
    return lambda line: signed_points(line.numbers[name]) if name in line.numbers else NONE


def _with_error(name: str, signed: bool) -> Callable[[Line], str]:
    write = signed_points if signed else points

    def cell(line: Line) -> str:
        if name not in line.numbers:
            return NONE
        error = points(line.numbers[f"{name}_se"]) if f"{name}_se" in line.numbers else NONE
        return f"{write(line.numbers[name])} ± {error}"

    return cell


# ------------------------------------------------------------------------------------------------ csv


def raw_rows(board: Leaderboard) -> list[list[str]]:
    """Return header and lines of the csv: plain numbers, shares in [0, 1], empty where a number does not apply."""
    numbers = _numeric(board)
    facts = _facts(board)
    header = [*facts, "method", "name", "encoder", "kind", "modality", "stale", *numbers]
    lines = [
        [*facts.values(), *_identity(line), *(raw(line.numbers.get(name)) for name in numbers)]
        for line in (*board.lines, *board.apart)
    ]
    return [header, *lines]


def _facts(board: Leaderboard) -> dict[str, str]:
    dataset, protocol = board.table.dataset, board.table.protocol
    return {
        "dataset": dataset.name, "synthetic": yes_or_no(dataset.synthetic), "task": protocol.task,
        "evaluate": protocol.evaluate, "gallery": protocol.gallery, "view": protocol.view,
        "text_style": protocol.text_style,
        **{name: getattr(protocol, name) for name in ("queries", "trained_on", "without") if getattr(protocol, name)},
    }  # fmt: skip


def _identity(line: Line) -> list[str]:
    if line.row is None:
        return [line.label, "", "", line.kind, "", ""]
    method = line.row.method
    return [line.label, method.name, line.encoder, line.kind, method.modality, yes_or_no(bool(line.row.changed))]


def _numeric(board: Leaderboard) -> list[str]:
    spread = ["macro_map_se"] if board.cross_validated else ["macro_map_std", "macro_map_low", "macro_map_high"]
    safety = [board.critical, "hard_negatives_10"] if board.critical else []
    groups = [column_name(f"AP[{name}]") for name in board.table.groups]
    exact = [column_name(EXACT)] if board.table.task.exact else []
    metrics = ["map", *exact, "ndcg_10", "p_1", "p_5", "p_10", "recall_10", "hit_10", "mrr"]
    beside = ["reference_minus_row", "reference_minus_row_low", "reference_minus_row_high"]
    tests = [*beside, "p_holm", "p_raw", "p_best", "wins", "wins_of"]
    compared = ["row_minus_reference", "row_minus_reference_se", "folds"] if board.cross_validated else tests
    return ["macro_map", *spread, *metrics, *safety, *groups, "composition_gap", *compared, "seeds", "parameters"]


def raw(value: float | None) -> str:
    """Return a number for a csv, rounded so that it is the same on every machine; empty for none or NaN."""
    if value is None or value != value:
        return ""
    return str(value) if isinstance(value, int) else f"{round(value, CSV_DECIMALS) + 0.0:.{CSV_DECIMALS}f}"


def yes_or_no(value: bool) -> str:
    """Return a truth as a csv has it."""
    return "yes" if value else "no"
