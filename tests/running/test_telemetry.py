"""Spans and counters, as an exporter of OpenTelemetry's SDK hears of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from chainlang import E, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import StopError
from chainlang.protocol.messages import Failure

ROWS = [{"id": f"r{number}", "query": f"a private question {number}"} for number in range(3)]


class Heard:
    """What has been exported."""

    def __init__(self, provider: TracerProvider, meters: MeterProvider) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def tree(self) -> dict[str, list[str]]:
        """Return the names of the spans inside each, by the paths of names to them."""
        names = {one.context.span_id: one for one in self.spans if one.context}

        def path(one: ReadableSpan) -> str:
            above = names.get(one.parent.span_id) if one.parent else None
            return f"{path(above)}/{one.name}" if above else one.name

        found: dict[str, list[str]] = {}
        for one in self.spans:
            above, _, name = path(one).rpartition("/")
            found.setdefault(above, []).append(name)
        return {above: sorted(names) for above, names in found.items()}

    def named(self, name: str) -> list[dict[str, Any]]:
        return [dict(one.attributes or {}) for one in self.spans if one.name == name]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    provider, reader = TracerProvider(), InMemoryMetricReader()
    meters = MeterProvider(metric_readers=[reader])
    found = Heard(provider, meters)
    found.reader = reader
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    yield found
    provider.shutdown()
    meters.shutdown()


def counted(heard: Heard) -> dict[tuple[str, tuple[tuple[str, Any], ...]], int]:
    data = heard.reader.get_metrics_data()
    return {
        (metric.name, tuple(sorted(point.attributes.items()))): point.value
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_a_run_has_rows_that_have_stages_that_have_calls(heard: Heard) -> None:
    list(chain("3:E:small:0.7 >> J:big").map(ROWS, engine=FakeEngine(), seed=7))
    assert heard.tree() == {
        "": ["chainlang.run"],
        "chainlang.run": ["row", "row", "row"],
        "chainlang.run/row": sorted(["stage E", "stage J"] * 3),
        "chainlang.run/row/stage E": ["chat small"] * 3,
        "chainlang.run/row/stage J": ["chat big"] * 3,
    }
    (run,) = heard.named("chainlang.run")
    assert (run["chainlang.seed"], run["chainlang.rows"]) == (7, 3)
    assert [one["chainlang.row_id"] for one in heard.named("row")] == ["r0", "r1", "r2"]
    call = heard.named("chat small")[0]
    assert call["gen_ai.operation.name"] == "chat"
    assert call["gen_ai.provider.name"] == "fake"
    assert call["gen_ai.request.choice.count"] == 3
    assert call["gen_ai.usage.input_tokens"] > call["gen_ai.usage.output_tokens"] > 0


def test_functions_that_run_as_one_step_are_told_of_one_by_one(heard: Heard) -> None:
    made = chain("E >> @shout >> @shout", functions={"shout": str.upper})
    list(made.map(ROWS[:1], engine=FakeEngine()))
    assert heard.tree()["chainlang.run/row"] == ["stage @shout", "stage @shout", "stage E"]


def test_no_prompt_and_no_answer_is_in_a_span_unless_asked(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {"private": "a secret answer", "Judge": "no JSON, and a secret"}
    for asked in (False, True):
        if asked:
            monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
        heard.exporter.clear()
        list(chain("E >> J").map(ROWS, engine=FakeEngine(answers=answers)))
        told = " ".join(one.to_json() for one in heard.spans)
        assert ("private question" in told) is asked
        assert ("secret" in told) is asked


def test_failures_are_errors_with_their_cause(heard: Heard) -> None:
    def failing(request: Any) -> Failure | None:
        return Failure("", "refused", "no") if "question 1" in request.messages[0].text else None

    engine = FakeEngine(failures=failing, answers={"Judge": "no JSON"})
    list(chain("E >> J").map(ROWS, engine=engine))
    errors = [(one.name, dict(one.attributes or {}).get("error.type")) for one in heard.spans]
    assert ("chat tiny", "refused") in errors
    assert errors.count(("row", "refused")) == 1
    assert errors.count(("row", "reply")) == 2
    codes = {one.status.status_code.name for one in heard.spans if one.name == "row"}
    assert codes == {"ERROR"}
    found = counted(heard)
    assert found["chainlang.rows", (("error.type", "refused"),)] == 1
    assert found["chainlang.rows", (("error.type", "reply"),)] == 2


def test_counters(heard: Heard) -> None:
    results = list(chain("2:E::0.7").map(ROWS, engine=FakeEngine()))
    used = sum((one.usage for one in results[1:]), results[0].usage)
    model, provider = ("gen_ai.request.model", "tiny"), ("gen_ai.provider.name", "fake")
    assert counted(heard) == {
        ("chainlang.rows", ()): 3,
        ("chainlang.calls", (provider, model)): 6,
        ("chainlang.tokens", (model, ("gen_ai.token.type", "input"))): used.prompt_tokens,
        ("chainlang.tokens", (model, ("gen_ai.token.type", "output"))): used.output_tokens,
    }


def test_costs_are_counted_where_a_model_has_a_price(heard: Heard) -> None:
    made = load(text='model m = fake("m", price={"input": 1, "output": 1})\nmain = 2:E:m:0.7')
    found = made("q", engine=FakeEngine())
    (call,) = (one for one in heard.spans if one.name == "chat m")
    assert (call.attributes or {})["chainlang.cost"] == float(found.cost or 0) > 0
    name = ("chainlang.cost", (("gen_ai.request.model", "m"),))
    assert counted(heard)[name] == float(found.cost or 0)


def test_what_is_given_up_is_ended_too(heard: Heard) -> None:
    engine = FakeEngine(latency=lambda request: 10.0)
    with pytest.raises(StopError):
        list(chain("E >> V").map(ROWS, engine=engine, run_seconds=15))
    list(chain("fallback(timeout(E, seconds=5), M)").map([{"query": "q", "responses": ["a"]}],
         engine=engine))  # fmt: skip
    names = [(one.name, dict(one.attributes or {}).get("error.type")) for one in heard.spans]
    assert names.count(("row", "aborted")) == 3
    assert names.count(("stage V", "aborted")) == 3
    assert names.count(("chat tiny", "aborted")) == 3 + 1
    assert names.count(("stage E", "aborted")) == 1
    assert names.count(("chainlang.run", None)) == 2


def test_spans_stand_inside_what_is_current(heard: Heard) -> None:
    def shorter(answer: str) -> str:
        return answer[:1]

    async def main() -> None:
        await asyncio.gather(*((E >> shorter).acall(row, engine=FakeEngine()) for row in ROWS))

    with trace.get_tracer("mine").start_as_current_span("mine"):
        asyncio.run(main())
        chain("E")("q", engine=FakeEngine())
    assert heard.tree()["mine"] == ["chainlang.run", "row", "row", "row"]
    assert heard.tree()["mine/row"] == ["stage @shorter"] * 3 + ["stage E"] * 3


def test_what_comes_from_the_journal_is_no_call(heard: Heard, tmp_path: Any) -> None:
    chain("E").run(ROWS, tmp_path, engine=FakeEngine())
    heard.exporter.clear()
    chain("E").run(ROWS, tmp_path, engine=FakeEngine(), changed=True)
    assert len(heard.named("stage E")) == 3
    assert not heard.named("chat tiny")


def test_spans_that_are_not_sampled_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    asked: list[str] = []

    def get_tracer(name: str, *more: Any) -> trace.Tracer:
        asked.append(name)
        return provider.get_tracer(name, *more)

    monkeypatch.setattr(trace, "get_tracer", get_tracer)
    list(chain("E >> J").map(ROWS, engine=FakeEngine()))
    assert asked == ["chainlang"]  # for the run, and no more


@pytest.mark.slow
def test_without_the_sdk_nothing_of_it_is_imported() -> None:
    program = (
        "import sys\n"
        "from chainlang import chain\n"
        "from chainlang.engines.fake import FakeEngine\n"
        "list(chain('E >> M').map(['a'], engine=FakeEngine()))\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "from opentelemetry import metrics, trace\n"
        "list(chain('E >> M').map(['a'], engine=FakeEngine()))\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
