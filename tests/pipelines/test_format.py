"""Formatting of files of steps: it changes no value, keeps comments, and is idempotent."""

from __future__ import annotations

import pytest

from chainlang.notation import source
from chainlang.pipelines.format import format_steps
from tests.pipelines.test_reader import plain, read


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("a: 1", "a: 1\n"),
        ("a: <AUTO>b: c, d # e</AUTO>  # why\n\n\n", "a: '<AUTO>b: c, d # e</AUTO>'  # why\n"),
        ('a: [<AUTO>b</AUTO>, "<AUTO>c</AUTO>"]\n', "a: ['<AUTO>b</AUTO>', \"<AUTO>c</AUTO>\"]\n"),
        ("a: <AUTO>it's\n  two lines</AUTO>\n", "a: '<AUTO>it''s two lines</AUTO>'\n"),
        ('a: <AUTO type="int" min=1>n</AUTO>\n', "a: '<AUTO type=\"int\" min=1>n</AUTO>'\n"),
        ("a: |\n  <AUTO>b\n  c</AUTO>\nd: é\n", "a: |\n  <AUTO>b\n  c</AUTO>\nd: é\n"),
    ],
)
def test_formatting(text: str, formatted: str) -> None:
    assert format_steps(source(text)) == formatted
    assert format_steps(source(formatted)) == formatted
    assert plain(read(formatted)) == plain(read(text))
