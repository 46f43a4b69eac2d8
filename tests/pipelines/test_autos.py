"""`<AUTO>` in files of steps: decided before the first row, or in the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, load
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request
from chainlang.session.decide import decided_text, is_open
from chainlang.session.named_models import with_models
from chainlang.settings import MapSettings

HEAD = "name: p\nversion: 1.0.0\nsteps:\n"
RESEARCH = """name: research_report_pipeline
version: 1.0.0
description: Generate a comprehensive research report on a given topic
steps:
  - id: topic_analysis
    action: analyze
    parameters:
      input: "{{ topic }}"
      analysis_type: <AUTO>Determine the best analysis approach for this topic</AUTO>
      output_format: <AUTO>Choose appropriate format: bullet_points, narrative, or structured</AUTO>
  - id: research_planning
    action: plan
    parameters:
      topic_analysis: "{{ steps.topic_analysis.output }}"
      research_depth: <AUTO>Based on topic complexity, choose: shallow, medium, or deep</AUTO>
      sources: <AUTO>Determine number and types of sources needed</AUTO>
    dependencies: [topic_analysis]
"""


def made(step: str) -> Chain:
    return load(text=HEAD + step, format="yaml")


class Asked:
    """A fake engine with the replies to decisions, and the prompts of all else."""

    def __init__(self, **said: str) -> None:
        self.said, self.prompts = said, list[tuple[str, float, str]]()
        self.decided = 0
        self.engine = FakeEngine(answers=self.answers)

    def answers(self, request: Request, index: int) -> str | None:
        text = request.messages[-1].text
        if "has to be decided" in text:
            self.decided += 1
            found = (value for key, value in self.said.items() if f"{key}\n" in text)
            return next(found, None)
        self.prompts.append((request.model, request.sampling.temperature, text))
        return None


def test_the_pipeline_of_the_description_is_decided_and_runs(tmp_path: Path) -> None:
    file = tmp_path / "research.yaml"
    file.write_text(RESEARCH, encoding="utf-8")
    chain, asked = load(file), Asked()
    assert is_open(chain.program())
    chain.run([{"topic": "cats"}], tmp_path / "out", engine=asked.engine)
    assert "input: cats" in asked.prompts[0][2]
    assert asked.decided == 6  # two values that are listed, and two with a format each
    chain.run([{"topic": "cats"}, {"topic": "dogs"}], tmp_path / "out", engine=asked.engine)
    assert asked.decided == 6
    assert len(asked.prompts) == 4


def test_the_resolved_file_is_the_chain_with_the_values(tmp_path: Path) -> None:
    file, resolved = tmp_path / "open.yaml", tmp_path / "resolved.yaml"
    file.write_text(RESEARCH, encoding="utf-8")
    chain, asked = load(file), Asked()
    settings = MapSettings.of({"engine": asked.engine})
    resolved.write_text(decided_text(chain.program(), settings, with_models), encoding="utf-8")
    again = load(resolved)
    assert not is_open(again.program())
    rows = [{"topic": "cats"}]
    one, two = ([*it.map(rows, engine=asked.engine)] for it in (chain, again))
    assert asked.prompts[: len(asked.prompts) // 2] == asked.prompts[len(asked.prompts) // 2 :]
    assert [it.answer for it in one] == [it.answer for it in two]
    assert '"{{ topic }}"' in resolved.read_text(encoding="utf-8")  # the rest is as it was


def test_what_reads_the_row_is_decided_in_the_row() -> None:
    chain = made("""
  - id: a
    action: generate
    parameters:
      prompt: "{{ topic }}"
  - id: b
    action: generate
    parameters:
      prompt: go
      depth: <AUTO type="integer" min="1" max="5">How deep is {{ steps.a.output }}?</AUTO>
      tone: <AUTO>choose the tone for {{ topic }}: dry, or warm</AUTO>
""")
    assert not is_open(chain.program())
    asked = Asked()
    results = list(chain.map([{"topic": "cats"}, {"topic": "{{ dogs }}"}], engine=asked.engine))
    assert all(one.ok for one in results)
    assert asked.decided == 4
    last = [text for _, _, text in asked.prompts if "depth:" in text]
    assert all("tone: dry" in one or "tone: warm" in one for one in last)


def test_settings_of_a_step_are_decided() -> None:
    chain = made("""
  - id: a
    action: generate
    model: <AUTO>choose the model: small, or large</AUTO>
    temperature: <AUTO>How creative?</AUTO>
    condition: <AUTO>Is it needed?</AUTO>
    parameters: {prompt: "{{ topic }}", list: [1, <AUTO type="boolean">a, b?</AUTO>]}
""")
    said = {
        "small, or large": '{"value": "large"}',
        "How creative?": '{"value": 0.5}',
        "Is it needed?": '{"value": true}',
        "a, b?": '{"value": false}',
    }
    asked = Asked(**said)
    assert chain({"topic": "t"}, engine=asked.engine).ok
    ((model, temperature, text),) = asked.prompts
    assert (model, temperature) == ("large", 0.5)
    assert "[1, false]" in text


def test_a_temperature_of_the_row_is_read_by_the_stage() -> None:
    chain = made("""
  - id: a
    action: generate
    temperature: <AUTO>How creative is {{ topic }}?</AUTO>
    parameters: {prompt: "{{ topic }}"}
""")
    asked = Asked(**{"How creative is cats?": '{"value": 1.5}'})
    chain({"topic": "cats"}, engine=asked.engine)
    assert [one[1] for one in asked.prompts] == [1.5]


@pytest.mark.parametrize(
    ("auto", "message"),
    [
        ('<AUTO type="integr">x</AUTO>', "the type of this <AUTO> is none: integr"),
        ('<AUTO min="5" max="1">x</AUTO>', "the type of this <AUTO> is none"),
        ('<AUTO size="1">x</AUTO>', "unknown attribute 'size' of an <AUTO>"),
    ],
)
def test_wrong_attributes_are_errors_with_a_place(auto: str, message: str) -> None:
    with pytest.raises(ChainlangError) as caught:
        made(f"\n  - id: a\n    action: generate\n    parameters:\n      prompt: {auto}\n")
    assert message in str(caught.value)
    assert auto in str(caught.value)


def test_a_model_is_decided_of_a_list() -> None:
    with pytest.raises(ChainlangError, match="a model is decided of a list"):
        made("""
  - id: a
    action: generate
    model: <AUTO>the best one</AUTO>
    parameters: {prompt: hi}
""")


def test_a_value_that_is_a_template_is_not_written_into_the_file() -> None:
    chain = made(
        "\n  - id: a\n    action: generate\n    parameters:\n      prompt: <AUTO>a</AUTO>\n"
    )
    text = '{"kind": "text", "options": [], "low": null, "high": null}'
    replies: list[Any] = [text, '{"value": "{{ query }}"}']
    settings = MapSettings.of({"engine": FakeEngine(answers=lambda *_: replies.pop(0))})
    with pytest.raises(ChainlangError, match="would be read as a template"):
        decided_text(chain.program(), settings, with_models)
