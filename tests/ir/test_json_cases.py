"""JSON documents from elsewhere: what they are read as, and what is said of the wrong ones."""

from __future__ import annotations

from collections.abc import Callable

from chainlang import Chain, ChainlangError
from chainlang.errors import ERRORS
from tests.cases import Case, each_case


@each_case("json/*.cases")
def test_document(case: Case, golden: Callable[[Case, str], None]) -> None:
    try:
        result = str(Chain.from_json(case.text)).rstrip("\n")
    except ChainlangError as error:
        result = str(error) if type(error) is ERRORS[error.diagnostics[0].code] else repr(error)
    golden(case, result)
