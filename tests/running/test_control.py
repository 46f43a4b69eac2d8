"""Control flow as a caller sees it: what is asked, what comes of it, and what is told of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chainlang import Chain, E, Limits, V, chain, each, fallback, load, loop, retry, route, timeout
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import Completion, Failure, FailureKind, Request
from chainlang.runtime.clock import MachineClock
from chainlang.semantics.events import Event
from chainlang.session.result import Result

RATE = """
op rate : map -> { score: int(1..5) } {
  answer = "score"
  temperature = 0.7
  user = "Rate {{ candidate.answer }}"
}
"""


class Recorded(FakeEngine):
    """Keeps what it was asked."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[Request] = []

    def submit(self, requests: Iterable[Request]) -> None:
        asked = list(requests)
        self.asked += asked
        super().submit(asked)

    @property
    def seeds(self) -> list[int]:
        """The seed of every sample that was asked for."""
        return [one.seed + index for one in self.asked for index in range(one.count)]


def rated(*replies: str) -> Callable[[Request, int], str | None]:
    """Answer questions with a letter, and ratings with these replies, one after another."""
    left = iter(replies)
    return lambda request, index: next(left) if request.schema else "abc"[index % 3]


def one(text: str | Chain, row: object = "q", **settings: Any) -> Result:
    """Return the result of a chain for a row, failed or not."""
    if isinstance(text, str):
        text = load(text=f"{RATE if 'rate' in text else ''}main = {text}")
    (result,) = text.map([row], **settings)
    return result


# ---------------------------------------------------------------- fallback


def failing(*models: str, kind: FailureKind = "engine") -> Callable[[Request], Failure | None]:
    return lambda request: Failure("", kind, "down") if request.model in models else None


def test_a_fallback_asks_the_next_part_only_where_one_fails() -> None:
    engine = Recorded(failures=failing("a"))
    result = one(fallback(E("a", 2), E("b"), E("c")), engine=engine)
    assert [request.model for request in engine.asked] == ["a", "b"]
    assert result.events == (Event("fallback", ("?1",), "down"),)
    assert (result.usage.calls, [stop.stage for stop in result.trace]) == (1, ["E"])
    engine = Recorded(failures=failing("b"))
    assert one(fallback(E("a"), E("b")), engine=engine).events == ()
    assert [request.model for request in engine.asked] == ["a"]


def test_a_fallback_of_which_all_parts_fail_says_why_each_did() -> None:
    result = one(
        "fallback(E:a, E >> rate, M)", engine=FakeEngine(answers=rated("?"), failures=failing("a"))
    )
    assert result.failure is not None
    assert result.failure.stage == "M"
    assert result.failure.message == (
        "M needs candidates, and there are none: nothing comes before it, or a function or an "
        "empty list left none (before that: down; "
        "Invalid JSON: expected value at line 1 column 1)"
    )


def test_what_failed_counts_towards_the_cost() -> None:
    engine = FakeEngine(answers=rated("?", '{"score": 3}'))
    result = one("E >> fallback(rate, rate)", engine=engine)
    assert (result.answer, result.usage.calls) == (3, 3)


def test_a_name_that_was_set_in_a_part_that_failed_is_not_there() -> None:
    text = "fallback((x = E) >> rate, (y = E)) >> tell"
    tell = """op tell : fold { user = "{{ x is defined }} {{ y.answer | default('') }}" }\n"""
    engine = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    result = load(text=f"{RATE}{tell}main = {text}")("q", engine=engine)
    assert result.answer == "false q"
    assert result.history.keys() == {"y", "tell"}


# ---------------------------------------------------------------- retry


def test_only_the_samples_that_failed_are_drawn_again() -> None:
    good = '{"score": 3}'
    engine = Recorded(answers=rated(good, "bad", good, "bad again", '{"score": 5}'))
    result = one("E >> retry(3:rate)", engine=engine)
    assert [candidate.answer for candidate in result.candidates] == [3, 5, 3]
    assert [request.count for request in engine.asked] == [1, 3, 1, 1]
    assert len(set(engine.seeds)) == 6
    message = "Invalid JSON: expected value at line 1 column 1"
    assert result.events == (
        Event("retry", ("1", "!1", "c0"), message, 1),
        Event("retry", ("1", "!2", "c0"), message, 1),
    )
    assert result.usage.calls == 6
    alone = Recorded(answers=rated(good, good, good))
    one("E >> 3:rate", engine=alone)
    assert engine.seeds[:4] == alone.seeds  # the first attempt is the stage by itself


def test_a_retry_ends() -> None:
    result = one("E >> retry(rate, times=2)", engine=FakeEngine(answers=rated("x", "y")))
    assert result.failure is not None
    assert result.failure.message.endswith("(tried 2 times)")
    assert (result.failure.text, result.failure.cause, result.usage.calls) == ("y", "reply", 3)


def test_where_the_wire_broke_the_same_seed_is_asked_again() -> None:
    broken: list[int] = []

    def breaks_twice(request: Request) -> Failure | None:
        broken.append(request.seed)
        return Failure("", "transport", "reset", transient=True) if len(broken) < 3 else None

    engine = Recorded(failures=breaks_twice)
    result = one(retry(E(count=1)), engine=engine)
    assert len(set(engine.seeds)) == 1
    assert len(engine.seeds) == 3
    assert result.candidates == one(E(count=1), engine=FakeEngine()).candidates
    assert [event.place for event in result.events] == [(), ()]


def test_a_bad_reply_and_the_error_can_be_read_by_the_next_prompt() -> None:
    text = """
    op form : generate -> { n: int } {
      user = "{{ query }}{% if error is defined %} Not {{ reply }}: {{ error }}{% endif %}"
    }
    main = retry(form)
    """
    engine = Recorded(
        answers=lambda request, index: '{"n": 1}' if "Not" in request.messages[-1].text else "one"
    )
    result = load(text=text)("count", engine=engine)
    assert result["n"] == 1
    assert [request.messages[-1].text for request in engine.asked] == [
        "count",
        "count Not one: Invalid JSON: expected value at line 1 column 1",
    ]


@pytest.mark.parametrize(
    ("on", "kind", "asked"),
    [
        (None, "transport", 3),
        (None, "context", 1),
        (None, "engine", 1),
        ("engine", "engine", 3),
        (["reply", "refused"], "refused", 3),
        ("reply", "transport", 1),
    ],
)
def test_on_says_after_which_failures(on: Any, kind: FailureKind, asked: int) -> None:
    engine = Recorded(failures=failing("tiny", kind=kind))
    assert one(retry(E, on=on), engine=engine).failure is not None
    assert len(engine.asked) == asked


def test_a_sequence_is_drawn_again_as_a_whole_and_of_a_join_what_failed() -> None:
    good = '{"score": 3}'
    engine = Recorded(answers=rated("bad", good))
    result = one("retry(E >> rate)", engine=engine)
    assert [request.schema is None for request in engine.asked] == [True, False] * 2
    assert len(set(engine.seeds)) == 4
    assert [event.place for event in result.events] == [("!1",)]
    engine = Recorded(answers=rated("bad", good, good))
    result = one("E >> retry((x = rate) & 2 * E:b & rate)", engine=engine)
    assert sum(request.schema is not None for request in engine.asked) == 3
    assert sum(request.model == "b" for request in engine.asked) == 2
    assert [event.place for event in result.events] == [("1", "x", "!1", "c0")]


def test_a_stage_that_needs_few_samples_may_still_have_more() -> None:
    good = '{"score": 3}'
    engine = FakeEngine(answers=rated("bad", "bad", good, "bad", good))
    result = one("E >> retry(3:rate(need=1), times=2)", engine=engine)
    assert [candidate.answer for candidate in result.candidates] == [3, 3]


def test_a_backoff_doubles_and_the_results_are_the_same() -> None:
    engine = FakeEngine(failures=failing("tiny", kind="transport"))
    assert one(retry(E, times=4, backoff=10), engine=engine).failure is not None
    assert engine.now == 10 + 20 + 40
    engine = FakeEngine(answers=rated("bad", '{"score": 3}'))
    patient = one("E >> retry(rate, backoff=5)", engine=engine)
    again = FakeEngine(answers=rated("bad", '{"score": 3}'))
    assert patient.flow == one("E >> retry(rate)", engine=again).flow
    assert (engine.now, again.now) == (5, 0)


def test_a_pause_of_one_row_holds_up_no_other() -> None:
    engine = FakeEngine(
        failures=lambda request: (
            Failure("", "transport", "reset") if "a" in request.messages[0].text else None
        )
    )
    results = retry(E, times=2, backoff=1000).map(["a", "b", "c"], engine=engine, ordered=False)
    assert [result.row_id for result in results] == [
        result.row_id for result in E.as_chain().map(["b", "c", "a"], engine=FakeEngine())
    ]


# ---------------------------------------------------------------- timeout


def slow(request: Request) -> float:
    return {"slow": 10.0, "quick": 1.0}.get(request.model, 0.0)


def test_a_part_that_takes_too_long_fails_and_what_it_asked_is_aborted() -> None:
    engine = FakeEngine(latency=slow)
    result = one(timeout(E("slow") & E("quick"), seconds=5), engine=engine)
    assert result.failure is not None
    assert (result.failure.stage, result.failure.cause) == ("timeout", "timeout")
    assert result.failure.message == "it took longer than 5 seconds"
    assert engine.now == 5
    assert result.usage.calls == 1
    assert engine.step() == []  # nothing is left in flight


@pytest.mark.parametrize(
    ("part", "seconds", "kept"),
    [
        (E("slow"), 10, True),
        (E("slow"), 9.999, False),
        (E("quick", 3), 1, True),
        (E("quick") >> E("quick") >> E("quick"), 3, True),
        (E("quick") >> E("quick") >> E("quick"), 2.5, False),
        (loop(E("quick"), until="false", max=5), 4, False),
        (each(E("quick"), over="[1, 2, 3]"), 1, True),
        (timeout(E("slow"), seconds=3), 5, False),
        (timeout(E("slow"), seconds=30), 5, False),
        (fallback(timeout(E("slow"), seconds=3), E("quick")), 4, True),
        (retry(timeout(E("slow"), seconds=3)), 100, False),
    ],
)
def test_the_time_of_a_part_is_from_its_first_request_to_its_last_reply(
    part: Chain, seconds: float, kept: bool
) -> None:
    rows = ["a", "b", "c"]
    found = list(timeout(part, seconds=seconds).map(rows, engine=FakeEngine(latency=slow)))
    assert [result.ok for result in found] == [kept] * 3
    if kept:
        alone = part.map(rows, engine=FakeEngine(latency=slow))
        assert [result.flow for result in found] == [result.flow for result in alone]


def test_a_deadline_of_one_row_ends_no_other() -> None:
    engine = FakeEngine(latency=lambda request: float(len(request.messages[0].text)))
    found = timeout(E, seconds=3).map(["a", "aaaaa", "aaa", "aaaa"], engine=engine)
    assert [result.ok for result in found] == [True, False, True, False]


def test_a_timeout_ends_an_async_function(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, seconds, ended = threading.Event(), itertools.count(), list[str]()

    def monotonic() -> float:  # a second for each look, once the function has begun
        return float(next(seconds)) if begun.is_set() else 0.0

    monkeypatch.setattr("chainlang.runtime.scheduler.time", SimpleNamespace(monotonic=monotonic))

    async def hangs(answer: str) -> str:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(answer)
        return answer

    result = one(E >> fallback(timeout(hangs, seconds=0.05), E("b")), engine=FakeEngine())
    assert [event.message for event in result.events] == ["it took longer than 0.05 seconds"]
    assert len(ended) == 1


class Silent:
    """An engine that never answers, and knows no other time than the machine's."""

    capabilities = Capabilities(
        name="silent", schemas=True, seeds=True, batch_invariant=True, plain_values=True
    )
    reader = None

    def __init__(self) -> None:
        self.aborted: set[str] = set()

    def probe(self) -> None: ...
    def submit(self, requests: Iterable[Request]) -> None: ...
    def step(self) -> list[Completion | Failure]:
        return []

    def abort(self, ids: Iterable[str]) -> None:
        self.aborted |= set(ids)

    def close(self) -> None: ...


def test_a_deadline_on_the_machines_own_clock() -> None:
    engine = Silent()
    result = one(timeout(E, seconds=0.01), engine=engine)
    assert result.failure is not None
    assert result.failure.cause == "timeout"
    assert len(engine.aborted) == 1

    async def awaited() -> str:
        with pytest.raises(RowError) as caught:
            await timeout(E, seconds=0.01).acall("q", engine=engine)
        return str(caught.value)

    assert "it took longer than 0.01 seconds" in asyncio.run(awaited())


def test_no_deadline_runs_while_the_caller_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    time = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: time[0])
    clock = MachineClock()
    before = clock.now()
    with clock.stopped():
        time[0] += 3600
    time[0] += 1
    assert clock.now() - before == 1


def test_a_timeout_while_rows_are_awaited_together() -> None:
    async def main() -> list[bool]:
        qa = fallback(timeout(E("slow"), seconds=5), E("quick"))
        engine = FakeEngine(latency=slow)
        results = await asyncio.gather(*(qa.acall(text, engine=engine) for text in "abc"))
        return [result.events[0].kind == "fallback" for result in results]

    assert asyncio.run(main()) == [True] * 3


# ---------------------------------------------------------------- route


ARMS = {"math": E("a"), "3": E("b"), "true": E("c"), "null": E("d")}


@pytest.mark.parametrize(
    ("topic", "model"), [("math", "a"), (3, "b"), (True, "c"), (None, "d"), ("3", "b")]
)
def test_a_route_runs_the_arm_of_that_key(topic: object, model: str) -> None:
    engine = Recorded()
    result = one(route(by="topic", arms=ARMS), {"query": "q", "topic": topic}, engine=engine)
    assert [request.model for request in engine.asked] == [model]
    assert result.ok


def test_a_route_without_an_arm_takes_the_default_or_fails() -> None:
    engine = Recorded()
    row = {"query": "q", "topic": "law"}
    assert one(route(by="topic", arms=ARMS, default=E("z")), row, engine=engine).ok
    assert engine.asked[0].model == "z"
    result = one(route(by="topic", arms=ARMS), row, engine=engine)
    assert result.failure is not None
    assert result.failure.stage == "route"
    assert result.failure.message == (
        'by= is "law", and the arms are "math", "3", "true", "null": there is no default'
    )
    result = one(route(by="topik", arms=ARMS), row, engine=engine)
    assert result.failure is not None
    assert result.failure.message == (
        "by= can't be evaluated: 'topik' is undefined; did you mean 'topic'?"
    )


def test_a_route_may_read_an_answer_a_field_or_ask_a_function() -> None:
    def size(answer: str) -> int:
        return len(answer)

    arms = {"1": E("short"), "2": E("long")}
    engine = Recorded(answers=lambda request, index: "no" if request.model == "tiny" else "a")
    assert one(E >> route(by=size, arms=arms), engine=engine).ok
    assert one(E >> route(by="answer | length", arms=arms), engine=engine).ok
    assert [request.model for request in engine.asked] == ["tiny", "long"] * 2

    def kind(*, topic: str) -> str:
        return topic[:1]

    routed = route(by=kind, arms={"m": E("x")})
    assert one(routed, {"query": "q", "topic": "math"}, engine=engine).ok

    async def later(answers: list[str]) -> bool:
        return len(answers) > 2

    routed = E(count=3) >> route(by=later, arms={"true": E("many")})
    assert one(routed, engine=engine).ok
    assert [request.model for request in engine.asked[-3:]] == ["x", "tiny", "many"]


# ---------------------------------------------------------------- loop


def test_a_loop_runs_until_its_condition_holds() -> None:
    replies = iter("1234567")
    engine = FakeEngine(answers=lambda request, index: next(replies))
    result = one(loop(E, until="answer == '3'", max=5), engine=engine)
    assert (result.answer, result.usage.calls, result.events) == ("3", 3, ())
    assert [stop.place for stop in result.trace] == [(), ("+1",), ("+2",)]


def test_a_loop_that_runs_out_keeps_its_last_value_and_says_so() -> None:
    engine = Recorded()
    result = one(loop(E, until="answer == 'never'"), engine=engine)
    assert len(engine.asked) == 3
    assert result.events == (Event("loop", (), "its condition did not hold after 3 rounds"),)
    assert result.answer == result.trace[-1].candidates[0].answer


def test_the_rounds_of_a_loop_feed_each_other() -> None:
    text = "loop((draft = E) >> V, until=\"verdict == 'correct' and draft.answer == 'c'\", max=9)"
    verdicts = iter(["incorrect", "correct", "correct"])
    drafts = iter("abc")

    def answer(request: Request, index: int) -> str:
        if not request.schema:
            return next(drafts)
        verdict = {"explanation": "", "verdict": next(verdicts), "revised_answer": "r"}
        return json.dumps(verdict)

    engine = Recorded(answers=answer)
    result = one(text, engine=engine)
    assert (result["verdict"], result.history["draft"].answer) == ("correct", "c")
    assert "Reference 1: r" in engine.asked[2].messages[0].text


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("answer | trim", 'until= is true or false, and this is "3"'),
        ("missing == 1", "until= can't be evaluated: 'missing' is undefined"),
        ("answer > 3", "until= can't be evaluated: '>' not supported between instances of"),
        ("1 / 0 > 3", "until= can't be evaluated: division by zero"),
    ],
)
def test_a_condition_that_says_neither_yes_nor_no_fails_the_row(until: str, message: str) -> None:
    result = one(loop(E, until=until), engine=FakeEngine(answers={"": "3"}))
    assert result.failure is not None
    assert result.failure.stage == "loop"
    assert result.failure.message.startswith(message)


# ---------------------------------------------------------------- each


def test_each_runs_its_part_for_each_item_in_order() -> None:
    text = """
    op sum_up : generate { user = "{{ query }}: {{ document.title }}, {{ lang }}" }
    main = E >> each(sum_up, over="documents", as="document")
    """
    echo = FakeEngine(
        answers=lambda request, index: request.messages[-1].text,
        latency=lambda request: -float(len(request.messages[-1].text)) + 100,
    )
    documents = [{"title": title} for title in ("a", "bbb", "cc")]
    result = load(text=text)({"query": "q", "lang": "en", "documents": documents}, engine=echo)
    assert result["responses"] == ["q: a, en", "q: bbb, en", "q: cc, en"]
    assert [candidate.place for candidate in result.candidates] == [
        ("1",),
        ("1", "#1"),
        ("1", "#2"),
    ]
    with pytest.raises(KeyError):
        _ = result["document"]


def test_each_begins_without_candidates_and_an_item_may_be_the_query() -> None:
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    result = one(
        E >> each(E, over="parts", item="query"), {"query": "q", "parts": ["x", "y"]}, engine=echo
    )
    assert result["responses"] == ["x", "y"]


def test_each_over_candidates_over_a_named_part_and_over_nothing() -> None:
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text + "abc"[index])
    text = (
        'op tell : generate {{ user = "{{{{ item.answer }}}}!" }}\n'
        'main = (x = 2:E) >> each(tell, over="{over}")'
    )
    for over in ("candidates", "x.candidates"):
        result = load(text=text.format(over=over))("q", engine=echo)
        assert result["responses"] == ["qa!a", "qb!a"]
    assert load(text=text.format(over="[]"))("q", engine=echo).candidates == ()


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("query | trim", 'over= is no list but "q"'),
        ("{'a': [1]}", 'over= is no list but {"a": [1]}'),
        (
            "missing",
            "over= can't be evaluated: 'missing' is undefined; available: query, candidates",
        ),
        ("[1, 2, 3]", "over= has 3 items: the limit samples_per_stage is 2"),
    ],
)
def test_what_is_no_list_or_too_long_fails_the_row(over: str, message: str) -> None:
    with Limits(samples_per_stage=2).applied():
        result = one(each(E, over=over), engine=FakeEngine())
    assert result.failure is not None
    assert result.failure.message == message


def test_a_part_is_no_list_and_is_said_as_json() -> None:
    chained = "(fr = E) >> each(E, over='fr if fr else []')"
    result = one(chain(chained), engine=FakeEngine(answers={"": "oui"}))
    assert result.failure is not None
    says = 'over= is no list but {"answer": "oui", "candidates": [{"answer": "oui"}]}'
    assert result.failure.message == says


@pytest.mark.slow
def test_lists_in_lists_have_a_bound_for_the_whole_row() -> None:
    row = {"query": "q", "numbers": list(range(40))}
    nested = each(each(E, over="numbers"), over="numbers")
    with Limits(calls_per_row=1000).applied():
        good, bad = nested.map([{"query": "q", "numbers": [1] * 30}, row], engine=FakeEngine())
    assert good.ok
    assert bad.failure is not None
    assert "more items than calls_per_row" in bad.failure.message


# ---------------------------------------------------------------- written in two ways


def asked(text: str) -> tuple[Result, list[int]]:
    engine = Recorded()
    made = load(text=text if "main" in text else f"main = {text}")
    return made("q", engine=engine, passes=()), sorted(engine.seeds)


def test_a_stage_after_a_branch_is_that_stage_after_each() -> None:
    for short, long, calls in (
        ("(E:a | E:b) >> J", "(E:a >> J) | (E:b >> J)", 4),
        ("(2:E | x = E) >> V >> M", "(2:E >> V >> M) | ((x = E) >> V >> M)", 6),
        ("E >> (J | V) >> (M | J)", "E >> ((J >> (M | J)) | (V >> (M | J)))", 5),
    ):
        one_way, other = asked(short), asked(long)
        assert one_way[0].flow == other[0].flow
        assert one_way[1] == other[1]
        assert len(one_way[1]) == calls


def test_what_stands_before_a_branch_is_drawn_once() -> None:
    result, seeds = asked("x = 2:E\nmain = $x >> (J | V)")
    assert len(seeds) == 2 + 1 + 2
    first, second = (branch.trace[0] for branch in result.branches.values())
    assert first == second
    assert len(first.candidates) == 2


def test_each_use_of_a_definition_draws_again() -> None:
    result, seeds = asked("x = 2:E\nmain = $x & $x")
    assert len(seeds) == len(set(seeds)) == 4
    assert len({candidate.place for candidate in result.candidates}) == 2
    twice, drawn = asked("main = 2:E & 2:E")
    assert (twice.flow, drawn) == (result.flow, seeds)
    assert asked("main = 2 * 2:E")[1] == seeds


# ---------------------------------------------------------------- depth, folders, pieces


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrap",
    [
        lambda part: fallback(part, E("b")),
        lambda part: retry(part, times=1),
        lambda part: timeout(part, seconds=1e9),
        lambda part: loop(part, until="true", max=1),
        lambda part: each(part, over="[1]"),
        lambda part: route(by="'a'", arms={"a": part}),
        lambda part: retry(fallback(timeout(each(part, over="[1]"), seconds=9), E), times=1),
    ],
)
def test_what_nests_as_deep_as_the_limit_runs(wrap: Callable[[Chain], Chain]) -> None:
    part = E.as_chain()
    while part.depth <= 96:
        part = wrap(part)
    (result,) = part.map(["q"], engine=FakeEngine())
    assert result.candidates == E.as_chain()("q", engine=FakeEngine()).candidates


def test_a_run_folder_tells_of_what_stepped_in(tmp_path: Path) -> None:
    engine = FakeEngine(answers=lambda request, index: "bad" if request.schema else "3")
    qa = E >> fallback(retry(V(temperature=0.7), times=2), loop(E, until="answer == '4'"))
    summary = qa.run(["a", "b"], tmp_path / "run", engine=engine)
    assert summary.events == {"retry": 2, "fallback": 2, "loop": 2}
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert [(row["row"], row["kind"]) for row in map(json.loads, lines)] == [
        (row, kind) for row in (1, 2) for kind in ("retry", "fallback", "loop")
    ]
    told = json.loads((tmp_path / "run" / "metadata.json").read_text())
    assert told["events"] == summary.events


def test_pieces_of_an_attempt_are_told_with_its_place() -> None:
    engine = FakeEngine(answers=rated("bad", '{"score": 3}'))

    async def main() -> list[tuple[tuple[str, ...], str]]:
        stream = load(text=f"{RATE}main = E >> retry(rate)").stream("q", engine=engine)
        return [(piece.place, piece.text) async for piece in stream]

    assert asyncio.run(main()) == [
        (("1", "c0"), "bad"),
        (("1", "!1", "c0"), '{"sc'),
        (("1", "!1", "c0"), 'ore"'),
        (("1", "!1", "c0"), ": 3}"),
    ]


def test_a_plan_shows_what_may_happen() -> None:
    from chainlang.plan.lower import lower
    from chainlang.plan.render import render

    made = chain('fallback(retry(E >> J, times=2, on="reply", backoff=3), timeout(E:b, seconds=9))')
    assert render(lower(made.body)) == (
        "models: tiny, b\n"
        "fallback\n"
        "  retry  tries=2  on=reply  backoff=3s\n"
        "    sequence\n"
        "      generate 1 × E  tiny  T=0.7  max_tokens=1024  at !*/0\n"
        "      fold 1 × J  tiny  T=0  max_tokens=1024  schema  at !*/1\n"
        "  timeout 9 s\n"
        "    generate 1 × E  b  T=0.7  max_tokens=1024  at ?1"
    )
