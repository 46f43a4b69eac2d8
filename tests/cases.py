"""Cases as data: a text, and what becomes of it. tests/fixtures/README.md shows the format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

FIXTURES = Path(__file__).parent / "fixtures"
_HEADER = re.compile(r"---- (?P<name>.+?)(?P<escapes> \[escapes\])?\n")
_ARROW = "=>\n"
_PART = re.compile(r"(?m)^-- (?P<path>\S+)(?: -> (?P<target>\S+))? --\n")
_ESCAPE = re.compile(r"\\(?:x(..)|u(....)|U(........)|(.))")
_ONE = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


@frozen
class Case:
    """One block of a fixture file."""

    path: Path
    name: str
    text: str
    expected: str

    def files(self, folder: Path) -> Path:
        """Write the files that the text holds into a folder; return the first one's path.

        The text before the first ``-- path --`` is ``main.chain``.
        """
        first, *parts = _PART.split(self.text + "\n")
        self._write(folder / "main.chain", first)
        for path, target, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            if target:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).symlink_to(target)
            else:
                self._write(folder / path, text)
        return folder / "main.chain"

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

    def update(self, actual: str) -> None:
        """Replace the expected text of this case in its file."""
        blocks = list(_blocks(self.path))
        lines = [
            head + text + _ARROW + (f"{actual}\n\n" if name == self.name else rest)
            for name, head, text, rest in blocks
        ]
        preamble = _text(self.path).split("---- ", 1)[0]
        self.path.write_text(preamble + "".join(lines).rstrip("\n") + "\n", newline="\n")


def cases(*patterns: str) -> list[Case]:
    """Return the cases of the fixture files that match, in order; their names are test ids."""
    paths = sorted(path for pattern in patterns for path in FIXTURES.glob(pattern))
    assert paths, f"no fixtures at {patterns}"
    found = []
    for path in paths:
        for name, head, text, expected in _blocks(path):
            inside = text.removesuffix("\n")
            inside = _ESCAPE.sub(_unescaped, inside) if "[escapes]" in head else inside
            found.append(Case(path, name, inside, expected.strip("\n")))
    counted = Counter((case.path, case.name) for case in found)
    twice = {name for name, count in counted.items() if count > 1}
    assert not twice, f"two cases have one name: {twice}"
    return found


def each_case(*patterns: str) -> pytest.MarkDecorator:
    """Run a test for each case: ``@each_case("notation/valid/*.cases")``."""
    found = [pytest.param(one, id=f"{one.path.stem}: {one.name}") for one in cases(*patterns)]
    return pytest.mark.parametrize("case", found)


def _blocks(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, header line, text and expected text of each block, as they stand in the file."""
    content = _text(path)
    heads = [match for match in _HEADER.finditer(content) if _at_line_start(content, match.start())]
    ends = [head.start() for head in heads[1:]] + [len(content)]
    for head, end in zip(heads, ends, strict=True):
        text, arrow, expected = ("\n" + content[head.end() : end]).partition("\n" + _ARROW)
        assert arrow, f"{path.name}: the case '{head['name']}' has no line '=>'"
        text = text.removeprefix("\n") + "\n" if text else ""
        yield head["name"], head[0], text, expected


def _at_line_start(content: str, at: int) -> bool:
    return at == 0 or content[at - 1] == "\n"


def _text(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return text if text.endswith("\n") else text + "\n"


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    return chr(int(digits, 16)) if digits else _ONE[match[4]]
