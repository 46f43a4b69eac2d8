"""Messages and hints are for people: no code of the package reads what they say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "chainlang"

ALLOWED = {
    "analysis/check_templates.py": "jinja gives the reason of a syntax error in a sentence alone",
    "datatypes/check_types.py": "pydantic marks the place in a pattern with a caret in its message",
    "datatypes/from_python.py": "pydantic's errors about a class have several lines",
    "engines/grammar/json_schema.py": "xgrammar's errors hold the address of its source",
    "engines/http/reach.py": "the system's errors begin with a number",
    "engines/vllm/load_errors.py": "vLLM, torch and the hub raise sentences alone",
    "data/jsonl.py": "the standard library's reasons begin with a capital",
    "data/parquet.py": "pyarrow's errors have several lines",
    "tracer/type_errors.py": "functions in C name the class of a value in their message alone",
    "diagnostics/render.py": "each line of a hint is shown as a hint of its own",
}
"""Modules that may read a text: that of another library, which has no other data, or to show it."""

_SEARCHES = {
    "casefold", "count", "endswith", "find", "index", "lower", "lstrip", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "rstrip",
    "split", "splitlines", "startswith", "strip", "translate", "upper",
}  # fmt: skip
_MATCHES = {"findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn"}


class Reading(ast.NodeVisitor):
    """Finds, in one module, where a text that may be a message is searched, cut or compared."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.errors: set[str] = set()
        self.texts: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before = self.errors.copy(), self.texts.copy()
        self.generic_visit(node)
        self.errors, self.texts = before

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.errors |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        kind = ast.unparse(node.annotation) if node.annotation else ""
        if kind.endswith(("Error", "Exception")):
            self.errors.add(node.arg)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.texts = self.texts | names if self.is_prose(node.value) else self.texts - names

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        if self.is_prose(node.value):
            self.texts.add(node.target.id)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            searched = node.func.attr in _SEARCHES and self.is_prose(node.func.value)
            matched = node.func.attr in _MATCHES and any(map(self.is_prose, node.args))
            if searched or matched:
                self.note(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            looks = isinstance(operator, ast.In | ast.NotIn) and self.is_prose(right)
            same = isinstance(operator, ast.Eq | ast.NotEq) and (
                self.is_prose(right) or self.is_prose(node.left)
            )
            if looks or same:
                self.note(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if self.is_prose(node.value):
            self.note(node)

    def note(self, node: ast.expr) -> None:
        self.found.append(ast.unparse(node))

    def is_prose(self, node: ast.expr) -> bool:
        """Return whether an expression is a message, a hint or the text of an error."""
        match node:
            case ast.Attribute(attr="message" | "hint" | "msg"):
                return True
            case ast.Name(name):
                return name in self.texts
            case ast.Call(func=ast.Name("str" | "repr"), args=[ast.Name(name)]):
                return name in self.errors
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _SEARCHES:
                return self.is_prose(value)
            case ast.JoinedStr(values):
                return any(self.is_prose(one) for one in values)
            case ast.FormattedValue(value):
                return self.is_prose(value)
            case ast.BoolOp(values=values):
                return any(self.is_prose(one) for one in values)
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_prose(body) or self.is_prose(orelse)
            case ast.BinOp(left=left, right=right):
                return self.is_prose(left) or self.is_prose(right)
        return False


def readings(text: str) -> list[str]:
    """Return the expressions of a module that read a message, a hint or the text of an error."""
    reading = Reading()
    reading.visit(ast.parse(text))
    return reading.found


def modules() -> Iterator[tuple[str, str]]:
    """Yield the path of each module in the package, and its text."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_no_code_reads_prose() -> None:
    found = {path: said for path, text in modules() if (said := readings(text))}
    assert {path: said for path, said in found.items() if path not in ALLOWED} == {}
    assert found.keys() == ALLOWED.keys()


@pytest.mark.parametrize(
    "code",
    [
        "missed = MISSED.match(one.message)",
        "re.search('there is no', found.hint)",
        "said = f'{found.message} {found.hint}'\nnamed = [name for name in names if name in said]",
        "reason = page.message\nreason = reason.partition(': ')[2]",
        "if found.message.startswith('unknown'): pass",
        "try: run()\nexcept ChainlangError as error:\n    if 'model' in str(error): pass",
        "try: run()\nexcept ValueError as error:\n    first = str(error).splitlines()",
        "def told(error: EngineError) -> str:\n    return str(error).split(':')[0]",
        "kind = 1 if one.message == 'unknown' else 2",
        "short = (found.hint or '')[:10]",
    ],
)
def test_code_that_reads_prose_is_found(code: str) -> None:
    assert readings(code)


@pytest.mark.parametrize(
    "code",
    [
        "note(f'{path}: {one.message}', one.hint)",
        "if one.hint: lines.append(one.hint)",
        "if one.kind == 'model' and one.subject in lost: pass",
        "for line in request.messages: print(line)",
        "text = one.message\ntext = 'other'\ntext.split()",
    ],
)
def test_code_that_passes_prose_on_is_not_found(code: str) -> None:
    assert readings(code) == []
