"""`check` ends in a page, whatever a file holds: deep, long and large parts of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainlang.cli import main


def asking(template: str) -> str:
    """Return a file with this prompt."""
    return f'op a : generate {{ user = """{template}""" }}\nmain = a\n'


REFUSED = {
    "an argument of a filter twice": asking("{{ query | indent(width=1, width=2) }}"),
    "an argument of a function twice": asking("{{ namespace(a=1, a=2) }}{{ query }}"),
    "deep loops": asking("{% for a in query %}" * 25 + "{{ a }}" + "{% endfor %}" * 25),
    "deep conditions": asking("{% if query %}" * 150 + "a" + "{% endif %}" * 150),
    "deep parentheses": asking("{{ " + "(" * 150 + "query" + ")" * 150 + " }}"),
    "deep lists": asking("{{ " + "[" * 150 + "query" + "]" * 150 + " }}"),
    "a long path": asking("{{ query" + ".a" * 3000 + " }}"),
    "many filters": asking("{{ query" + " | trim" * 3000 + " }}"),
    "many negations": asking("{{ " + "not " * 3000 + "query }}"),
    "many calls": asking("{{ query" + ".upper()" * 3000 + " }}"),
    "many conditions": asking("{{ " + "1 if query else " * 3000 + "2 }}"),
    "a number of many digits": asking("{{ query ~ " + "9" * 5000 + " }}"),
    "a hexadecimal number of many digits": asking("{{ query * 0x" + "f" * 100_000 + " }}"),
    "a deep schema": 'type @X "' + '{\\"items\\":' * 5000 + "{}" + "}" * 5000 + '"\n'
    'op a : generate -> X { user = "{{ query }}" }\nmain = a',
    "a bound of many digits": "input { n: int(0.." + "9" * 5000 + ") }\nmain = E",
    "an infinite number": 'main = loop(E, until="1e400 > 1")',
    "a number of many digits in a condition": f'main = loop(E, until="{"9" * 1900} > 1")',
    "a long model": "main = E:" + "m" * 300,
    "a long file": 'use "' + "m" * 300 + '.chain"\nmain = E',
    "no UTF-8": "\udcff\udcfe main",
}
ACCEPTED = {
    "many operators": asking("{{ query" + " ~ 1" * 3000 + " }}"),
    "many branches": asking("{% if query %}" + "{% elif query %}" * 300 + "{% endif %}"),
    "many variables": asking("{{ query }}" + "".join(f"{{% set v{n} = 1 %}}" for n in range(300))),
}


def checked(text: str, path: Path) -> object:
    """Return the exit status of `check`."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SystemExit) as stopped:
        main(["check", str(path)])
    return stopped.value.code


@pytest.mark.quick(6)
@pytest.mark.parametrize("name", REFUSED)
def test_an_extreme_file_has_a_page(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(REFUSED[name], tmp_path / "x.chain") == 2
    said = capsys.readouterr().err
    assert said.startswith("error[")
    assert "set_int_max_str_digits" not in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_long_file_is_accepted(name: str, tmp_path: Path) -> None:
    assert checked(ACCEPTED[name], tmp_path / "x.chain") == 0
