"""The keys of a file of steps, and its JSON schema: both refuse the same mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chainlang.errors import ChainlangError, raise_errors
from chainlang.notation import source
from chainlang.pipelines.keys import CONTEXT, INPUT, PIPELINE, STEP
from chainlang.pipelines.read_document import read_document
from chainlang.pipelines.read_yaml import read_yaml
from chainlang.pipelines.schema import json_schema
from tests.cases import Case, each_case
from tests.pipelines.test_reader import plain

Golden = Callable[[Case, str], None]
NOT_IN_THE_SCHEMA = {
    "a dependency twice", "an action and steps", "outputs of an action", "for_each and while",
    "an item without for_each", "max_iterations alone", "max_retries without retry",
    "a model of a group", "parameters of a group", "an output that is no name",
}  # fmt: skip
"""Mistakes between keys, which the schema does not know; the checks do."""


def is_valid(document: Any) -> bool:
    validators = pytest.importorskip("jsonschema")
    return bool(validators.Draft7Validator(json_schema()).is_valid(document))


@each_case("pipelines/keys.cases")
def test_refused_file(case: Case, golden: Golden) -> None:
    text = source(case.text, "x.yaml")
    value = read_yaml(text)
    with pytest.raises(ChainlangError) as raised:
        raise_errors(read_document(value, text)[1])
    golden(case, str(raised.value))
    document = plain(value)
    assert is_valid(document) == (case.name in NOT_IN_THE_SCHEMA)


WHOLE = """
name: whole
version: 1.0.0
description: Each key once.
metadata: {author: someone}
context: {timeout: 60, max_retries: 2, checkpoint_strategy: adaptive, audience: experts}
inputs:
  topic: {type: string, default: bees, description: of the report, choices: [bees, ants]}
  depth: int(1..5)
  note: {type: string, required: false}
use: common.chain
actions: model
model: tiny
steps:
  - id: plan
    action: plan
    description: Plan it.
    metadata: {}
    parameters: {about: "{{ topic }}", n: [1, 2.5, true, null, {a: b}]}
    condition: "{{ depth > 1 }}"
    on_failure: retry
    max_retries: 2
    backoff: 1
    timeout: 30
    model: tiny
    temperature: 0.5
    max_tokens: 100
    system: Be brief.
  - id: search
    tool: web
    action: search
    dependencies: [plan]
    for_each: [a, b]
    item: query
    on_failure: skip
  - id: improve
    until: "{{ steps.judge.output == 'good' }}"
    max_iterations: 2
    steps: [{id: write, action: generate}, {id: judge, action: analyze}]
    outputs: {text: "{{ steps.write.output }}"}
  - id: other
    pipeline: other.yaml
    parameters: {topic: "{{ topic }}"}
outputs:
  text: "{{ steps.improve.text }}"
  n: {value: "{{ depth }}", description: of it}
"""


def test_a_file_with_every_key_is_read() -> None:
    text = source(WHOLE, "x.yaml")
    made, found = read_document(read_yaml(text), text)
    assert not found
    assert [one.id.text for one in made.steps] == ["plan", "search", "improve", "other"]
    assert made.steps[1].action is not None
    assert made.steps[1].action.text == "web_search"
    assert is_valid(plain(read_yaml(text)))
    for keys in (PIPELINE, CONTEXT, INPUT, STEP):
        for name in keys:
            assert f"{name}:" in WHOLE or name in ("while", "required"), name


def test_an_auto_fits_the_schema_where_a_model_may_decide() -> None:
    base: dict[str, Any] = {"id": "a", "action": "generate"}
    auto = "<AUTO>as it needs</AUTO>"
    for name, key in STEP.items():
        document = {"name": "p", "steps": [{**base, name: auto}]}
        if key.kind in ("text", "template", "path", "names"):
            assert is_valid(document)
        else:
            assert is_valid(document) == key.decided, name
    assert is_valid({"name": "p", "steps": [{**base, "parameters": {"style": auto}}]})
