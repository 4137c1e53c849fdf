"""The vocabulary that Derm7pt and the synthetic set share."""

import re

import pytest

from benchmark.errors import UserError
from plugins.datasets.seven_point import (
    CRITERIA,
    CRITICAL,
    DIAGNOSES,
    GROUPS,
    SCORING_VALUES,
    TAXONOMY,
    group_of,
    seven_point_score,
)

PHRASES = [
    pytest.param(criterion.phrases[value], id=f"{criterion.name}={value}")
    for criterion in CRITERIA
    for value in criterion.values
]
NOTHING = {criterion.name: "absent" for criterion in CRITERIA}
# Stems of diagnoses, and words of the metadata columns, that a query text may not leak.
FORBIDDEN = (
    r"nev[ui]|naev|melano|carcinoma|keratos|lentig|fibroma|vascular lesion|miscellaneous|malignan|benign|suspicious"
    r"|excision|follow|examination|\b(low|medium|high|flat|palpable|nodular|male|female|score)\b"
)


def test_criteria_are_those_of_the_protocol_in_its_order():
    assert {criterion.name: criterion.values for criterion in CRITERIA} == {
        "pigment_network": ("absent", "typical", "atypical"),
        "streaks": ("absent", "regular", "irregular"),
        "pigmentation": (
            "absent", "diffuse regular", "diffuse irregular", "localized regular", "localized irregular",
        ),
        "regression_structures": ("absent", "blue areas", "white areas", "combinations"),
        "dots_and_globules": ("absent", "regular", "irregular"),
        "blue_whitish_veil": ("absent", "present"),
        "vascular_structures": (
            "absent", "arborizing", "comma", "hairpin", "within regression", "wreath", "dotted", "linear irregular",
        ),
    }  # fmt: skip
    assert [criterion.weight for criterion in CRITERIA] == [2, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("phrases", PHRASES)
def test_a_value_has_five_paraphrases_that_never_hold_its_canonical_wording(phrases):
    assert len(phrases.paraphrases) >= 5
    assert phrases.canonical
    assert not [text for text in phrases.paraphrases if phrases.canonical.lower() in text.lower()]
    assert all(text[0].islower() and text[-1].isalpha() for text in phrases.paraphrases), "a clause, not a sentence"


def test_no_wording_occurs_for_two_values():
    everything = [
        text
        for criterion in CRITERIA
        for value in criterion.phrases.values()
        for text in (value.canonical, *value.paraphrases)
    ]
    shorthand = [v.terse for criterion in CRITERIA for v in criterion.phrases.values() if v.terse]
    assert len(everything) == len(set(everything))
    assert len(shorthand) == len(set(shorthand))


def test_shorthand_leaves_out_only_absent_findings():
    silent = [(c.name, value) for c in CRITERIA for value in c.values if not c.phrases[value].terse]
    assert {value for _, value in silent} == {"absent"}
    assert ("blue_whitish_veil", "absent") not in silent


@pytest.mark.parametrize("phrases", PHRASES)
def test_no_wording_names_a_diagnosis_or_a_metadata_value(phrases):
    for text in (phrases.canonical, phrases.terse, *phrases.paraphrases):
        assert not re.search(FORBIDDEN, text), text


@pytest.mark.parametrize(
    ("findings", "score"),
    [
        ({}, 0),
        ({"pigment_network": "typical", "dots_and_globules": "regular"}, 0),
        ({"pigment_network": "atypical"}, 2),
        ({"blue_whitish_veil": "present"}, 2),
        ({"vascular_structures": "dotted"}, 2),
        ({"vascular_structures": "linear irregular"}, 2),
        ({"vascular_structures": "within regression", "regression_structures": "white areas"}, 1),
        ({"pigmentation": "diffuse irregular", "streaks": "irregular"}, 2),
        ({"pigmentation": "localized irregular", "dots_and_globules": "irregular"}, 2),
        ({"pigmentation": "diffuse regular", "streaks": "regular", "vascular_structures": "arborizing"}, 0),
        ({"regression_structures": "combinations", "pigment_network": "atypical"}, 3),
    ],
)
def test_majors_count_two_and_minors_one(findings, score):
    assert seven_point_score(NOTHING | findings) == score


def test_the_full_checklist_is_ten_points():
    assert seven_point_score({name: min(values) for name, values in SCORING_VALUES.items()}) == 10


def test_a_missing_criterion_is_an_error():
    with pytest.raises(KeyError, match="streaks"):
        seven_point_score({name: value for name, value in NOTHING.items() if name != "streaks"})


@pytest.mark.parametrize(
    ("diagnosis", "group"),
    [
        ("basal cell carcinoma", "BCC"),
        ("reed or spitz nevus", "NEV"),
        ("melanoma", "MEL"),
        ("melanoma (less than 0.76 mm)", "MEL"),
        ("melanoma metastasis", "MEL"),
        ("melanosis", "MISC"),
        ("vascular lesion", "MISC"),
        ("seborrheic keratosis", "SK"),
    ],
)
def test_diagnoses_fall_into_their_groups(diagnosis, group):
    assert group_of(diagnosis) == TAXONOMY[diagnosis] == group


def test_the_taxonomy_covers_twenty_diagnoses_and_every_group():
    assert len(TAXONOMY) == len(DIAGNOSES) == 20
    assert set(TAXONOMY.values()) == set(GROUPS)
    assert (CRITICAL.group, CRITICAL.lookalike) == ("MEL", "NEV")


def test_an_unknown_diagnosis_is_named_with_the_near_one():
    with pytest.raises(UserError, match=r"'dermatofibrom' is no diagnosis.*Did you mean dermatofibroma\?"):
        group_of("dermatofibrom")
