"""The folder dataset: ``cases.csv``, pictures and an optional ``dataset.toml`` of a user's own.

``cases.csv`` has the columns ``id``, ``image``, ``diagnosis``, optionally ``image2`` (a second view) and ``split``
(train, valid or test). Every other column is a criterion that a query's text may state, unless it has more than twenty
values or only one, or ``dataset.toml`` calls it metadata. Paths are relative to the folder and stay in it. An empty
cell of a criterion is the value ``unknown``, which no text states; an empty cell of a view after the first leaves the
case out of that view. ``dataset.toml`` is described in declaration.py.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel

from benchmark.errors import UserError
from benchmark.files import hash_files, sha256
from benchmark.interfaces import Case, Check, Criterion, CriticalGroup, Dataset, DatasetContext, Split
from plugins.datasets.folder import declaration
from plugins.datasets.folder.contents import FILE, SPLITS, Contents, blank_views, read_contents
from plugins.datasets.folder.declaration import read_declaration
from plugins.datasets.folder.splits import assign_splits
from plugins.datasets.folder.vocabulary import Vocabulary, read_vocabulary, telling, value_of
from plugins.datasets.tables import Problem, Row, check, counted, undecodable

SHOWN = 10
LAYOUT = f"It holds {FILE}, with the columns id, image and diagnosis, and the pictures."
GIVE = "pass --root DIR, or set DERMCIR_FOLDER; after --train and --test write folder:DIR"
ADVICE = "Put this right; `python -m benchmark data verify folder --root DIR` then checks everything again."


class FolderDataset(Dataset):
    """The user's own cases. A case's id is that of its row.

    Raises:
        UserError: no root was given, it holds no ``cases.csv``, or ``dataset.toml`` is wrong. What is wrong with
            ``cases.csv`` and the pictures is refused on first use, and reported by ``verify`` check by check.
    """

    root_variable = "DERMCIR_FOLDER"

    def __init__(self, context: DatasetContext, options: BaseModel):
        super().__init__(context, options)
        self.root = find_root(context.root)
        self.declared = read_declaration(self.root)
        self.label = self.declared.name or plain_name(self.root)
        self.views = self._contents.views
        self.name, self.synthetic = self.label, self.declared.synthetic
        self.licence, self.citation = self.declared.licence, self.declared.citation

    @cached_property
    def _contents(self) -> Contents:
        return read_contents(self.root, self.declared)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return read_vocabulary(self._contents, self.declared)

    @cached_property
    def _splits(self) -> tuple[list[Split], list[Problem]]:
        if self._wrong_labels:  # sizes are counted where it is known what belongs where
            return [], []
        groups = [self._vocabulary.taxonomy[row.cells["diagnosis"]] for row in self._contents.rows]
        return assign_splits(self._contents.rows, groups)

    @property
    def _wrong_labels(self) -> list[Problem]:
        contents = [problem for problem in self._contents.problems if problem.check != "images"]
        return contents + self._vocabulary.problems

    @cached_property
    def _problems(self) -> list[Problem]:
        return [*self._contents.problems, *self._vocabulary.problems, *self._splits[1]]

    def _sound(self) -> Vocabulary:
        if problems := self._problems or self._copies:
            raise UserError(f"The folder {self.root}: {listing(problems)}\n{ADVICE}")
        return self._vocabulary

    @cached_property
    def _copies(self) -> list[Problem]:
        return self._same_pictures(set())

    @cached_property
    def taxonomy(self) -> dict[str, str]:  # type: ignore[override]
        """Fine diagnosis -> group."""
        return dict(self._sound().taxonomy)

    @cached_property
    def groups(self) -> tuple[str, ...]:  # type: ignore[override]
        """The groups as declared, else the diagnoses in alphabetical order."""
        return self._sound().groups

    @cached_property
    def criteria(self) -> tuple[Criterion, ...]:  # type: ignore[override]
        """The criteria in the order of their columns."""
        return self._sound().criteria

    @cached_property
    def critical(self) -> CriticalGroup | None:  # type: ignore[override]
        """The declared group that must not be missed."""
        return self._sound().critical

    def cases(self, split: Split) -> tuple[Case, ...]:
        """Return the cases of ``split`` in the order of the file; ``UserError`` names all that is wrong."""
        self._sound()
        rows = zip(self._contents.rows, self._splits[0], strict=True)
        return tuple(self._case(row) for row, chosen in rows if chosen == split)

    def _case(self, row: Row) -> Case:
        missing = blank_views(row, self.views)
        return Case(
            id=row.cells["id"],
            images={view: self.root / row.cells[view] for view in self.views if view not in missing},
            diagnosis=row.cells["diagnosis"],
            descriptors={criterion.name: value_of(row, criterion.name) for criterion in self.criteria},
            metadata={name: row.cells[name] for name in self._vocabulary.metadata},
        )

    def unusable(self, case: Case, view: str) -> str | None:
        """Return that the case has no picture of ``view`` where its cell is empty, else None."""
        return None if view in case.images else f"no picture in column {view} of {FILE}"

    def fingerprint(self) -> str:
        """Return the SHA-256 over ``cases.csv``, ``dataset.toml`` and the path and hash of each picture."""
        self._sound()
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        files = [path for path in (self.root / FILE, self.root / declaration.FILE) if path.exists()]
        lines = [f"{sha256(path)} {path.name}" for path in files]
        paths, folder = list(self._contents.images), self.root.resolve()
        hashes = zip(paths, hash_files(paths), strict=True)
        lines += sorted(f"{digest} {path.relative_to(folder)}" for path, digest in hashes)
        return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()

    def verify(self) -> tuple[Check, ...]:
        """Check the table, the vocabulary, the splits and every picture (decoded in full); say what was inferred."""
        rows, problems = self._contents.rows, list(self._problems)
        columns = check("table", problems, f"{len(rows):,} cases; views {', '.join(self.views)}", listing)
        if not rows:
            return columns, Check("everything else", False, f"not checked: no rows could be read from {self.root}")
        broken = list(undecodable(self._contents.images))
        problems += [*broken, *self._same_pictures({problem.place for problem in broken})]
        return (
            columns,
            check("vocabulary", problems, self._found_vocabulary(), listing),
            self._check_splits(problems),
            check("images", problems, f"{len(self._contents.images):,} files, all decoded, no two alike", listing),
            *([] if self._wrong_labels else [Check("texts", True, self._found_telling())]),
        )

    def _same_pictures(self, broken: set[str]) -> list[Problem]:
        """Return the pictures with the very bytes of another one; broken ones, named by place, may be unreadable."""
        sound = {path: place for path, place in self._contents.images.items() if place not in broken}
        first: dict[str, str] = {}
        found = []
        for place, digest in zip(sound.values(), hash_files(list(sound)), strict=True):
            if digest in first:
                found.append(Problem("images", place, f"the same picture as {first[digest]}: leave one out"))
            first.setdefault(digest, place)
        return found

    def _found_vocabulary(self) -> str:
        vocabulary = self._vocabulary
        criteria = [f"{criterion.name} ({', '.join(criterion.values)})" for criterion in vocabulary.criteria]
        metadata = [f"{name} ({why})" for name, why in vocabulary.metadata.items()]
        alone = " (one group: every candidate is relevant to every query)" if len(vocabulary.groups) == 1 else ""
        return (
            f"groups {', '.join(vocabulary.groups)}{alone}; criteria {', '.join(criteria) or 'none'}; "
            f"metadata, in no text: {', '.join(metadata) or 'none'}"
        )

    def _check_splits(self, problems: Sequence[Problem]) -> Check:
        if not self._wrong_labels:
            return check("splits", problems, self._found_splits(), listing)
        found = check("splits", problems, "", listing)
        return Check("splits", False, "not counted before the labels are right") if found.passed else found

    def _found_splits(self) -> str:
        sizes = "/".join(str(Counter(self._splits[0])[split]) for split in SPLITS)
        drawn = "split" not in self._contents.columns
        how = "drawn by id, 40/20/40 of each group, since there is no column split" if drawn else "from column split"
        groups = [self._vocabulary.taxonomy[row.cells["diagnosis"]] for row in self._contents.rows]
        present = set(zip(self._splits[0], groups, strict=True))
        absent = [f"{g} in {s}" for s in SPLITS for g in self._vocabulary.groups if (s, g) not in present]
        return f"{sizes} cases in train, valid and test, {how}{'; no case of ' if absent else ''}{', '.join(absent)}"

    def _found_telling(self) -> str:
        vocabulary = self._vocabulary
        found = [c.name for c in vocabulary.criteria if telling(c, self._contents.rows, vocabulary.taxonomy)]
        if not found:
            return "no criterion follows from the group, nor the group from one"
        return (
            f"look at {', '.join(found)}: one value in each group, or each value in one group alone. If it was derived "
            "from the diagnosis or is known after it, such as a treatment, a query's text gives the answer away; then "
            f"name it under metadata in {declaration.FILE}"
        )


def listing(problems: Sequence[Problem]) -> str:
    """Return how many problems there are, and the first of them, one a line."""
    places = [f"{problem.place}: {problem.message}" for problem in problems[:SHOWN]]
    ended = "".join(f"\n  {place}{'' if place.endswith(('.', '?')) else '.'}" for place in places)
    return f"{counted(problems, SHOWN)}:{ended}"


def plain_name(root: Path) -> str:
    """Return the name of a folder in characters that a table's label may have."""
    return re.sub(r"[^\w .-]+", "-", root.resolve().name) or "cases"


def find_root(root: Path | None) -> Path:
    """Return the folder that holds ``cases.csv``; ``UserError`` says what to give or to write."""
    if root is None:
        raise UserError(f"Dataset folder needs a folder of yours: {GIVE}. {LAYOUT}")
    root = root.expanduser()
    if os.path.isfile(root / FILE):  # False for a folder that can't be entered, where pathlib raises
        return root
    if not os.path.isdir(root):
        raise UserError(f"There is no folder {root}: {GIVE}. {LAYOUT}")
    tables = sorted(path.name for path in root.glob("*.csv"))
    below = next((path.parent for path in sorted(root.glob(f"*/{FILE}"))), None)
    other = [name for name in tables if os.path.isfile(root / name)]
    hint = f" Did you mean {below}?" if below else f" Is it {other[0]}? Then rename it." if other else ""
    raise UserError(f"No {FILE} in {root}.{hint} {LAYOUT}")
