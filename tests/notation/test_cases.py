"""Expressions and files as text: what they are read as, and what is said of the wrong ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from chainlang import Chain, ChainlangError, ChainlangWarning, chain, load
from chainlang.errors import ERRORS
from chainlang.notation import unparse
from chainlang.notation.files import read_source
from chainlang.notation.format import format_text
from tests.cases import Case, each_case

Golden = Callable[[Case, str], None]


def read(make: Callable[[], Chain]) -> tuple[Chain, list[str]]:
    """Return a chain and the warnings that making it earned."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = make()
    return made, [str(one.message).strip("\n") for one in caught]


def refused(make: Callable[[], object]) -> str:
    """Return the error that making something raises, as its reader sees it."""
    with pytest.raises(ChainlangError) as raised:
        make()
    assert type(raised.value) is ERRORS[raised.value.diagnostics[0].code]
    return str(raised.value)


@each_case("expressions/valid/*.cases")
def test_valid_expression(case: Case, golden: Golden) -> None:
    made, warned = read(lambda: chain(case.text))
    assert not warned
    canonical, call = unparse(made.body), unparse(made.body, "call")
    golden(case, canonical if canonical == call else f"{canonical}\n{call}")
    assert chain(canonical) == made
    assert chain(call) == made


@each_case("expressions/lints/*.cases")
def test_lint(case: Case, golden: Golden) -> None:
    made, warned = read(lambda: chain(case.text))
    assert warned
    golden(case, "\n\n".join([str(made), *warned]))


@each_case("expressions/invalid/*.cases")
def test_invalid_expression(case: Case, golden: Golden) -> None:
    golden(case, refused(lambda: chain(case.text)))


@each_case("files/valid/*.cases")
def test_valid_file(
    case: Case, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = case.files(Path())
    made, warned = read(lambda: load(path))
    formatted = format_text(read_source(path))
    golden(case, "\n\n".join([formatted.rstrip("\n"), *warned]))
    assert format_text(formatted) == formatted
    path.write_text(formatted)
    assert read(lambda: load(path))[0] == made


@each_case("files/invalid/*.cases")
def test_invalid_file(
    case: Case, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    path = case.files(Path())
    golden(case, refused(lambda: load(path)))
