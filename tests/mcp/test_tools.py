"""Tools of servers as values in Python."""

from __future__ import annotations

from typing import Literal

import pytest

from chainlang import E, load, mcp
from chainlang.errors import ChainlangError

FILES = mcp.server("files", "npx", args=["-y", "server-files"], sandbox="none")


def test_a_tool_in_python_is_that_of_a_file() -> None:
    read = FILES.tool(
        "read-file",
        args={"path": "{{ query }}", "of": {"n": [1, "{{ n }}"]}},
        returns=Literal["a", "b"],
        pure=True,
    )
    text = """
server files = mcp("npx", args=["-y", "server-files"], sandbox="none")
op read_file : tool -> "a" | "b" {
  server = files
  tool = "read-file"
  args = {"path": "{{ query }}", "of": {"n": [1, "{{ n }}"]}}
  pure = true
}
main = read_file >> E:tiny
"""
    assert read >> E("tiny") == load(text=text, allow=["sandbox"])
    assert str(read >> E("tiny")) == text.lstrip()


def test_a_tool_takes_a_count_and_options() -> None:
    read = FILES.tool("read", args={"path": "{{ query }}"}, name="get")
    assert str(read(3, need=2)).endswith("main = 3:get(need=2)\n")
    assert repr(read).startswith("ToolStage('get', server='files', tool='read', args={'path'")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FILES.tool("a b"), "expected the name of a tool"),
        (lambda: FILES.tool("read", args={"path": "{{ "}), "never closed"),
        (lambda: FILES.tool("read", user="{{ query }}"), "unknown setting 'user'"),
        (lambda: FILES.tool("read")(model="tiny"), "calls a tool, which has no model"),
        (lambda: mcp.server("files", "npx", arguments=["a"]), "unknown setting 'arguments'"),
        (lambda: mcp.server("no name", "npx"), "can't be the name of a server"),
        (lambda: FILES.tool("read", returns="strr"), "unknown type 'strr'"),
    ],
)
def test_mistakes_are_refused(make: object, message: str) -> None:
    with pytest.raises(ChainlangError, match=message):
        make()  # type: ignore[operator]
