"""Events: each kind is counted, with the same number, in every place that shows events."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen
from pydantic import BaseModel, Field

from chainlang import E, J, chain, fallback, loop, op, retry
from chainlang.cli.closing_lines import closing_lines
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.runtime.outcome import Outcome
from chainlang.semantics.events import EVENTS
from chainlang.serving.metrics import Metrics
from tests.project.tables import PLACES
from tests.running.test_telemetry import Heard, counted, heard

__all__ = ["heard"]

ROWS = [{"id": name, "query": f"question {name}"} for name in "abc"]
LONG = "thinking " * 1000
DIGIT = op("digit", user="{{ query }}", returns="int(0..9)")


class Tenfold(BaseModel):
    number: int = Field(multiple_of=10)


def at_first(reply: Reply | str, otherwise: str) -> Callable[[Request, int], Reply | str]:
    """Return replies of which the first of each row is another."""
    seen: set[str] = set()

    def answers(request: Request, index: int) -> Reply | str:
        row = next(name for name in "abc" if f"question {name}" in request.messages[-1].text)
        is_first = index == 0 and row not in seen
        seen.add(row)
        return reply if is_first else otherwise

    return answers


def down(request: Request) -> Failure | None:
    return Failure("", "engine", "it is down") if request.model == "small" else None


@frozen
class Scenario:
    """A chain and an engine in which a kind of event happens once in each of three rows."""

    chain: Any
    engine: Callable[[], Any]
    settings: Mapping[str, Any] = {}
    others: Mapping[str, int] = {}
    """Events of other kinds."""
    failed: int = 0
    rows: Any = ROWS


def cut(text: str = "42") -> FakeEngine:
    return FakeEngine(answers=at_first(Reply(text, LONG), text))


class Moved(FakeEngine):
    """An engine of two addresses, of which one has failed for prompts with a text."""

    def __init__(self, text: str = "question") -> None:
        super().__init__()
        self._text, self._of = text, set[str]()

    def submit(self, requests: Iterable[Request]) -> None:
        several = list(requests)
        self._of |= {one.id for one in several if self._text in str(one.messages)}
        super().submit(several)

    def step(self) -> list[Completion | Failure | Delta]:
        return [
            evolve(one, samples=tuple(evolve(each, moved="b, as a failed") for each in one.samples))
            if isinstance(one, Completion) and one.id in self._of
            else one
            for one in super().step()
        ]


def tenfold(number: int) -> int:
    return number * 10


def calling(arguments: str) -> FakeEngine:
    """Return an engine that calls `tenfold` once in each sample."""
    return FakeEngine(answers={"question": Reply(calls=[("tenfold", arguments)]), "": "40"})


SCENARIOS: dict[str, list[Scenario]] = {
    "cut": [
        Scenario(E(cut="keep"), cut),
        Scenario(chain("2:E"), cut, failed=3),
    ],
    "closed": [
        Scenario(E(thinking_tokens=8), cut),
        Scenario(chain("2:E(thinking_tokens=8) >> M"), cut),
    ],
    "retry": [
        Scenario(retry(DIGIT(temperature=0.7)), lambda: FakeEngine(answers=at_first("no", "4"))),
        Scenario(retry(E(max_tokens=99)), cut, others={"cut": 3}),
    ],
    "need": [
        Scenario(chain("3:E(need=2)"), cut, others={"cut": 3}),
        Scenario(chain("3:E(need=0.5)"), cut, others={"cut": 3}),
    ],
    "fallback": [
        Scenario(fallback(E("small"), E("large")), lambda: FakeEngine(failures=down)),
        Scenario(fallback(E("a", 2), E("b")), cut, others={"cut": 3}),
    ],
    "switch": [
        Scenario(chain('E:small(fallback_models="large")'), lambda: FakeEngine(failures=down)),
        Scenario(
            chain('2:E:small(fallback_models=["tiny", "large"]) >> J:large'),
            lambda: {
                "small": FakeEngine(failures=lambda one: Failure("", "denied", "no")),
                "tiny": FakeEngine(failures=lambda one: Failure("", "context", "long")),
                "large": FakeEngine(),
            },
            others={"switch": 6},
        ),
    ],
    "moved": [
        Scenario(chain("E"), Moved),
        Scenario(chain("E >> J"), lambda: Moved("Judge"), others={}),
    ],
    "tool": [
        Scenario(E(tools=tenfold), lambda: calling('{"number": 4}')),
    ],
    "tool_error": [Scenario(E(tools=tenfold), lambda: calling("{}"))],
    "loop": [Scenario(loop(E, until="false", max=2), FakeEngine)],
    "lossy": [
        Scenario(
            chain("9:E >> M"),
            lambda: FakeEngine(answers=lambda request, index: "42"),
            {"passes": ("default", "adaptive_consistency"), "outputs": ["answer"]},
        )
    ],
    "equal": [
        Scenario(chain("3:E"), FakeEngine, rows=["question a"] * 4),
        Scenario(
            chain("E", input="{ text: str }"),
            FakeEngine,
            {"window": 1},
            rows=[{"text": "question a", "note": note} for note in "abcd"],
        ),
    ],
    "unenforced": [
        Scenario(
            op("tell", user="{{ query }}", returns=Tenfold)(count=1),
            lambda: FakeEngine(answers={"": '{"number": 40}'}),
        ),
        Scenario(
            op("tell", user="{{ query }}", returns=Tenfold)(count=2, temperature=0.7, need=1),
            lambda: FakeEngine(answers=at_first('{"number": 41}', '{"number": 40}')),
            others={"need": 3},
        ),
    ],
    "left_out": [
        Scenario(chain("E"), FakeEngine, rows=[{**row, "photo": b"\xff"} for row in ROWS]),
        Scenario(
            chain("E"),
            FakeEngine,
            rows=[{**row, "query": None, "n": {1}} for row in ROWS],
            failed=3,
        ),
    ],
    "blank": [
        Scenario(
            chain(op("noted", user="{{ query }} {{ notes }}")),
            FakeEngine,
            rows=Path(__file__).with_name("blank_cells.csv"),
        ),
    ],
}
if missing := sorted(EVENTS.keys() - SCENARIOS.keys()):
    raise AssertionError(f"no scenario has the events {', '.join(missing)}")


def shown(one: Scenario, folder: Path, heard: Heard) -> dict[str, dict[str, int]]:
    """Return the number of events of each kind in each place, of runs that are equal."""
    given = {**one.settings, "on_error": "collect"}
    results = list(one.chain.map(one.rows, engine=one.engine(), **given))
    found: dict[str, dict[str, int]] = {
        "`result.events`": dict(Counter(event.kind for each in results for event in each.events))
    }
    found["OpenTelemetry"] = {
        dict(labels)["chainlang.event"]: number
        for (name, labels), number in counted(heard).items()
        if name == "chainlang.events"
    }
    explained = one.chain.explain(one.rows, engine=one.engine(), analyze=True, **given)
    found["`explain`"] = dict(explained.actual.events)
    metrics = Metrics()

    def count(outcome: Outcome, _: object) -> None:
        kinds = [event.kind for event in outcome.events]
        metrics.row("m", outcome.cause, outcome.usages, 0.0, kinds)

    summary = one.chain.run(one.rows, folder, engine=one.engine(), on_row=count, **given)
    found["`/metrics`"] = {
        kind: int(float(number))
        for kind, number in re.findall(
            r'chainlang:events_total{kind="(\w+)",model_name="m"} (\S+)', metrics.text()[0].decode()
        )
    }
    assert summary.failed == one.failed == sum(not each.ok for each in results)
    found["`Summary`"] = dict(summary.events)
    found["`metadata.json`"] = json.loads((folder / "metadata.json").read_text())["events"]
    lines = (folder / "events.jsonl").read_text().splitlines()
    found["`events.jsonl`"] = dict(Counter(json.loads(line)["kind"] for line in lines))
    (line,) = (text for text in closing_lines(summary, 0) if text.startswith("events: "))
    words = line.removeprefix("events: ").partition(";")[0].split(", ")
    found["last line"] = {word.split()[1]: int(word.split()[0]) for word in words}
    return found


@pytest.mark.quick(6)
@pytest.mark.parametrize(
    ("kind", "one"),
    [(kind, one) for kind, several in SCENARIOS.items() for one in several],
)
def test_each_place_has_the_same_number(
    kind: str, one: Scenario, tmp_path: Path, heard: Heard
) -> None:
    found = shown(one, tmp_path / "run", heard)
    assert found == {place: {kind: 3, **one.others} for place in PLACES}


def test_the_span_of_a_row_has_its_events(heard: Heard) -> None:
    list(E(cut="keep").map(ROWS[:1], engine=cut()))
    (row,) = heard.named("row")
    assert row["chainlang.events.cut"] == 1


def test_events_before_a_failure_are_kept_in_their_order() -> None:
    made = E >> fallback(retry(J(temperature=0.7), times=2), loop(E, until="false", max=1) >> "J")
    bad = FakeEngine(answers=lambda request, index: "no JSON" if request.schema else "3")
    result = made("a", engine=bad, on_error="collect")
    assert not result.ok
    assert [one.kind for one in result.events] == ["retry", "fallback", "loop"]


def test_a_part_before_the_branches_of_an_operand_is_counted_once() -> None:
    made = E(cut="keep") >> ((E >> (E("a") | E("b"))) & E)
    result = made("question a", engine=cut())
    assert [one.kind for one in result.events] == ["cut"]


def test_the_events_of_each_failed_arm_are_counted(tmp_path: Path) -> None:
    made = chain("2:E:a | 2:E:b(need=1) | E:c")
    rows = [{"id": "a", "query": "q"}]
    always = FakeEngine(answers=lambda request, index: Reply("42", "" if index else LONG))
    summary = made.run(rows, tmp_path, engine=always)
    assert (summary.failed, summary.events) == (1, {"cut": 3, "need": 1})


# ---------------------------------------------------------------- usage


def test_usage_is_counted_by_model_and_by_stage(tmp_path: Path) -> None:
    made = chain("(2:E:small & 3:E:large) >> J:small")
    summary = made.run(ROWS, tmp_path, engine=FakeEngine())
    by_model, by_stage = summary.by_model, summary.by_stage
    assert {name: one.calls for name, one in by_model.items()} == {"small": 9, "large": 9}
    assert {name: one.calls for name, one in by_stage.items()} == {"E": 15, "J": 3}
    for found in (by_model, by_stage):
        assert sum(one.prompt_tokens for one in found.values()) == summary.usage.prompt_tokens
        assert sum(one.output_tokens for one in found.values()) == summary.usage.output_tokens
    told = json.loads((tmp_path / "metadata.json").read_text())
    assert {name: one["calls"] for name, one in told["usage_by_model"].items()} == {
        "small": 9,
        "large": 9,
    }
    assert {name: one["calls"] for name, one in told["usage_by_stage"].items()} == {"E": 15, "J": 3}
    lines = list(closing_lines(summary, 0))
    assert any(line.startswith("by model: small 9 calls, ") for line in lines)
    assert any(line.startswith("by stage: E 15 calls, ") for line in lines)


def test_usage_of_a_resumed_run_is_that_of_the_whole(tmp_path: Path) -> None:
    made = chain("2:E:small >> J:large")
    made.run(ROWS, tmp_path / "whole", engine=FakeEngine())
    with pytest.raises(Exception, match="run_calls"):
        made.run(ROWS, tmp_path / "run", engine=FakeEngine(), run_calls=4, window=1)
    summary = made.run(ROWS, tmp_path / "run", engine=FakeEngine())
    whole, resumed = (
        json.loads((tmp_path / name / "metadata.json").read_text()) for name in ("whole", "run")
    )
    for name in ("usage", "usage_by_model", "usage_by_stage"):
        assert resumed[name] == whole[name]
    assert {name: one.calls for name, one in summary.by_stage.items()} == {"E": 6, "J": 3}
