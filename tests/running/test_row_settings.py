"""Settings of a stage that depend on the row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, E, J, M, chain, load, models, retry
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Request

ALL = '9:E(samples="{{ n }}", temperature="{{ t }}", max_tokens="{{ k }}")'
PICKED = 'E(model="{{ m }}", models=["a", "b"])'


def asked(made: Chain, row: dict[str, Any], **settings: Any) -> set[tuple[Any, ...]]:
    """Return what the requests of a row ask for."""
    found: set[tuple[Any, ...]] = set()

    def answers(request: Request, index: int) -> None:
        sampling = request.sampling
        found.add((
            request.model, sampling.temperature, sampling.max_tokens, request.budgets,
            request.seed, request.messages,
        ))  # fmt: skip

    made(row, engine=FakeEngine(answers=answers), **settings)
    return found


@pytest.mark.parametrize(
    ("varying", "constant", "values"),
    [
        (ALL, "3:E::0.5(max_tokens=40)", {"n": 3, "t": 0.5, "k": 40}),
        (f"{ALL} >> M", "9:E::0(max_tokens=1) >> M", {"n": "9", "t": "0", "k": "1"}),
        (f"E >> {PICKED}", "E >> E:b", {"m": "b"}),
        ('2:V(max_tokens="{{ k }}")', "2:V(max_tokens=64)", {"k": 64}),
        ('J(max_tokens="{{ k }}") >> E', "J(max_tokens=64) >> E", {"k": 64}),
        ('retry(3:E(samples="{{ n }}") >> J)', "retry(2:E >> J)", {"n": 2}),
        ('each(2:E(samples="{{ item }}"), over="ns")', 'each(2:E, over="ns")', {"ns": [2, 2]}),
        ('loop(E(temperature="{{ round + 1 }}"), until="true")', "E::1", {}),
    ],
)
@pytest.mark.parametrize("passes", [None, ()])
def test_a_row_is_that_of_the_chain_with_its_values(
    varying: str, constant: str, values: dict[str, Any], passes: object
) -> None:
    row = {"query": "what?", "responses": ["x"], **values}
    assert asked(chain(varying), row, passes=passes) == asked(chain(constant), row, passes=passes)


def test_the_values_of_a_part_before_it_are_read() -> None:
    made = load(
        text="""
        op size : generate -> { n: int(1..3), heat: float(0..1) } { user = "{{ query }}" }
        main = size >> 3:E(samples="{{ size.n }}", temperature="{{ size.heat }}", fresh=true)
    """
    )
    engine = FakeEngine(answers={"": '{"n": 2, "heat": 1.0}'})
    assert len(made("q", engine=engine).candidates) == 2


def test_an_op_has_them_among_its_settings() -> None:
    made = load(
        text="""
        op write : generate {
          user = "{{ query }}" temperature = "{{ heat }}" max_tokens = "{{ most }}"
          model = "{{ m }}" models = ["a", "b"]
        }
        main = write >> write:a:1(max_tokens=7)
    """
    )
    found = asked(made, {"query": "?", "heat": 0.25, "most": 5, "m": "b"})
    assert {one[:3] for one in found} == {("b", 0.25, 5), ("a", 1.0, 7)}


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        (ALL, {"n": 10, "t": 1, "k": 1}, "samples= is 10: it is a whole number from 1 to 9"),
        (ALL, {"n": 1.5, "t": 1, "k": 1}, "samples= is 1.5: it is a whole number from 1 to 9"),
        (ALL, {"n": 1, "t": 2.5, "k": 1}, "temperature= is 2.5: it is 0, or from 0.01 to 2"),
        (ALL, {"n": 1, "t": "hot", "k": 1}, 'temperature= is "hot": it is 0, or from 0.01 to 2'),
        (ALL, {"n": 1, "t": True, "k": 1}, "temperature= is true: it is 0, or from 0.01 to 2"),
        (ALL, {"n": 1, "t": 1, "k": 10**6}, "max_tokens= is 1000000: it is a whole number from 1"),
        (ALL, {"n": 1, "t": 1}, "max_tokens= can't be filled in: 'k' is undefined"),
        (PICKED, {"m": "c"}, 'model= is "c", and models= has "a", "b"'),
        (PICKED, {"m": "{{ query }}"}, 'model= is "{{ query }}", and models= has "a", "b"'),
    ],
)
def test_a_value_out_of_range_fails_the_row(text: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ChainlangError, match="E failed") as caught:
        chain(text)({"query": "?", **row}, engine=FakeEngine())
    assert message in str(caught.value)


def test_only_the_rows_out_of_range_fail() -> None:
    rows = [{"query": "?", "n": n} for n in (1, 0, 3)]
    found = chain('3:E(samples="{{ n }}") >> M').map(rows, engine=FakeEngine(), on_error="collect")
    assert [one.ok for one in found] == [True, False, True]


def test_python_writes_the_same_chain() -> None:
    assert E("{{ m }}", 9, "{{ t }}", samples="{{ n }}", models=["a", "b"]) == chain(
        '9:E(model="{{ m }}", models=["a", "b"], samples="{{ n }}", temperature="{{ t }}")'
    )
    assert retry(J(max_tokens="{{ k }}")) >> M == chain('retry(J(max_tokens="{{ k }}")) >> M')


def test_rows_with_equal_settings_share_samples_with_the_constant_chain(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path}
    row = {"id": "1", "query": "?", "n": 2, "t": 0.5}
    assert len(asked(chain("2:E::0.5"), row, **settings)) == 1
    varying = chain('9:E(samples="{{ n }}", temperature="{{ t }}")')
    assert not asked(varying, row, **settings)


def test_the_estimate_has_the_bounds_or_the_value_of_a_known_row() -> None:
    made = chain('9:E(samples="{{ n }}") >> M')
    assert "samples        1 to 9" in str(made.explain())
    known = str(made.explain([{"query": "?", "n": 2}], engine=FakeEngine()))
    assert re.search(r"samples +2 +2\n", known)


def test_the_models_of_a_list_are_found_by_name() -> None:
    stage = """E(model="{{ 'a' if query == 'x' else 'b' }}", models=["a", "b"])"""
    op = """op ask : generate { model = "{{ query }}" models = ["a", "b"] user = "{{ query }}" }
main = ask
"""
    with models.use(a=models.fake("a"), b=models.fake("b")):
        for made, rows in ((chain(stage), ["x", "y"]), (load(text=op), ["a", "b"])):
            assert [one.candidates[0].model for one in made.map(rows)] == ["a", "b"]
            made.check()
