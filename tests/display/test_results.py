"""Results: their display in a notebook, and results as a sequence and as tables."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.session import results as results_module
from chainlang.session.result import Result
from chainlang.session.result_list import ResultList
from chainlang.session.results import MapInterrupted, Results
from tests.hostile import HOSTILE

QA = chain("3:E >> M")
ROWS = [{"query": f"q{at}", "topic": "sums"} for at in range(6)]


def engine(**given: Any) -> FakeEngine:
    return FakeEngine(answers=lambda request, index: ["42", "42", "41"][index], **given)


def broken(*queries: str) -> Chain:
    """Return a chain that fails for some queries."""

    def check(*, query: str) -> str:
        if query in queries:
            raise ValueError(f"no {query}")
        return query.upper()

    return load(text="main = @check", functions={"check": check})


class Page(HTMLParser):
    """The tags and the texts of some HTML, which must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + "\n"


def page(value: Any) -> Page:
    bundle = value._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    return Page(bundle["text/html"])


# ---------------------------------------------------------------- a result


def test_a_vote_is_shown_with_its_bars_and_costs() -> None:
    shown = page(QA("q", engine=engine()))
    assert shown.text.split("\n")[:1] == ["42"] or "42" in shown.text
    assert "2 \n67%" in shown.text
    assert "3 calls" in shown.text
    assert "output tokens" in shown.text
    assert " s" in shown.text.strip().splitlines()[-1]


def test_reasons_are_folded() -> None:
    reply = json.dumps({"reasoning": "because", "final_answer": "yes"})
    result = chain("2:E:a >> J:j")(
        "q", engine={"a": engine(), "j": FakeEngine(answers={"": reply})}
    )
    html = result._repr_mimebundle_()["text/html"]
    assert '<details><summary>reasoning</summary>\n<div class="text">because</div>' in html
    assert "2 stages" in page(result).text


def test_a_failure_is_shown_with_its_page() -> None:
    result = broken("q")("q", on_error="collect")
    assert "no q" in page(result).text
    assert '<div class="bad">' in result._repr_mimebundle_()["text/html"]


def test_branches_are_shown_apart() -> None:
    shown = page(chain("a = E | b = E >> M")("q", engine=engine()))
    assert "a" in shown.text.split("\n")
    assert "b" in shown.text.split("\n")


@pytest.mark.parametrize("text", [*HOSTILE.values(), "<script>alert(1)</script>", "]]></details>"])
def test_no_reply_breaks_out(text: str) -> None:
    result = chain("2:E >> M")("q", engine=FakeEngine(answers=lambda *_: text or "-"))
    shown = page(result)
    assert "script" not in shown.tags
    assert "img" not in shown.tags
    results = chain("2:E").map([{"query": text or "-", "<b>": text}], engine=engine())
    assert "b" not in page(results).tags


def test_a_vote_is_found_by_the_answer() -> None:
    result = QA("q", engine=engine())
    assert result.votes["42"] == result["votes"]["42"] == result["votes"]['"42"'] == 2
    assert result.votes == {'"42"': 2, '"41"': 1}
    assert "43" not in result.votes
    with pytest.raises(KeyError, match="there are '42'"):
        result.votes["43"]
    numbers = chain("@one >> M").bind(one=lambda: [42, 42, "42"])
    votes = numbers("q").votes
    assert (votes[42], votes["42"]) == (2, 1)


def test_keys_are_completed() -> None:
    names = QA({"query": "q", "topic": "x"}, engine=engine())._ipython_key_completions_()
    assert {"votes", "confidence", "final_answer", "answer", "topic"} <= set(names)
    assert QA("q", engine=engine()).votes._ipython_key_completions_() == ["42", "41"]


# ---------------------------------------------------------------- results of map


def test_results_iterate_as_before() -> None:
    seen: list[str] = []

    def rows() -> Iterator[str]:
        for at in range(5):
            seen.append(f"q{at}")
            yield f"q{at}"

    results = QA.map(rows(), engine=engine(), window=1)
    assert seen == []
    first = next(results)
    assert (first.index, seen) == (0, ["q0"])
    assert [one.index for one in results] == [1, 2, 3, 4]
    assert [one.index for one in results] == [1, 2, 3, 4], "without what `next` took"
    assert len(results) == 5


def test_results_are_a_sequence() -> None:
    results = QA.map(ROWS, engine=engine(), window=2)
    assert len(results) == 6
    assert repr(results) == "<Results: 0 of 6 rows done>"
    assert results[1].index == 1
    assert repr(results) == "<Results: 2 of 6 rows done>"
    assert [one.index for one in results[1:3]] == [1, 2]
    assert repr(results) == "<Results: 3 of 6 rows done>"
    assert isinstance(results[:2], ResultList)
    assert results[-1].index == 5
    assert [one.index for one in results[::-2]] == [5, 3, 1]
    assert repr(results) == "<6 results, 0 failed, 18 calls, 36 tokens>"
    with pytest.raises(IndexError):
        results[6]
    assert len(QA.map(ROWS, engine=engine(), limit=2)) == 2
    assert list(QA.map(ROWS, engine=engine())[2:2]) == []


def test_a_length_that_is_not_known_is_no_guess() -> None:
    results = QA.map(iter(ROWS), engine=engine())
    with pytest.raises(TypeError, match="number of rows is not known"):
        len(results)
    assert results
    assert len(list(results)) == 6
    assert len(results) == 6
    assert not QA.map([], engine=engine())


def test_failures_come_first_in_the_grid() -> None:
    results = broken("q3", "q4").map(ROWS)
    assert [one.index for one in results.failed] == [3, 4]
    shown = page(results)
    assert "6 results, 2 failed" in shown.text
    assert shown.text.index("no q4") < shown.text.index("Q0")
    assert len(page(broken().map([f"q{at}" for at in range(100)])).tags) < 400


def test_results_are_tables() -> None:
    results = broken("q1").map(ROWS[:3])
    assert results.to_dicts()[0].items() >= {"answer": "Q0", "topic": "sums", "error": None}.items()
    assert "no q1" in results.to_dicts()[1]["error"]
    voted = QA.map(ROWS, engine=engine())
    frame = voted.to_pandas()
    assert list(frame["answer"]) == ["42"] * 6
    assert list(frame.columns)[:3] == ["id", "query", "topic"]
    table = voted.to_polars()
    assert table["confidence"].to_list() == pytest.approx([2 / 3] * 6)
    assert json.loads(table["votes"][0]) == {'"42"': 2, '"41"': 1}


def test_dicts_are_the_table_of_a_run(tmp_path: Any) -> None:
    made, rows = broken("q2"), [{**row, "answer": 1, "id": at} for at, row in enumerate(ROWS)]
    made.run(rows, tmp_path / "run")
    lines = (tmp_path / "run" / "flattened" / "000.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == made.map(rows).to_dicts()


def test_an_interrupted_map_keeps_what_was_done() -> None:
    def check(*, query: str) -> str:
        if query == "q3":
            raise KeyboardInterrupt
        return query.upper()

    results = load(text="main = @check", functions={"check": check}).map(ROWS)
    with pytest.raises(MapInterrupted, match="3 of 6 rows done") as caught:
        list(results)
    assert [one.answer for one in results] == ["Q0", "Q1", "Q2"]
    assert len(results) == 3
    assert list(caught.value.results) == list(results)
    assert repr(results) == "<Results: 3 of 6 rows done>"
    assert results.to_pandas().shape[0] == 3


def test_a_long_loop_keeps_no_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "KEPT", 3)
    results = QA.map(ROWS, engine=engine())
    assert len([*results]) == 6
    with pytest.raises(ChainlangError, match="at most 3 of them"):
        results[0]
    with pytest.raises(ChainlangError, match="at most 3 of them"):
        results.to_dicts()
    kept = QA.map(ROWS, engine=engine())
    assert len(kept[:6]) == 6
    assert kept[0].ok


def test_results_that_nobody_has_are_closed() -> None:
    answering = engine(latency=lambda request: 1.0)
    results = QA.map(ROWS, engine=answering)
    next(results)
    gone = weakref.ref(results)
    del results
    assert gone() is None or gc.collect() >= 0
    assert gone() is None
    closed = QA.map(ROWS, engine=answering)
    next(closed)
    closed.close()
    assert len(closed) == 1


def test_map_says_how_to_be_awaited() -> None:
    async def loop() -> None:
        async for _ in QA.map(ROWS, engine=engine()):
            pass

    with pytest.raises(ChainlangError, match="amap"):
        loop().send(None)


def test_results_are_what_map_returns() -> None:
    assert isinstance(QA.map(ROWS, engine=engine()), Results)


# ---------------------------------------------------------------- amap and streams


def test_amap_gives_what_map_gives() -> None:
    async def main() -> tuple[list[Result], ResultList, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(tick())
        looped = [one async for one in QA.amap(ROWS, engine=engine(), window=2)]
        every = await QA.amap(ROWS, engine=engine())
        beside.cancel()
        return looped, every, ticks

    looped, every, ticks = asyncio.run(main())
    assert looped == list(every) == list(QA.map(ROWS, engine=engine()))
    assert ticks > 6, "the event loop goes on"


def test_leaving_amap_aborts_and_errors_are_raised() -> None:
    answering = engine(latency=lambda request: 1.0)

    async def leave() -> int:
        async for one in QA.amap(ROWS, engine=answering, window=1):
            return one.index
        return -1

    assert asyncio.run(leave()) == 0
    assert answering.submitted < 6

    async def fail() -> None:
        async for _ in broken("q1").amap(ROWS, on_error="raise"):
            pass

    with pytest.raises(ChainlangError, match="no q1"):
        asyncio.run(fail())


def test_a_stream_is_read_with_for() -> None:
    stream = chain("E").stream("q", engine=FakeEngine(answers={"": "Hello, you."}))
    assert [str(piece) for piece in stream] == ["Hell", "o, y", "ou."]
    assert stream.result.answer == "Hello, you."
    with pytest.raises(ChainlangError, match="iterated only once"):
        list(stream)
    failing = broken("q").stream("q")
    with pytest.raises(ChainlangError, match="no q"):
        list(failing)


@pytest.mark.parametrize(
    ("text", "given", "printed"),
    [
        ("E", {}, "42"),
        ("3:E", {}, "[E 0] 42\n[E 1] 42\n[E 2] 41"),
        ("3:E", {"sample": 2}, "41"),
        ("3:E >> M", {}, "42"),
        ("3:E >> M", {"stages": "E", "sample": 0}, "42"),
        ("a = E | b = E", {}, "[E 0] 42\n[E 0] 42"),
    ],
)
def test_samples_are_never_mingled_without_names(
    text: str, given: dict[str, Any], printed: str
) -> None:
    stream = chain(text).stream("q", engine=engine(), **given)
    assert "".join(map(str, stream)) == printed


def test_a_sample_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ChainlangError, match="no sample 3"):
        list(chain("3:E").stream("q", sample=3, engine=engine()))
    with pytest.raises(ChainlangError, match="there is 0"):
        list(chain("3:E >> M").stream("q", sample=1, engine=engine()))
