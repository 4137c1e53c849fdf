from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.interfaces import Check, Criterion, CriticalGroup, Phrases
from benchmark.testing import check_dataset
from tests.testing.broken import not_passed, the_failure
from tests.toy import CRITERIA, ToyDataset


def test_a_sound_dataset_passes_every_check() -> None:
    assert not not_passed(check_dataset(ToyDataset))


def test_a_dataset_that_the_user_has_to_bring_needs_its_root() -> None:
    with pytest.raises(UserError, match="Derm7pt needs your own copy"):
        check_dataset("derm7pt")


class NoLicence(ToyDataset):
    licence = ""


class OtherGroups(ToyDataset):
    groups = ("R", "G", "B", "X")


class StrayCritical(ToyDataset):
    critical = CriticalGroup("red", "red", "G")


class StraySubgroup(ToyDataset):
    subgroups = ("site",)


class OneParaphrase(ToyDataset):
    criteria = (
        CRITERIA[0],
        Criterion("spot", ("none", "dark"), 1.0, {v: Phrases(v, v, ("alike",) * 5) for v in ("none", "dark")}),
    )


class NoWeight(ToyDataset):
    criteria = (CRITERIA[0], replace(CRITERIA[1], weight=0.0))


class WordsMissing(ToyDataset):
    criteria = (CRITERIA[0], replace(CRITERIA[1], phrases={"none": CRITERIA[1].phrases["none"]}))


class SmallRegions(ToyDataset):
    def regions(self, case):  # type: ignore[no-untyped-def]
        return {"spot": super().regions(case)["spot"][:8, :8]}


class StrayRegions(ToyDataset):
    def regions(self, case):  # type: ignore[no-untyped-def]
        return {"size": super().regions(case)["spot"]}


class Changed(ToyDataset):
    """Changes the first case of the test split."""

    def cases(self, split):  # type: ignore[no-untyped-def]
        first, *others = super().cases(split)
        return (self.change(first), *others) if split == "test" else (first, *others)


class TwoSplits(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, id="toy-3")


class UnknownDiagnosis(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, diagnosis="violet")


class UnknownValue(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, descriptors={**case.descriptors, "spot": "huge"})


class ForgetsACriterion(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, descriptors={"border": "thin"})


class NoFile(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, images={"dermoscopic": Path("/nowhere/x.png")})


class NoPicture(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        path = case.images["dermoscopic"].with_name("words.png")
        path.write_text("no picture")
        return replace(case, images={"dermoscopic": path})


class OtherView(Changed):
    def change(self, case):  # type: ignore[no-untyped-def]
        return replace(case, images={"radiographic": case.images["dermoscopic"]})


class EmptySplit(ToyDataset):
    def cases(self, split):  # type: ignore[no-untyped-def]
        return () if split == "valid" else super().cases(split)


class NewOrder(ToyDataset):
    made = 0

    def __init__(self, context, options):  # type: ignore[no-untyped-def]
        super().__init__(context, options)
        NewOrder.made += 1
        self.turned = NewOrder.made % 2

    def cases(self, split):  # type: ignore[no-untyped-def]
        return super().cases(split)[:: -1 if self.turned else 1]


class NewFingerprint(ToyDataset):
    def fingerprint(self) -> str:
        return str(id(self))


class Unwell(ToyDataset):
    def verify(self) -> tuple[Check, ...]:
        return (Check("rows", True), Check("pixels", False, "7.png is black; draw it again"))


@pytest.mark.parametrize(
    ("dataset", "check", "words"),
    [
        (NoLicence, "it is constructed", r"NoLicence\.licence is ''"),
        (OtherGroups, "groups, taxonomy and views fit", r"differ: \['X'\]"),
        (StrayCritical, "groups, taxonomy and views fit", r"critical names \['G', 'red'\]"),
        (OneParaphrase, "criteria have values, weights and words", r"'spot', value 'none' has 1 different paraphrases"),
        (NoWeight, "criteria have values, weights and words", r"'spot' has values .* and weight 0\.0"),
        (WordsMissing, "criteria have values, weights and words", r"phrases and values differ: \['dark'\]"),
        (TwoSplits, "splits hold cases and are apart", r"ids of the cases are not unique: 'toy-3'"),
        (EmptySplit, "splits hold cases and are apart", r"cases\('valid'\) is empty"),
        (UnknownDiagnosis, "every case has known labels", r"case toy-200: diagnosis 'violet' is not in the taxonomy"),
        (UnknownValue, "every case has known labels", r"case toy-200: spot = 'huge'"),
        (StraySubgroup, "every case has known labels", r"no case has metadata 'site', which subgroups names"),
        (ForgetsACriterion, "every case has known labels", r"descriptors and criteria differ: \['spot'\]"),
        (NoFile, "every picture is there and opens", r"case toy-200: there is no file /nowhere/x\.png"),
        (NoPicture, "every picture is there and opens", r"words\.png: can't be read as a picture"),
        (OtherView, "every picture is there and opens", r"case toy-200 has pictures of \['radiographic'\]"),
        (NewOrder, "two constructions agree", r"cases\('train'\) differ between two constructions"),
        (NewFingerprint, "two constructions agree", r"fingerprint\(\) differs between two constructions"),
        (SmallRegions, "true regions fit the pictures", r"the region of spot in case toy-0 is bool \(8, 8\)"),
        (StrayRegions, "true regions fit the pictures", r"regions of case toy-0 name \['size'\]"),
        (Unwell, "its own verify finds nothing", r"verify\(\): pixels: 7\.png is black"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_dataset_fails_one_check(dataset: type[ToyDataset], check: str, words: str, tmp_path: Path) -> None:
    failed = the_failure(check_dataset(dataset, cache=tmp_path))
    assert failed.name == check
    assert re.search(words, failed.reason), failed.reason
    assert failed.hint
