"""Random edits in the language server: `python -m tests.cli.lsp_edits 10000 --seed 1f`.

Each is followed by a completion and a hover. The memory of the server after all of them must be
about that after the first half, when its caches are full.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.cli import lsp_client
from tests.cli.lsp_client import Editor

EXAMPLE = Path(__file__).parents[2] / "examples" / "reviews.chain"
TOKENS = ["E", ":", "3:", "M", " >> ", "&", "|", "(", ")", "{", "}", '"', "\n", "$x", "é😀", "x = "]
MOST = 1.15
"""Maximum growth of the memory."""


def resident(editor: Editor) -> int:
    """Return the memory of the server in kB."""
    status = Path(f"/proc/{editor.process.pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def edit(editor: Editor, text: str, choice: random.Random) -> str:
    """Insert or delete something at random; return the text after it."""
    lines = text.split("\n")
    line = choice.randrange(len(lines))
    column = choice.randrange(len(lines[line]) + 1)
    before = lines[line][:column]
    character = len(before.encode("utf-16-le")) // 2
    start = {"line": line, "character": character}
    if choice.random() < 0.5 and column < len(lines[line]):
        gone = lines[line][column]
        stop = {"line": line, "character": character + len(gone.encode("utf-16-le")) // 2}
        editor.edit("a.chain", "", {"start": start, "end": stop})
        lines[line] = before + lines[line][column + 1 :]
    else:
        new = choice.choice(TOKENS)
        editor.edit("a.chain", new, {"start": start, "end": start})
        lines[line] = before + new + lines[line][column:]
    at = editor.at("a.chain", line, character)
    editor.request("textDocument/completion", at)
    editor.request("textDocument/hover", at)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    choice = random.Random(int(options.seed, 16))
    example = EXAMPLE.read_text(encoding="utf-8")
    lsp_client.LONGEST = 24 * 3600.0
    with tempfile.TemporaryDirectory() as folder, Editor(Path(folder).resolve()) as editor:
        editor.open("a.chain", example)
        text, warm = example, 0
        for count in range(options.count):
            if count % 50 == 0:  # a text of chance alone soon says nothing
                text = example
                editor.change("a.chain", text)
            text = edit(editor, text, choice)
            if count % (options.count // 10 or 1) == 0:
                print(f"{count:,} edits: {resident(editor):,} kB", flush=True)
            if count == options.count // 2:
                warm = resident(editor)
        last = editor.change("a.chain", text)
        memory = resident(editor)
    with tempfile.TemporaryDirectory() as folder, Editor(Path(folder).resolve()) as editor:
        fresh = editor.open("a.chain", text)
    without = [[{**one, "message": ""} for one in found] for found in (last, fresh)]
    assert without[0] == without[1], "the edited text has other diagnostics than when it is opened"
    print(f"{options.count:,} edits, {warm:,} kB at half, {memory:,} kB at the end")
    return int(memory > MOST * warm)


if __name__ == "__main__":
    sys.exit(main())
