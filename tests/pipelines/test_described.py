"""Pipelines as Orchestrator's design describes them: each loads as it stands, and runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import chainlang
from chainlang import Chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.notation.format import format_text
from chainlang.notation.unparse import unparse_file
from tests.cases import Case, each_case

Golden = Callable[[Case, str], None]
ROW = dict.fromkeys(
    ("topic", "github_pr_url", "data_source", "raw_data", "prediction_task"), "bees"
)


@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")
@each_case("pipelines/described.cases")
def test_a_pipeline_of_the_design(case: Case, golden: Golden) -> None:
    made = load(text=case.text, format="yaml", actions="model")
    text = unparse_file(made.file)
    golden(case, format_text(text).rstrip("\n"))
    assert load(text=text) == made
    assert eval(repr(made), vars(chainlang)) == made  # what `repr` wrote
    assert Chain.from_json(made.to_json()) == made
    result = made(ROW, engine=FakeEngine())
    assert result.ok
    assert case.text.count("- id:") == len(
        [one for one in result.history if f"id: {one}" in case.text]
    )
