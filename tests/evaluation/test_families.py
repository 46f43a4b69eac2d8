"""Families: sets of chains in both doors, and sweeps over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import E, J, Limits, M, chain, fallback, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError, ChainlangWarning
from chainlang.evaluation import Family, evaluate, family, pick, sweep
from chainlang.protocol.messages import Request

SAME: list[tuple[str, Any]] = [
    ("{1, 3}:E:{a, b}:{0.5, 0.7} >> M", E(pick("a", "b"), pick(1, 3), pick(0.5, 0.7)) >> M),
    ("3:E:m >> {M, J:big}", E("m", 3) >> pick(M, J("big"))),
    ("{E, E >> M} >> J", pick(E, "E >> M") >> J),
    ("2:E:m(max_tokens={8, 16}) >> M", E("m", 2, max_tokens=pick(8, 16)) >> M),
    ("x = {E, J}", pick(E, J).named("x")),
    ("2 * {E, E:b}", 2 * pick(E, "E:b")),
    ("E:a & {E:b, E:c} & E:d", E("a") & pick(E("b"), E("c")) & E("d")),
    ("(E:a & {E:b, E:c}) >> J", (E("a") & pick(E("b"), E("c"))) >> J),
    ("E:a | {E:b, E:c}", "E:a" | pick(E("b"), E("c"))),
    (
        '{2, 4}:E:{"b c", d}(logit_bias={"5": 1})',
        E(pick("b c", "d"), pick(2, 4), logit_bias={"5": 1}),
    ),
]


@pytest.mark.parametrize(("text", "made"), SAME)
def test_text_and_operators_are_one_language(text: str, made: Family) -> None:
    def chains(of: Family) -> set[Any]:
        return {one.chain for one in of}

    assert chains(family(text)) == chains(made)
    assert len(made) == len(chains(made))
    assert chains(family(str(made))) == chains(made)


def test_choices_have_names_of_their_own() -> None:
    made = E("m", pick(1, 3)) >> E("m", pick(2, 4)) >> pick(M, J, name="how")
    assert made.choices == {"E.count": (1, 3), "E.count_2": (2, 4), "how": ("M", "J")}
    assert dict(family("{1, 3}:E:m >> {2, 4}:E:m")[3].choices) == {"E.count": 3, "E.count_2": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{1, 3:E", "this '{' is never closed\n --> <family>:1:1\n"),
        ("{1, 1}:E", "a set has an alternative twice\n --> <family>:1:1\n"),
        ("3:E:{a, }", "a set has an empty alternative\n --> <family>:1:5\n"),
        ("{1, {3, 5}}:E", "a set stands in a set"),
        ("{1, 3}:E >> {N, M}", "unknown stage type 'N'"),
        ("{0, 3}:E", "invalid count 0"),
    ],
)
def test_a_wrong_text_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ChainlangError) as error:
        family(text)
    assert message in str(error.value)


def test_a_family_is_no_chain() -> None:
    made = E("m", pick(1, 3)) >> M
    with pytest.raises(ChainlangError, match="evaluate it with sweep or tune"):
        fallback(made, E)
    with pytest.raises(ChainlangError, match="a choice has no values"):
        pick()
    with pytest.raises(ChainlangError, match="has 3 twice"):
        pick(3, 1, 3)
    wide = E("m", pick(*range(1, 11)))
    with (
        pytest.raises(ChainlangError, match="a family of 1,000 chains: the limit is 999"),
        Limits(members=999).applied(),
    ):
        assert wide >> wide >> wide


def test_a_text_uses_the_declarations_of_a_file() -> None:
    beside = load(text='op ask : generate { user = "Q: {{ query }}" }\nmain = ask')
    made = family("{1, 3}:ask:m:0.7 >> M", beside)
    assert [one.chain(query="q", engine=FakeEngine()).usage.calls for one in made] == [1, 3]


def test_one_warning_of_a_kind_is_enough() -> None:
    with pytest.warns(ChainlangWarning) as found:
        family("{3, 5}:E:{a, b}:0 >> M")
    assert len(found) == 1


# ---------------------------------------------------------------- sweeps

ROWS = [{"query": f"{n} + 1", "sum": n + 1} for n in range(12)]
WIDTHS = E("m", pick(1, 3, 5, 9), 0.7) >> M


def guess(request: Request, number: int) -> str:
    right = int(request.messages[-1].text.split()[0]) + 1
    return str(right + (request.seed + number) % 5 // 3)


class Counted(FakeEngine):
    """An engine that counts the samples that it makes."""

    def __init__(self) -> None:
        super().__init__(answers=guess)
        self.drawn = 0

    def submit(self, requests: Any) -> None:
        several = list(requests)
        self.drawn += sum(one.drawn for one in several)
        super().submit(several)


def test_a_family_of_widths_costs_the_widest_and_each_answers_as_alone() -> None:
    shared, alone = Counted(), Counted()
    found = sweep(WIDTHS, ROWS, target="sum", engine=shared)
    singles = [evaluate(one.chain, ROWS, target="sum", engine=Counted()) for one in WIDTHS]
    assert [one.evaluation.scores for one in found.members] == [one.scores for one in singles]
    evaluate(chain("9:E:m:0.7 >> M"), ROWS, target="sum", engine=alone)
    assert shared.drawn == alone.drawn


def test_a_sweep_in_a_folder_resumes_and_keeps_its_table(tmp_path: Path) -> None:
    first, again = Counted(), Counted()
    found = sweep(WIDTHS, ROWS, target="sum", engine=first, out=tmp_path / "sweep")
    repeated = sweep(WIDTHS, ROWS, target="sum", engine=again, out=tmp_path / "sweep")
    assert again.drawn == 0
    assert repeated.to_dicts() == found.to_dicts()
    table = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert table["members"] == found.to_dicts()
    assert [one["E.count"] for one in table["members"]] == [1, 3, 5, 9]


def test_members_compare_and_make_a_frame() -> None:
    found = sweep("E:m:0.7", ROWS, target="sum", engine=Counted())
    assert len(found.members) == 1  # a chain is a family of one
    found = sweep(WIDTHS, ROWS, target="sum", engine=Counted())
    assert found.compare(0, 3).rows == len(ROWS)
    frame = found.to_pandas()
    assert list(frame["accuracy"]) == [one.evaluation.accuracy for one in found.members]
    assert found.best.evaluation.accuracy == frame["accuracy"].max()
    with pytest.raises(ChainlangError, match=r"did you mean 'E.count'"):
        found.plot("E.cont")


def test_a_plot_has_a_line_for_each_value_of_a_choice(tmp_path: Path) -> None:
    made = E(pick("a", "b"), pick(1, 3), 0.7) >> M
    found = sweep(made, ROWS, target="sum", engine=Counted())
    axes = found.plot("E.count", by="E.model")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["E.model = a", "E.model = b"]
    line = axes.containers[0].lines[0]
    assert list(line.get_xdata()) == [1, 3]
    expected = [100 * one.evaluation.accuracy for one in found.members[:2]]
    assert list(line.get_ydata()) == expected
    axes.figure.savefig(tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1_000
