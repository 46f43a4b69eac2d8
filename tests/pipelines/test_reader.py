"""The reader of YAML: values with spans, and what is said of a text that it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chainlang.errors import ERRORS, ChainlangError, LimitError
from chainlang.limits import Limits
from chainlang.notation import source
from chainlang.pipelines.read_yaml import read_yaml
from chainlang.pipelines.values import Auto, Fields, Items, Scalar, Value, shown_path
from tests.cases import Case, each_case

Golden = Callable[[Case, str], None]


def read(text: str) -> Value:
    return read_yaml(source(text, "x.yaml"))


def leaves(value: Value) -> Iterator[Scalar | Auto]:
    match value:
        case Fields():
            for entry in value.entries:
                assert entry.key_span.text.strip("\"'") == entry.key
                yield from leaves(entry.value)
        case Items():
            for item in value.items:
                yield from leaves(item)
        case _:
            yield value


def plain(value: Value) -> object:
    match value:
        case Fields():
            return {entry.key: plain(entry.value) for entry in value.entries}
        case Items():
            return [plain(item) for item in value.items]
        case Auto():
            return ("AUTO", value.text, *value.attributes)
    return value.value


@each_case("pipelines/unreadable.cases")
def test_refused_text(case: Case, golden: Golden) -> None:
    with pytest.raises(ChainlangError) as raised:
        read(case.text)
    assert type(raised.value) is ERRORS[raised.value.diagnostics[0].code]
    golden(case, str(raised.value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: no", "no"),
        ("a: 012", 12),
        ("a: 0x10", "0x10"),
        ("a: 1_000", "1_000"),
        ("a: 1:30", "1:30"),
        ("a: 1.0.0", "1.0.0"),
        ("a: -2.5e1", -25.0),
        ("a: 1e999", "1e999"),
        ("a: .inf", ".inf"),
        ("a: 2026-11-30", "2026-11-30"),
        ("a: ~", None),
        ("a:", None),
        ("a: TRUE", True),
        ("a: 'true'", "true"),
        ('a: "1"', "1"),
        ("a: |\n  1\n", "1\n"),
        ("a: [1, {b: c}]", [1, {"b": "c"}]),
        ("---\na: 1\n...\n", 1),
    ],
)
def test_scalars_are_of_yaml_1_2(text: str, expected: object) -> None:
    found = plain(read(text))
    assert found == {"a": expected}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: <AUTO>choose: b, c or d # now</AUTO>", ("AUTO", "choose: b, c or d # now")),
        ("a: '<AUTO>it''s</AUTO>'", ("AUTO", "it's")),
        (r'a: "<AUTO>say \"b\"</AUTO>"', ("AUTO", 'say "b"')),
        ("a: <AUTO>one\n  two</AUTO>", ("AUTO", "one two")),
        ("a: |\n  <AUTO>one\n  two</AUTO>", ("AUTO", "one two")),
        ('a: <AUTO type="int" min=1>n</AUTO>', ("AUTO", "n", ("type", "int"), ("min", "1"))),
        ("a: {b: <AUTO>x, y</AUTO>}", {"b": ("AUTO", "x, y")}),
        ("a: [<AUTO>x] y</AUTO>, z]", [("AUTO", "x] y"), "z"]),
        ("# <AUTO>\na: <AUTO>x</AUTO>", ("AUTO", "x")),
        ("a: a < b", "a < b"),
        ("a: '{{ b }}'", "{{ b }}"),
    ],
)
def test_auto_hides_its_characters(text: str, expected: object) -> None:
    assert plain(read(text)) == {"a": expected}


def test_spans_are_the_text_and_paths_lead_to_it() -> None:
    text = 'é: "😀"\nsteps:\n  - id: a\n    n: [1, 2.5, <AUTO>x: y</AUTO>]\n    "q r": z\n'
    found = list(leaves(read(text)))
    assert [one.span.text for one in found] == ['"😀"', "a", "1", "2.5", "<AUTO>x: y</AUTO>", "z"]
    assert [shown_path(one.path) for one in found] == [
        "é", "steps[0].id", "steps[0].n[0]", "steps[0].n[1]", "steps[0].n[2]", "steps[0].q r",
    ]  # fmt: skip


def test_bombs_are_refused() -> None:
    for text in ("a: " + "[" * 200 + "]" * 200, "[" * 500_000, "{a: " * 50_000):
        with pytest.raises(LimitError, match=r"nested (101|1001) deep"):
            read(text)
    with pytest.raises(LimitError, match="more than 100 values"), Limits(nodes=100).applied():
        read("- a\n" * 101)
    with pytest.raises(LimitError, match="bytes"):
        read("a: " + "b" * (1 << 20))
    for text in ("<AUTO>" * 100_000, "a: " + "<AUTO " * 100_000, "</AUTO>" * 100_000):
        with pytest.raises(ChainlangError):
            read(text)
