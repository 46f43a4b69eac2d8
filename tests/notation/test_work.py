"""The work of checking a text grows with its length, however many names are unknown."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from chainlang import ChainlangError, load
from chainlang.diagnostics.render import MOST
from chainlang.diagnostics.suggest import nearest
from chainlang.limits import Limits

SMALL, LARGE = 40, 160


def _name(number: int) -> str:
    """A name that shares letters with the others, and is near to none."""
    letters = (
        number * step + number // 26 * shift for step, shift in zip(_STEPS, _SHIFTS, strict=True)
    )
    return "".join(chr(97 + letter % 26) for letter in letters)


_STEPS, _SHIFTS = (7, 11, 3, 17, 5, 1, 23, 19, 9), (1, 3, 5, 9, 11, 15, 17, 19, 21)


def _lines(line: Callable[[int], str]) -> Callable[[int], str]:
    return lambda n: "".join(line(number) for number in range(n))


def _in_sequence(before: str, part: Callable[[int], str]) -> Callable[[int], str]:
    return lambda n: before + "main = " + " >> ".join(part(number) for number in range(n))


def _asking(template: Callable[[int], str], fields: Callable[[int], str]) -> Callable[[int], str]:
    def text(n: int) -> str:
        row = "".join(f", d{fields(number)}: str" for number in range(n))
        tags = " ".join(template(number) for number in range(n))
        return f'input {{ query: str{row} }}\nop o : generate {{ user = "{tags}" }}\nmain = o'

    return text


KINDS: dict[str, Callable[[int], str]] = {
    "definitions": lambda n: (
        _lines(lambda i: f"d{_name(i)} = E\n")(n) + _in_sequence("", lambda i: f"$u{_name(i)}")(n)
    ),
    "stage types": lambda n: (
        _lines(lambda i: f'op d{_name(i)} : generate {{ user = "{{{{ query }}}}" }}\n')(n)
        + _in_sequence("", lambda i: f"u{_name(i)}")(n)
    ),
    "models": lambda n: (
        _lines(lambda i: f'model d{_name(i)} = fake("a")\n')(n)
        + _in_sequence("", lambda i: f"E:u{_name(i)}")(n)
    ),
    "types": lambda n: (
        _lines(lambda i: f"type d{_name(i)} {{ a: str }}\n")(n)
        + f"input {{ {', '.join(f'a{i}: u{_name(i)}' for i in range(n))} }}\nmain = E"
    ),
    "names in a template": _asking(lambda i: f"{{{{ u{_name(i)} }}}}", _name),
    "guarded names": _asking(lambda i: f"{{{{ u{_name(i)} | default(1) }}}}", _name),
    "placeholders": _asking(lambda i: f"{{d{_name(i)}}}", _name),
    "fields of a part": lambda n: (
        f"op a : generate -> {{ {', '.join(f'd{_name(i)}: str' for i in range(n))} }} "
        f'{{ user = "{{{{ query }}}}" }}\nop o : generate {{ user = "'
        + " ".join(f"{{{{ a.u{_name(i)} }}}}" for i in range(n))
        + '" }\nmain = a >> o'
    ),
    "options": lambda n: f"main = E({', '.join(f'u{_name(i)}=1' for i in range(n))})",
    "duplicate labels": _in_sequence("", lambda _: "(x = E)"),
    "duplicate definitions": lambda n: "d = E\n" * n + "main = $d",
    "unused definitions": lambda n: _lines(lambda i: f"d{_name(i)} = E\n")(n) + "main = E",
    "warnings": _in_sequence("", lambda _: "3:E(need=3)"),
    "queries in a template": lambda n: (
        f'op o : generate {{ user = "{"{{ query }}" * 4 * n}" }}\nmain = o'
    ),
    "timeouts in definitions": lambda n: (
        "a0 = M\n"
        + _lines(lambda i: f"a{i + 1} = timeout($a{i} & $a{i}, seconds=1)\n")(min(n, 90))
        + "main = 3:E >> E"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_work_grows_with_the_text(kind: str) -> None:
    _check(KINDS[kind](2))  # what is loaded once
    small, large = (_calls(KINDS[kind](size)) for size in (SMALL, LARGE))
    assert large < 1.8 * small * LARGE / SMALL


def _calls(text: str) -> int:
    """Return the number of function calls that checking a text takes, of Python and of C."""
    count = 0

    def counted(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        _check(text)
    finally:
        sys.setprofile(None)
    return count


def _check(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            load(text=text)
        except ChainlangError as error:
            str(error)


def test_a_page_shows_twenty_errors_and_counts_the_others() -> None:
    with pytest.raises(ChainlangError) as caught:
        load(text=KINDS["definitions"](300))
    page = str(caught.value)
    assert page.count("error[unknown-name]") == MOST == 20
    assert page.endswith("and 280 more errors")
    assert len(caught.value.diagnostics) == 300
    assert caught.value.diagnostics[299].hint is not None


def test_a_suggestion_is_found_among_many_names() -> None:
    known = [f"d{_name(number)}" for number in range(900)]
    assert nearest("temprature", [*known, "temperature"]) == ["temperature"]


@pytest.mark.parametrize(
    "text",
    [
        f'op o : generate {{ user = "{"{{ query }}" * 10_001}" }}\nmain = o',
        f'op o : generate {{ user = "a" prefix = "{"{{ query }}" * 10_001}" }}\nmain = o',
        f'input {{ a: str, query = "{"{% if a %}{% endif %}" * 5_001}" }}\nmain = E',
        "".join(f'op o{i} : generate {{ user = "{"{{ a }}" * 600}" }}\n' for i in range(17))
        + "main = o1",
    ],
    ids=["a prompt", "a prefix", "a derived field", "several prompts"],
)
def test_templates_have_a_limit(text: str) -> None:
    with pytest.raises(ChainlangError) as caught:
        load(text=text)
    assert [one.code for one in caught.value.diagnostics] == ["limit"]
    with pytest.raises(ChainlangError), Limits(template_tags=5).applied():
        load(
            text='op o : generate { user = "{{ a }}{{ b }}{{ c }}{{ d }}{{ e }}{{ f }}" }\nmain = o'
        )
