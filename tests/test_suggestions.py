"""Suggestions: which names are near, what is listed where none is, and that hints are true."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chainlang import chain, load
from chainlang.diagnostics import other_names
from chainlang.diagnostics.suggest import LISTED, nearest, suggest, unknown
from chainlang.ir.builtins import COMBINATORS, OP_SETTINGS, STAGE_TYPES
from chainlang.ir.model_settings import ENGINES, PERMISSIONS
from chainlang.ir.sampling_options import DRAWS
from chainlang.settings import MapSettings, RunSettings

FIELDS = ("count", "model", "temperature")
SETTINGS = MapSettings.names() | RunSettings.names()
TABLES = [
    *((*one.options, *FIELDS) for one in STAGE_TYPES.values()),
    *(tuple(one.options) for one in COMBINATORS.values()),
    *map(tuple, ENGINES.values()),
    tuple(OP_SETTINGS),
    tuple(SETTINGS),
]
NAMES = st.text("abcdefghij_", min_size=5, max_size=12)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("max_token", ["max_tokens", "min_tokens"], ["max_tokens"]),
        ("maxTokens", ["max_tokens"], ["max_tokens"]),
        ("tokens_max", ["max_tokens"], ["max_tokens"]),
        ("MAX_TOKENS", ["max_tokens"], ["max_tokens"]),
        ("penalty", ["frequency_penalty", "presence_penalty"], None),
        ("temprature", ["temperature"], ["temperature"]),
        ("retyr", ["retry", "route"], ["retry"]),
        ("clasify", ["classify"], ["classify"]),
        ("etxt", ["text"], ["text"]),
        ("texts", ["text", "lang"], ["text"]),
        ("lowercase", ["lower", "upper"], ["lower"]),
        ("sys", ["system", "user"], ["system"]),
        # Near in letters, and not in meaning.
        ("seed", ["need", "stop"], []),
        ("good", ["Mood"], []),
        ("EE", ["E", "J"], []),
        ("X", ["E", "J"], []),
        ("filter", ["float", "first"], []),
        ("colour", ["count", "model"], []),
        ("a" * 1000, ["a" * 999], ["a" * 999]),  # the beginning of the other
        ("b" + "a" * 1000, ["c" + "a" * 1000], []),  # too long to be compared by its letters
    ],
)
def test_nearness(name: str, known: list[str], near: list[str] | None) -> None:
    assert nearest(name, known) == (known if near is None else near)


@given(NAMES, st.data())
def test_a_name_with_two_letters_swapped_is_found(name: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 2))
    swapped = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    assert nearest(swapped, [name]) == [name]


@pytest.mark.slow
@given(NAMES, NAMES)
def test_names_without_a_letter_in_common_are_not_near(name: str, other: str) -> None:
    assume(set(name).isdisjoint(other))
    assert nearest(name, [other]) == []


@given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=15))
def test_a_finding_lists_what_there_is(name: str, known: list[str]) -> None:
    found = unknown("name", name, known)
    assert (found.subject, found.known) == (name, tuple(known))
    assert set(nearest(name, known)) <= set(known)
    if found.hint is None:
        assert not known
    elif not nearest(name, known):
        assert all(one in found.hint for one in list(dict.fromkeys(known))[:LISTED])


def test_a_long_list_is_cut() -> None:
    hint = suggest("x", [f"name{index}" for index in range(12)])
    assert hint is not None
    assert hint.endswith("name9 and 2 others")


def test_other_names_stand_for_names_that_there_are() -> None:
    ours = {name for table in TABLES for name in table}
    assert other_names.OTHERS.keys() <= ours


@pytest.mark.parametrize(("ours", "others"), other_names.OTHERS.items())
def test_a_name_of_another_library_is_suggested(ours: str, others: str) -> None:
    for table in TABLES:
        for other in others.split():
            if ours in table and other not in table:
                hint = other_names.meant_by(other, table)
                assert hint is not None
                assert f"'{ours}'" in hint


@pytest.mark.parametrize("name", other_names.ELSEWHERE)
def test_an_example_of_a_hint_is_right(name: str) -> None:
    example = other_names.ELSEWHERE[name].partition(": ")[2]
    if example.startswith("model m = "):
        load(text=f"{example}\nmain = E:m", allow=PERMISSIONS)
    elif example.startswith("qa(..., "):
        assert example[len("qa(..., ") :].partition("=")[0] in SETTINGS
    elif example.startswith("op("):
        assert set(re.findall(r"(\w+)=", example)) <= {*OP_SETTINGS, "returns"}
    elif example:
        chain(example).bind(**{"clean": str} if "@" in example else {}).check()


def test_settings_of_a_run_are_no_options_of_a_stage() -> None:
    for name in ("seed", "cache", "engine"):
        assert name in SETTINGS
        assert name not in DRAWS
