"""Places in Python code: the expression that a frame evaluates now, as a span of its source."""

from __future__ import annotations

import ast
import linecache
import sysconfig
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.source import Source, Span

_PACKAGE = str(Path(__file__).parents[1])
_LIBRARY = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), "<frozen "})

Range: TypeAlias = tuple[int, int, int, int]
"""First line and column, last line and column; lines from 1, columns from 0, in bytes."""


@frozen
class Place:
    """A place in code: the span of an expression, or without the source where it is, in words."""

    span: Span | None
    words: str


@frozen
class Instruction:
    """An instruction of some code: its offset, and the names that its file defines."""

    code: CodeType
    offset: int
    names: dict[str, Any] = field(eq=False, repr=False)

    @property
    def place(self) -> Place:
        """The expression that it evaluates.

        Without columns, which ``-X no_debug_ranges`` leaves out, it is the line; without the source
        it is words alone.
        """
        return _place(self.code, self.offset, self.names)


def _place(code: CodeType, offset: int, names: dict[str, Any]) -> Place:
    positions = list(code.co_positions())
    at = positions[offset // 2] if offset >= 0 else (None, None, None, None)
    line, end_line, column, end_column = at
    line = line or code.co_firstlineno
    lines = linecache.getlines(code.co_filename, names)
    words = f"line {line} of {_shown(code.co_filename)}, in {code.co_name}"
    if line > len(lines):
        return Place(None, words)
    if column is None or end_column is None or end_line is None or end_line > len(lines):
        text = lines[line - 1].rstrip()
        start, end = _offset(lines, line, len(text) - len(text.lstrip())), len(text)
        return Place(_span(code, lines, start, _offset(lines, line, end)), words)
    range_ = (line, column, end_line, end_column)
    line, column, end_line, end_column = _looked_at(lines, range_, code)
    start = _offset(lines, line, _characters(lines[line - 1], column))
    end = _offset(lines, end_line, _characters(lines[end_line - 1], end_column))
    return Place(_span(code, lines, start, end), words)


def _looked_at(lines: list[str], at: Range, code: CodeType) -> Range:
    """Return the range of what Python looks at in an expression or a statement with a range.

    That is the test of an `if`, and the list of a `for`. Versions of Python differ in which of both
    an instruction has.
    """
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:  # a notebook's cell may have commands of its own
        return at
    nodes = {_range(one): one for one in ast.walk(tree) if isinstance(one, ast.expr | ast.stmt)}
    while (node := nodes.get(at)) is not None and (found := _inside(node, code)) is not None:
        at = _range(found)
    return at


def _inside(node: ast.AST, code: CodeType) -> ast.expr | None:
    """Return the part of a node that decides how Python goes on."""
    match node:
        case ast.IfExp(test=found) | ast.If(test=found) | ast.While(test=found):
            return found
        case ast.Assert(test=found) | ast.For(iter=found):
            return found
        case ast.UnaryOp(op=ast.Not(), operand=found):
            return found
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            first = node.generators[0]
            is_within = code.co_name.startswith("<") and first.ifs  # Python 3.11 calls it
            return first.ifs[0] if is_within else first.iter
    return None


def _range(node: ast.expr | ast.stmt) -> Range:
    return (
        node.lineno,
        node.col_offset,
        node.end_lineno or node.lineno,
        node.end_col_offset or node.col_offset,
    )


def definition(code: CodeType, names: dict[str, Any]) -> Place:
    """Return the place where a function is defined; the line of its ``def``."""
    lines = linecache.getlines(code.co_filename, names)
    line = code.co_firstlineno
    words = f"line {line} of {_shown(code.co_filename)}, in {code.co_name}"
    while line <= len(lines) and lines[line - 1].lstrip().startswith("@"):
        line += 1
    if line > len(lines):
        return Place(None, words)
    text = lines[line - 1].rstrip()
    start, end = (
        _offset(lines, line, len(text) - len(text.lstrip())),
        _offset(lines, line, len(text)),
    )
    return Place(_span(code, lines, start, end), words)


def here(frame: FrameType | None) -> Instruction | None:
    """Return the instruction of the user's code from which a frame was called.

    The package and Python's own library are passed over; None if there is nothing else.
    """
    while frame is not None:
        if not _is_passed(frame):
            return Instruction(frame.f_code, frame.f_lasti, frame.f_globals)
        frame = frame.f_back
    return None


def raised_at(traceback: TracebackType | None) -> Place | None:
    """Return the innermost place in the user's code of an exception."""
    found = None
    while traceback is not None:
        if not _is_passed(traceback.tb_frame):
            frame = traceback.tb_frame
            found = Instruction(frame.f_code, traceback.tb_lasti, frame.f_globals).place
        traceback = traceback.tb_next
    return found


def is_ours(frame: FrameType) -> bool:
    """Return whether a frame is of this package."""
    return frame.f_code.co_filename.startswith(_PACKAGE)


def _is_passed(frame: FrameType) -> bool:
    return is_ours(frame) or frame.f_code.co_filename.startswith(_LIBRARY)


def _offset(lines: list[str], line: int, column: int) -> int:
    return sum(map(len, lines[: line - 1])) + column


def _characters(line: str, column: int) -> int:
    """Return a column in characters; Python counts bytes of UTF-8."""
    return len(line.encode()[:column].decode(errors="replace"))


def _span(code: CodeType, lines: list[str], start: int, end: int) -> Span:
    return Span(Source("".join(lines), _shown(code.co_filename)), start, max(end, start + 1))


def _shown(file: str) -> str:
    """Return the name of a file, from the current folder if it is below."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file
