"""Orchestrator's names: the code of its description, and what its faults became."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chainlang import ChainlangError, models
from chainlang.compat.orchestrator import (
    AmbiguityResolver,
    ChainControlSystem,
    CircuitBreaker,
    ControlSystem,
    ErrorCategory,
    ErrorHandler,
    ErrorSeverity,
    ModelRegistry,
    Orchestrator,
    Pipeline,
    StateManager,
    SystemUnavailableError,
    Task,
    TaskStatus,
    YAMLCompiler,
)
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Failure, Request

Some = TypeVar("Some")
HELLO = """
    name: test_pipeline
    version: 1.0.0
    steps:
      - id: step1
        action: generate
        parameters:
          prompt: "Hello, world!"
      - id: step2
        action: transform
        parameters:
          input: "{{ steps.step1.output }}"
          transformation: uppercase
        dependencies: [step1]
"""
THREE = (
    HELLO
    + """
      - id: step-3
        action: generate
        parameters: {prompt: "three: {{ steps.step2.output }} {{ topic }}"}
"""
)


def run(work: Coroutine[Any, Any, Some]) -> Some:
    return asyncio.run(work)


class Server:
    """A fake engine that repeats its prompts, and refuses those of the third step at first."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = True
        self.engine = FakeEngine(answers=self.answers, failures=self.failures)

    def answers(self, request: Request, index: int) -> str:
        self.asked.append(request.messages[-1].text)
        return self.asked[-1]

    def failures(self, request: Request) -> Failure | None:
        is_third = request.messages[-1].text.startswith("three")
        return Failure(request.id, "refused", "no") if is_third and self.fails else None


def test_the_pipeline_of_the_description_says_hello() -> None:
    result = run(Orchestrator(engine=Server().engine).execute_yaml(HELLO))
    assert result["status"] == "completed"
    assert "HELLO, WORLD!" in result["outputs"]["step2"]


def test_a_state_is_recovered_as_the_description_has_it() -> None:
    async def recovered() -> dict[str, Any]:
        orchestrator = Orchestrator()
        state = {"completed_steps": ["step1", "step2"], "failed_step": "step3"}
        await orchestrator.state_manager.save_checkpoint("test_recovery_pipeline", state)
        return await orchestrator.recover_pipeline("test_recovery_pipeline")

    found = run(recovered())
    assert found["recovered"] is True
    assert found["resumed_from"] == "step3"


def test_a_run_goes_on_at_the_step_that_failed(tmp_path: Path) -> None:
    server = Server()
    pipeline = run(YAMLCompiler().compile(THREE, {"topic": "cats"}))
    orchestrator = Orchestrator(engine=server.engine, folder=tmp_path)
    with pytest.raises(ChainlangError, match="generate failed"):
        run(orchestrator.execute_pipeline(pipeline))
    assert pipeline.tasks["step-3"].status is TaskStatus.FAILED
    server.fails = False
    other = Orchestrator(engine=server.engine, folder=tmp_path)  # as another process would
    found = run(other.recover_pipeline(pipeline.id))
    assert (found["recovered"], found["resumed_from"]) == (True, "step-3")
    assert found["outputs"]["step-3"] == "three: HELLO, WORLD! cats"
    assert server.asked == ["Hello, world!", "three: HELLO, WORLD! cats"]
    assert run(other.execute_pipeline(pipeline))["outputs"] == found["outputs"]
    assert len(server.asked) == 2


def test_an_id_without_a_pipeline_is_an_error() -> None:
    with pytest.raises(ChainlangError, match="there is no pipeline 'x' to go on with"):
        run(Orchestrator().recover_pipeline("x"))


def test_levels_and_circles() -> None:
    def task(name: str, *waits: str) -> Task:
        return Task(name, name, "plan", dependencies=[*waits])

    def levels(*tasks: Task) -> list[list[str]]:
        return Pipeline("p", "p", {one.id: one for one in tasks}).get_execution_order()

    found = levels(task("d", "b", "c"), task("b", "a"), task("c", "a"), task("a"))
    assert found == [["a"], ["b", "c"], ["d"]]
    with pytest.raises(
        ChainlangError, match=r"wait for each other: .*a -> b -> a.*; .*c -> d -> c"
    ):
        levels(task("a", "b"), task("b", "a"), task("c", "d"), task("d", "c"))
    with pytest.raises(ChainlangError, match="there is no such task"):
        levels(task("a", "z"))


def test_steps_that_are_read_are_dependencies() -> None:
    text = THREE.replace("dependencies: [step1]", "timeout: 5")
    pipeline = run(YAMLCompiler().compile(text))
    assert pipeline.get_execution_order() == [["step1"], ["step2"], ["step-3"]]
    assert pipeline.tasks["step2"].is_ready({"step1"})
    assert pipeline.tasks["step2"].metadata == {"timeout": 5}


def test_functions_do_the_actions_of_their_names() -> None:
    text = "name: p\nsteps:\n  - id: a\n    action: search\n    parameters: {words: cats}\n"

    def search(words: str) -> str:
        return f"found {words}"

    found = run(Orchestrator(functions={"search": search}).execute_yaml(text))
    assert found["outputs"] == {"a": "found cats"}


def test_a_control_system_of_ones_own_carries_out() -> None:
    class Custom(ControlSystem):
        async def execute_task(self, task: Task, context: dict[str, Any]) -> Any:
            return f"{task.action} {context['topic']}"

        async def execute_pipeline(self, pipeline: Pipeline) -> dict[str, Any]:
            results: dict[str, Any] = {}
            for level in pipeline.get_execution_order():
                tasks = [pipeline.tasks[one] for one in level]
                several = (self.execute_task(one, pipeline.context) for one in tasks)
                results |= zip(level, await asyncio.gather(*several), strict=True)
            return results

        def get_capabilities(self) -> dict[str, Any]:
            return {"supported_operations": ["generate"]}

        async def health_check(self) -> bool:
            return True

    found = run(Orchestrator(control_system=Custom()).execute_yaml(THREE, {"topic": "t"}))
    assert found["outputs"]["step-3"] == "generate t"


def test_the_control_system_of_chains() -> None:
    server = Server()
    server.fails = False
    system = ChainControlSystem(engine=server.engine)
    pipeline = run(YAMLCompiler().compile(THREE, {"topic": "t"}))
    task = Task("x", "x", "generate", {"prompt": "about {{ topic }}"})
    assert run(system.execute_task(task, {"topic": "cats"})) == "about cats"
    assert run(system.execute_pipeline(pipeline))["step2"] == "HELLO, WORLD!"
    assert "transform" in system.get_capabilities()["supported_operations"]
    assert run(system.health_check())
    down = FakeEngine(failures=lambda request: Failure(request.id, "denied", "no"))
    assert not run(ChainControlSystem(engine=down).health_check())


def test_words_are_resolved_with_a_type() -> None:
    resolver = AmbiguityResolver(engine=FakeEngine())
    found = run(resolver.resolve("Choose the display: table, chart, list or json", "steps.display"))
    assert found in ("table", "chart", "list", "json")
    nested = {
        "query": "<AUTO>Generate search query for topic</AUTO>",
        "filters": {"sources": ["<AUTO>Select: web, or books</AUTO>", 3], "all": True},
    }
    made = run(resolver.resolve_nested(nested, "steps.search"))
    assert made["filters"]["sources"][0] in ("web", "books")
    assert made["filters"]["sources"][1:] == [3]
    assert made["filters"]["all"] is True
    assert made["query"] != nested["query"]


def test_a_registry_is_read_and_chooses(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        """
models:
  small: {provider: openai, capabilities: {context_window: 4096}, metrics: {accuracy: 0.6}}
  large: {provider: openai, capabilities: {context_window: 128000}, metrics: {accuracy: 0.9}}
""",
        encoding="utf-8",
    )
    registry = ModelRegistry.from_config(file)
    assert [*registry.models] == ["small", "large"]
    assert run(registry.select_model({"context_window": 100_000})) == "large"
    registry.register_model("own", models.fake())
    assert "own" in registry.declared
    with pytest.raises(ChainlangError, match="unknown requirement 'speed'"):
        run(registry.select_model({"speed": 3}))


def test_states_are_read_back_as_of_a_time(tmp_path: Path) -> None:
    async def states() -> list[Any]:
        manager = StateManager(tmp_path)
        await manager.save_checkpoint("a/../b", {"n": 1})
        with pytest.raises(ValueError, match="broken"):
            async with manager.checkpoint_context("a/../b", "task"):
                raise ValueError("broken")
        now = datetime.now(UTC)
        return [
            await manager.restore_checkpoint("a/../b", one)
            for one in (None, now + timedelta(days=1), now - timedelta(days=1))
        ]

    last, later, before = run(states())
    assert last["state"] == {"last_failed_task": "task", "error": "broken"}
    assert later == last
    assert before is None
    assert [one.parent for one in tmp_path.rglob("*.jsonl")] == [tmp_path]


class Busy(Exception):
    """An error of a server that has too much to do."""

    status_code = 429
    retry_after = 7.0


@pytest.mark.parametrize(
    ("error", "context", "wanted"),
    [
        (Busy(), {}, {"action": "retry", "delay": 7.0}),
        (Busy(), {"severity": "high"}, {"action": "switch_system", "retry_after": 7.0}),
        (TimeoutError(), {"timeout": 30}, {"action": "retry", "timeout": 60.0, "retry_count": 1}),
        (TimeoutError(), {"retry_count": 3}, {"action": "fail", "reason": "timeout_exceeded"}),
        (MemoryError(), {}, {"action": "switch_system", "category": "resource_exhaustion"}),
        (ValueError(), {}, {"action": "fail", "category": "validation_error"}),
        (ConnectionError(), {"retry_count": 2}, {"action": "retry", "delay": 4.0}),
        (ConnectionError(), {"retry_count": 3}, {"action": "fail", "reason": "system_error"}),
        (RuntimeError(), {}, {"action": "fail", "category": "unknown"}),
    ],
)
def test_each_category_says_what_to_do(
    error: Exception, context: dict[str, Any], wanted: dict[str, Any]
) -> None:
    found = run(ErrorHandler().handle_error(error, context))
    assert wanted.items() <= found.items()


def test_a_critical_error_opens_the_breaker_and_time_closes_it() -> None:
    now = [0.0]
    handler = ErrorHandler(CircuitBreaker(2, timeout=60.0, clock=lambda: now[0]))
    context = {"system_id": "a", "severity": ErrorSeverity.CRITICAL}
    for _ in range(2):
        run(handler.handle_error(ValueError(), context))
    with pytest.raises(SystemUnavailableError, match="'a' is open"):
        run(handler.handle_error(ValueError(), context))
    assert handler.classify_error(ValueError()) is ErrorCategory.VALIDATION_ERROR
    assert run(handler.handle_error(ValueError(), {"system_id": "b"}))
    now[0] = 61.0
    assert run(handler.handle_error(ValueError(), {"system_id": "a"}))
    handler.circuit_breaker.record_failure("a")
    handler.circuit_breaker.record_success("a")
    assert not handler.circuit_breaker.is_open("a")
