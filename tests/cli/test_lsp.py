"""The language server, by a scripted editor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.lsp_client import Editor

TEXT = """\
model small = fake("x")
input { text: str }
op classify : generate -> { mood: "good" | "bad" } {
  user = "{{ text }}"
  model = "small"
}
panel = 3:classify:small:0.7
main = $panel >> M(by="mood")
"""


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    with Editor(tmp_path_factory.mktemp("edited")) as made:
        yield made


def labels(found: Any) -> list[str]:
    return [one["label"] for one in found]


def test_it_says_what_it_can(editor: Editor) -> None:
    able = editor.answer["capabilities"]
    named = ("completion", "hover", "definition", "rename", "documentFormatting", "codeAction")
    assert all(able[f"{one}Provider"] for one in named)


def test_diagnostics_as_you_type(editor: Editor) -> None:
    assert editor.open("a.chain", "main = 3:E >> Q\n")[0]["code"] == "unknown-name"
    (found,) = editor.change("a.chain", "main = 3:E:tiny:9\n")
    assert found["range"] == {
        "start": {"line": 0, "character": 16},
        "end": {"line": 0, "character": 17},
    }
    assert found["severity"] == 1
    assert "hint: " in found["message"]
    assert editor.change("a.chain", "main = 3:E >> M\n") == []


def test_columns_count_utf_16(editor: Editor) -> None:
    (found,) = editor.open("u.chain", 'x = E:"é😀" >> Q\nmain = $x\n')
    assert found["range"]["start"] == {"line": 0, "character": 15}


@pytest.mark.slow
def test_columns_count_what_the_client_counts(tmp_path: Path) -> None:
    with Editor(tmp_path, encodings=("utf-32",)) as other:
        encoding = other.answer["capabilities"]["positionEncoding"]
        (found,) = other.open("u.chain", 'x = E:"é😀" >> Q\nmain = $x\n')
        assert (encoding, found["range"]["start"]["character"]) == ("utf-32", 14)


def test_incremental_edits(editor: Editor) -> None:
    editor.open("i.chain", "# é😀\r\nmain = 3:E >> M\r\n")
    editor.published.pop("i.chain")
    here = {"start": {"line": 1, "character": 14}, "end": {"line": 1, "character": 15}}
    editor.edit("i.chain", "Q", here)
    (found,) = editor.wait("i.chain")
    assert found["range"] == here


def test_a_fix_of_spelling(editor: Editor) -> None:
    found = editor.open("f.chain", "main = E(max_token=5) → M\n")
    assert [one["code"] for one in found] == ["character"]
    params = {
        "textDocument": {"uri": editor.uri("f.chain")},
        "range": found[0]["range"],
        "context": {"diagnostics": found},
    }
    (action,) = editor.request("textDocument/codeAction", params)
    (edit,) = action["edit"]["changes"][editor.uri("f.chain")]
    assert (action["title"], edit["newText"], action["isPreferred"]) == (
        "replace with >>",
        ">>",
        True,
    )
    found = editor.change("f.chain", "main = E(max_token=5) >> M\n")
    (action,) = editor.request(
        "textDocument/codeAction", {**params, "context": {"diagnostics": found}}
    )
    assert action["title"] == "replace with max_tokens"


@pytest.mark.parametrize(
    ("line", "character", "expected"),
    [
        (7, 8, ["$panel"]),
        (6, 19, ["small", "tiny"]),
        (2, 14, ["code", "fold", "generate", "map"]),
        (3, 13, ["answer", "candidate", "candidates", "error"]),
        (7, 19, ["by", "extract", "normalize"]),
    ],
)
def test_completion(editor: Editor, line: int, character: int, expected: list[str]) -> None:
    rows = TEXT.splitlines()
    rows[line] = rows[line][:character]
    editor.open("c.chain", "\n".join(rows))
    found = editor.request("textDocument/completion", editor.at("c.chain", line, character))
    assert labels(found)[: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("main = (facts = 3:E) >> (doubts = E) >> J(of=", ['"doubts"', '"facts"']),
        ("main = (facts = 3:E) >> J(sys", ["system"]),
        ("input { query: str, lang: str }\nmain = with_fields(E, la", ["lang"]),
        ("main = cas", ["cascade"]),
        ("main = cascade(E, E, acc", ["accept"]),
        ("main = fallback(E, E, on", ["on"]),
    ],
)
def test_completion_of_wiring(editor: Editor, text: str, expected: list[str]) -> None:
    editor.open("w.chain", text)
    line, character = text.count("\n"), len(text.rpartition("\n")[2])
    found = editor.request("textDocument/completion", editor.at("w.chain", line, character))
    assert labels(found)[: len(expected)] == expected


def test_hover_and_definition(editor: Editor) -> None:
    editor.open("h.chain", TEXT)
    found = editor.request("textDocument/hover", editor.at("h.chain", 7, 17))
    assert found["contents"]["value"].startswith("**M** (most common)")
    found = editor.request("textDocument/hover", editor.at("h.chain", 6, 20))
    assert found["contents"]["value"] == '```chain\nmodel small = fake("x")\n```'
    found = editor.request("textDocument/hover", editor.at("h.chain", 3, 14))
    assert found["contents"]["value"] == "`text`: str"
    assert editor.request("textDocument/hover", editor.at("h.chain", 7, 5)) is None
    there = editor.request("textDocument/definition", editor.at("h.chain", 7, 9))
    assert there["range"]["start"] == {"line": 6, "character": 0}
    there = editor.request("textDocument/definition", editor.at("h.chain", 4, 12))
    assert there["range"]["start"] == {"line": 0, "character": 6}


def test_rename(editor: Editor) -> None:
    editor.open("r.chain", TEXT)
    at = editor.at("r.chain", 0, 7)
    found = editor.request("textDocument/rename", {**at, "newName": "large"})
    edits = found["changes"][editor.uri("r.chain")]
    assert sorted(one["range"]["start"]["line"] for one in edits) == [0, 4, 6]
    for name, why in [("E:x", "can't be a name"), ("small", "already")]:
        with pytest.raises(AssertionError, match=why):
            editor.request("textDocument/rename", {**at, "newName": name})
    assert editor.request("textDocument/prepareRename", editor.at("r.chain", 7, 17)) is None


def test_rename_in_all_files_that_read_the_declaration(editor: Editor) -> None:
    (editor.folder / "shared.chain").write_text("panel = 3:E:tiny\n")
    (editor.folder / "other.chain").write_text('use "shared.chain"\nmain = $panel\n')
    (editor.folder / "apart.chain").write_text("panel = E\nmain = $panel\n")
    editor.open("one.chain", 'use "shared.chain"\nmain = $panel >> M\n')
    at = editor.at("one.chain", 1, 9)
    found = editor.request("textDocument/rename", {**at, "newName": "three"})["changes"]
    named = {one.rpartition("/")[2]: len(edits) for one, edits in found.items()}
    assert named == {"shared.chain": 1, "other.chain": 1, "one.chain": 1}
    there = editor.request("textDocument/definition", at)
    assert there["uri"] == editor.uri("shared.chain")


LABELS = """\
input { text: str, query = "{{ text }}" }
op tell : fold { user = "{{ @.answer }}{% for fr in candidates %}{{ fr.answer }}{% endfor %}" }
op put : fold {
  user = "{{ @.answer }}, {{ text }} 'fr' {{ text.fr }} {{ 'fr' ~ @.votes }}"
  of = ["@"]
}
other = E(system="{{ text }}")
both = (@ = 3:E >> M) & (de = E)
main = $both
  >> loop(put(of=["@", "de"]), until="@.answer == 'fr'", max=2)
  >> with_fields(J(of="@"), text="{{ @.answer }}")
  >> cascade(E, V, accept="@.confidence > 0.5")
"""
"""A file with a label in the places of `@`."""


def test_a_label_is_renamed_where_it_is_read(editor: Editor) -> None:
    text = LABELS.replace("@", "fr")
    editor.open("l.chain", text)
    at = editor.at("l.chain", 7, 8)
    found = editor.request("textDocument/rename", {**at, "newName": "french"})["changes"]
    (edits,) = found.values()
    starts = [(one["range"]["start"]["line"], one["range"]["start"]["character"]) for one in edits]
    lines = text.splitlines(keepends=True)
    for line, column in sorted(starts, reverse=True):
        assert lines[line][column : column + 2] == "fr"
        lines[line] = f"{lines[line][:column]}french{lines[line][column + 2 :]}"
    assert "".join(lines) == LABELS.replace("@", "french")


@pytest.mark.parametrize(
    ("name", "why"),
    [("de", "a label 'de' already"), ("text", "a field of the row"), ("query", "of the language")],
)
def test_a_label_gets_no_name_that_means_something(editor: Editor, name: str, why: str) -> None:
    editor.open("l.chain", LABELS.replace("@", "fr"))
    with pytest.raises(AssertionError, match=why):
        editor.request("textDocument/rename", {**editor.at("l.chain", 7, 8), "newName": name})


def test_a_label_that_another_file_reads_keeps_its_name(editor: Editor) -> None:
    (editor.folder / "ops.chain").write_text('op tell : fold { user = "{{ fr.answer }}" }\n')
    editor.open("l.chain", 'use "ops.chain"\nmain = (fr = E & E) >> tell\n')
    at = editor.at("l.chain", 1, 8)
    with pytest.raises(AssertionError, match=r"also read in .*ops\.chain"):
        editor.request("textDocument/rename", {**at, "newName": "french"})


def test_the_name_of_an_op_is_renamed_where_its_part_is_read(editor: Editor) -> None:
    op = 'op mood : generate { user = "{{ query }}" }\n'
    editor.open("o.chain", op + 'main = mood >> E(system="{{ mood.answer }}")\n')
    at = editor.at("o.chain", 0, 4)
    found = editor.request("textDocument/rename", {**at, "newName": "tone"})
    (edits,) = found["changes"].values()
    where = [(one["range"]["start"]["line"], one["range"]["start"]["character"]) for one in edits]
    assert sorted(where) == [(0, 3), (1, 7), (1, 28)]


def test_an_error_in_a_used_file_stands_at_the_use(editor: Editor) -> None:
    editor.open("base.chain", "panel = 3:E\n")
    assert editor.open("user.chain", 'use "base.chain"\nmain = $panel\n') == []
    editor.published.pop("user.chain")
    editor.edit("base.chain", "panel = 3:Q\n")
    (found,) = editor.wait("user.chain")
    assert found["range"]["start"] == {"line": 0, "character": 4}
    assert found["message"].startswith(str(editor.folder / "base.chain") + ":1: unknown")


def test_a_file_that_is_not_open_and_not_there_has_nothing(editor: Editor) -> None:
    assert editor.request("textDocument/hover", editor.at("nowhere.chain", 0, 0)) is None


def test_formatting(editor: Editor) -> None:
    editor.open("g.chain", "main=3:E>>M  # vote\n")
    params = {
        "textDocument": {"uri": editor.uri("g.chain")},
        "options": {"tabSize": 2, "insertSpaces": True},
    }
    (edit,) = editor.request("textDocument/formatting", params)
    assert edit["newText"] == "main = 3:E >> M  # vote\n"
    editor.change("g.chain", edit["newText"])
    assert editor.request("textDocument/formatting", params) == []
    editor.change("g.chain", "main = (\n")
    assert editor.request("textDocument/formatting", params) is None


def test_every_text_on_the_way_to_a_file_is_answered(editor: Editor) -> None:
    """Each prefix of a file, as if it were typed: no request fails, and the server stays."""
    editor.open("t.chain", "")
    lines = [""]
    for char in TEXT[:60]:
        end = {"line": len(lines) - 1, "character": len(lines[-1])}
        editor.edit("t.chain", char, {"start": end, "end": end})
        lines = ([*lines[:-1], lines[-1] + char]) if char != "\n" else [*lines, ""]
        here = editor.at("t.chain", len(lines) - 1, len(lines[-1]))
        editor.request("textDocument/completion", here)
        editor.request("textDocument/hover", here)
    assert editor.change("t.chain", TEXT) == []


def test_a_kind_that_is_half_typed_is_no_error(editor: Editor) -> None:
    text = 'op x : gnerate {\n  user = "a"\n}\nmain = '
    editor.open("k.chain", text)
    found = editor.request("textDocument/completion", editor.at("k.chain", 3, 7))
    assert "x" in labels(found)


def test_ended_notifications_are_forgotten() -> None:
    """They are private to pygls, so a version of it without them fails here."""
    from concurrent.futures import Future

    from pygls.lsp.server import LanguageServer

    from chainlang.cli.lsp.server import Service

    service = Service(LanguageServer("a", "1"))
    ended: Future[None] = Future()
    ended.set_result(None)
    waiting: Future[None] = Future()
    futures = service.server.protocol._request_futures
    futures |= {"a": ended, "b": waiting}
    service.forget_ended()
    assert futures == {"b": waiting}


STEPS = """\
name: demo
steps:
  - id: first
    action: generate
    parameters:
      prompt: "Say {{ topic }}"
  - id: second
    action: my_own
    dependencies: [frist]
    parameters: { text: "{{ topic }}" }
"""


def test_a_file_of_steps_is_read_as_one(editor: Editor) -> None:
    found = {one["code"]: one for one in editor.open("p.yaml", STEPS)}
    where = {"start": {"line": 8, "character": 19}, "end": {"line": 8, "character": 24}}
    assert [(code, one["severity"]) for code, one in found.items()] == [("unknown-name", 1)], (
        "the unknown step"
    )
    assert found["unknown-name"]["range"] == where
    (found_now,) = editor.change("p.yaml", STEPS.replace("frist", "first"))
    assert (found_now["severity"], found_now["range"]["start"]["line"]) == (2, 7)
    assert "--functions my_functions.py" in found_now["message"]
    assert (
        editor.change("p.yaml", STEPS.replace("frist", "first").replace("my_own", "analyze")) == []
    )


def test_a_file_of_steps_has_no_words_of_chains(editor: Editor) -> None:
    editor.open("q.yaml", STEPS)
    at = {
        "textDocument": {"uri": editor.uri("q.yaml")},
        "position": {"line": 3, "character": 12},
        "options": {"tabSize": 2, "insertSpaces": True},
    }
    for method in ("completion", "hover", "definition", "prepareRename", "formatting"):
        assert editor.request(f"textDocument/{method}", at) is None
