"""Votes: which answers are equal, what is extracted from them, and which spelling is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import E, M, chain, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.semantics.answer_forms import extracted
from chainlang.semantics.record import Candidate
from chainlang.semantics.stopping_rules import agree
from chainlang.semantics.voting import Counting, canonical_answer, still_needed, vote
from tests.laws import law


def voted(answers: list[Any], **options: Any) -> tuple[Any, dict[str, int]]:
    """Return the winner of a vote over answers, and its votes."""
    winner = vote([Candidate(one) for one in answers], Counting(**options))
    return winner.answer, winner.fields["votes"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("-0", "0"),
        ("0", "-0.00"),
        ("1,234", "1234"),
        ("1,234,567.50", "1234567.5"),
        ("1e3", "1000"),
        (".5", "0.50"),
        ("+7", "007"),
        ("\N{MINUS SIGN}5", "-5.0"),
        ("42", 42),
        (42.0, "42"),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_equal_numbers_are_equal_votes(one: object, other: object) -> None:
    assert canonical_answer(one, "number") == canonical_answer(other, "number")
    assert agree([Candidate(one), Candidate(other)], Counting(normalize="number"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3,14", "314"),
        ("3,14", "3.14"),
        ("0,123", "123"),
        ("1,2345", "12345"),
        ("1_000", "1000"),
        ("5 %", "5"),
        ("$5", "5"),
        ("0.1", "0.10000000000000000001"),
        ("9007199254740993", "9007199254740992"),
        ("1e400", "1e401"),
        (True, 1),
        ("nan", "inf"),
    ],
)
def test_numbers_are_never_guessed(one: object, other: object) -> None:
    assert canonical_answer(one, "number") != canonical_answer(other, "number")


@law(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 6))
def test_a_number_has_one_key_in_all_its_spellings(number: Decimal, zeros: int) -> None:
    key = canonical_answer(str(number), "number")
    plain = f"{number:f}"
    padded = plain + ("" if "." in plain else "." if zeros else "") + "0" * zeros
    assert canonical_answer(padded, "number") == key
    assert canonical_answer(f"{number:e}", "number") == key
    assert canonical_answer(key, "number") == key
    assert Decimal(key) == number


@law(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.decimals(places=3))
def test_numbers_have_one_key_exactly_if_they_are_equal(one: Decimal, other: Decimal) -> None:
    if not other.is_finite():
        return
    keys = [canonical_answer(str(number), "number") for number in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


def test_the_answer_is_the_first_spelling_of_the_winner() -> None:
    assert voted(["1,000", "7", "1000.0"], normalize="number") == ("1,000", {"1000": 2, "7": 1})
    assert voted([" The cat!", "dog", "cat"], normalize="text") == (
        " The cat!",
        {'"cat"': 2, '"dog"': 1},
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("“Paris”", "paris"),
        ("Straße", "STRASSE"),
        ("ﬁve", "Five"),
        ("an  apple\n", "apple"),
        ("A", "a."),
    ],
)
def test_texts_are_compared_as_squad_does(one: str, other: str) -> None:
    assert canonical_answer(one, "text") == canonical_answer(other, "text")


def test_choices_that_are_articles_or_punctuation_stay_apart() -> None:
    keys = {canonical_answer(one, "text") for one in ("A", "B", "the", "?", "!", "")}
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 1.0), (0.0, -0.0), ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}), (10**22, 1e22)],
)
def test_equal_values_are_equal_votes(one: object, other: object) -> None:
    assert one == other
    assert canonical_answer(one) == canonical_answer(other)


def test_truth_is_no_number() -> None:
    assert canonical_answer(True) != canonical_answer(1)


def test_extract_takes_the_last_match() -> None:
    texts = ["17 + 25 is 42.", "it is 42", "41?", "no idea"]
    assert voted(texts, extract="[0-9]+") == ("42", {'"42"': 2, '"41"': 1, "null": 1})
    boxed = [r"so \boxed{1,000}", r"\boxed{7} or \boxed{1000}"]
    answer, votes = voted(boxed, extract=r"\\boxed\{([^}]*)\}", normalize="number")
    assert (answer, votes) == ("1,000", {"1000": 2})


def test_extract_reads_any_text_in_linear_time() -> None:
    assert extracted("b.", "a\ud800b\ud800") == "b\ud800"
    assert extracted("(a+)+$", "a" * 20_000 + "b") is None
    assert extracted("é(.)", "éx éy") == "y"
    assert extracted("(a)|b", "b") is None


@pytest.mark.parametrize("pattern", ["(a", "(?=a)", r"\1", "a{2000}", "\ud800"])
def test_an_invalid_pattern_is_refused_where_it_is_written(pattern: str) -> None:
    with pytest.raises(ChainlangError, match="invalid pattern"):
        M(extract=pattern)


def test_votes_that_stop_early_count_what_is_extracted() -> None:
    replies = ["I say 4", "so 4.0", "it is 4,000", "4", "5", "5"]
    engine = FakeEngine(answers={"": replies})
    qa = E("tiny", 6) >> M(extract=r"[0-9.,]+", normalize="number")
    whole, fewer = qa("q", engine=engine), qa("q", engine=engine, outputs=["answer"])
    assert whole.answer == fewer.answer == "4"
    assert fewer.usage.calls < whole.usage.calls
    found = [Candidate(one) for one in ("a 1", "b 1.0", "1")]
    assert still_needed(found, 2) > 0
    assert still_needed(found, 2, Counting(normalize="number", extract="[0-9.]+")) == 0


def test_extract_and_normalize_are_options_in_text_and_python() -> None:
    assert chain(r'M(extract=r"(\d+)", normalize="text")') == M(extract=r"(\d+)", normalize="text")
    review = op("review", user="{{ query }}", returns="{ total: str, answer: str }")
    engine = FakeEngine(answers={"": [f'{{"total": "is {n}", "answer": "x"}}' for n in "112"]})
    assert (review("m", 3, 0.7) >> M(by="total", extract="[0-9]"))("q", engine=engine).answer == "1"
