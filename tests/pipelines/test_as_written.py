"""Pipelines as people write them: they load, or are refused with the right word."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from chainlang import ChainlangError, ChainlangWarning, load
from chainlang.notation.format import format_text
from chainlang.notation.unparse import unparse_file
from tests.cases import Case, each_case

Golden = Callable[[Case, str], None]


def web_search(query: str, rank: int = 0) -> dict[str, object]:
    return {"results": [query], "rank": rank}


def filesystem_read(path: str) -> str:
    return path


def filesystem_write(path: str, content: str) -> str:
    return path + content


FUNCTIONS = {one.__name__: one for one in (web_search, filesystem_read, filesystem_write)}


@each_case("pipelines/as_written.cases")
def test_a_pipeline_as_people_write_it(case: Case, golden: Golden) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        try:
            made = load(text=case.text, format="yaml", functions=FUNCTIONS)
        except ChainlangError as error:
            golden(case, str(error))
            return
    said = [str(one.message).strip("\n") for one in caught]
    golden(case, "\n\n".join([format_text(unparse_file(made.file)).rstrip("\n"), *said]))
    assert load(text=unparse_file(made.file)) == made
