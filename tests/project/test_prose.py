"""Words and openings that documentation, comments and messages must not have."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
RIDDLES = re.compile(r"\b(?:is told|are told|whoever|somebody|nobody)\b", re.IGNORECASE)
WORDS = re.compile(r"told|whoever|somebody|nobody", re.IGNORECASE)
"""A word that each riddle has: most files have none, and need no closer look."""
CLAUSE = re.compile(r"(?:What|Who|How|Where|When|Which)\b")
BOOLEAN = re.compile(r"Whether\b")
"""Opens the docstring of a boolean attribute or property, and of nothing else."""


def files() -> list[Path]:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("grammar/*.md")]
    return sorted([*pages, *ROOT.glob("chainlang/**/*.py"), *ROOT.glob("chainlang/**/*.md")])


def is_property(node: ast.AST) -> bool:
    decorators = getattr(node, "decorator_list", [])
    return any(ast.unparse(one).endswith("property") for one in decorators)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a module, and all statements in it."""
    yield node
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from statements(one)


def docstrings(module: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and text of each docstring, and whether an attribute or a property has it."""
    for node in statements(module):
        for index, one in enumerate(getattr(node, "body", ())):
            if not isinstance(one, ast.Expr) or not isinstance(one.value, ast.Constant):
                continue
            if isinstance(one.value.value, str):
                yield one.lineno, one.value.value.strip(), index > 0 or is_property(node)


def findings(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        for number, line in enumerate(text.splitlines(), 1):
            yield from (f"{number}: {found}" for found in RIDDLES.findall(line))
        return
    module = ast.parse(text)
    for node in ast.walk(module) if WORDS.search(text) else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            joined = " ".join(node.value.split())  # a phrase may be broken between two lines
            yield from (f"{node.lineno}: {found}" for found in RIDDLES.findall(joined))
    if RIDDLES.search(text):  # a comment is in one line, so most files have none
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield from (f"{token.start[0]}: {found}" for found in RIDDLES.findall(token.string))
    for number, docstring, of_value in docstrings(module):
        if found := CLAUSE.match(docstring) or (not of_value and BOOLEAN.match(docstring)):
            yield f"{number}: begins with {found[0]}"


def test_no_file_has_riddles() -> None:
    found = {str(path.relative_to(ROOT)): list(findings(path)) for path in files()}
    assert len(found) > 100
    assert not {name: said for name, said in found.items() if said}


def test_findings_are_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        '"""What a module is."""\n'
        "# nobody reads this\n"
        "class A:\n"
        '    """Whether it is one."""\n'
        "    b: int\n"
        '    """Whether it is allowed here, for whoever\n    asks."""\n'
        "    @property\n"
        "    def c(self) -> str:\n"
        '        """Whether it is allowed here."""\n'
        '        return f"it is\\ntold {self.b}" + "somebody"\n'
    )
    assert sorted(findings(bad)) == [
        "11: is told",
        "11: somebody",
        "1: begins with What",
        "2: nobody",
        "4: begins with Whether",
        "6: whoever",
    ]
