"""Columns of tables: those that `input` does not declare pass through, and headers are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest

from chainlang import ChainlangError, chain, load, op
from chainlang.analysis.program import from_document
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, SourceError
from chainlang.notation.format import format_text

ECHO = FakeEngine(answers=lambda request, index: request.messages[-1].text)
FILE = 'input%s { text: str, lang: str = "en", query = "{{ lang }}: {{ text }}" }\nmain = E\n'
LOOSE, EXACT = load(text=FILE % ""), load(text=FILE % " exact")
ROWS = [
    {"id": "r1", "text": "a", "stars": 5, "candidates": "x", "a.b": None},
    {"id": "r2", "text": "b", "stars": 4, "candidates": "y", "a.b": 1},
]


class Review(pydantic.BaseModel):
    text: str
    lang: str = "en"


class Closed(Review, extra="forbid"):
    pass


def results(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "flattened/000.jsonl").read_bytes().splitlines()]


# ---------------------------------------------------------------- columns that pass through


def test_columns_that_are_not_declared_come_out_again(tmp_path: Path) -> None:
    summary = LOOSE.run(ROWS, tmp_path, engine=ECHO)
    assert summary.failed == 0
    assert results(tmp_path)[1] == {
        "id": "r2", "text": "b", "lang": "en", "query": "en: b", "stars": 4, "candidates": "y",
        "a.b": 1, "answer": "en: b", "error": None,
    }  # fmt: skip
    first, _ = LOOSE.map(ROWS, engine=ECHO)
    assert (first["stars"], first["candidates"]) == (5, "x")


def test_a_class_lets_them_pass_unless_it_forbids_them() -> None:
    ask = op("ask", user="{{ text }}")()
    loose, closed = chain(ask, input=Review), chain(ask, input=Closed)
    found, _ = loose.map(ROWS, engine=ECHO)
    assert (found.answer, found["stars"]) == ("a", 5)
    refused, _ = closed.map(ROWS, engine=ECHO)
    assert refused.failure is not None
    assert "stars: there is no such field" in refused.failure.reason


def test_what_passes_through_hides_nothing_and_is_read_by_nothing() -> None:
    """It is no value of a prompt, a part or a function, so it can't change an answer."""

    def look(answer: str, *, stars: int = 0) -> str:
        return f"{answer} {stars}"

    qa = load(
        text="input { query: str }\nmain = (vote = 3:E >> M) >> @look", functions={"look": look}
    )
    row = {"id": "r", "query": "q", "vote": 7, "stars": 3, "responses_": 1, "item": 2}
    (result,) = qa.map([row], engine=FakeEngine(answers={"q": "x"}))
    assert (result.answer, result["vote"].answer, result["stars"]) == ("x 0", "x", 3)
    wants = load(text="input { query: str }\nmain = E >> @look", functions={"look": wanting})
    (failed,) = wants.map([row], engine=ECHO)
    assert failed.failure is not None
    assert "which this row does not have: declare `stars` in `input`" in failed.failure.reason


def wanting(answer: str, *, stars: int) -> str:
    return f"{answer} {stars}"


def test_equal_rows_keep_their_own_columns(tmp_path: Path) -> None:
    rows = [{"id": "#a", "query": "q", "stars": 1}, {"query": "q", "stars": 2}]
    rows += [{"query": "q", "stars": 3}]
    qa = load(text="input { query: str }\nmain = E")
    found = list(qa.map(rows, engine=ECHO))
    assert [one["stars"] for one in found] == [1, 2, 3]
    qa.run(rows, tmp_path, engine=ECHO)
    assert [row["stars"] for row in results(tmp_path)] == [1, 2, 3]


def test_a_call_is_strict() -> None:
    for call in (
        lambda: LOOSE({"text": "a", "stars": 5}, engine=ECHO),
        lambda: LOOSE(text="a", stars=5, engine=ECHO),
    ):
        with pytest.raises(RowError, match="stars: there is no such field; there are text, lang"):
            call()


def test_exact_refuses_them() -> None:
    found = [one.failure.reason for one in EXACT.map(ROWS, engine=ECHO) if one.failure]
    assert len(found) == 2
    assert "stars: there is no such field" in found[0]


# ---------------------------------------------------------------- the word


@pytest.mark.parametrize(
    "text",
    [
        "input exact { text: str, exact: int }\nmain = E\n",
        "type exact { text: str }\ninput exact\nmain = E\n",
        "type Row { text: str }\ninput exact Row\nmain = E\n",
        "type exact { text: str }\ninput exact exact\nmain = E\n",
        'op exact : generate { user = "{{ text }}" }\ninput { text: str }\nmain = exact\n',
    ],
)
def test_exact_is_a_name_and_no_keyword(text: str) -> None:
    qa = load(text=text)
    assert load(text=format_text(text)).items == qa.items
    assert from_document(qa.to_json()) == (qa.body, qa.items)


def test_another_word_there_is_an_error() -> None:
    with pytest.raises(ChainlangError, match=r"unexpected 'strict' after input(.|\n)*input exact"):
        load(text="input strict { text: str }\nmain = E")


def test_exact_in_python() -> None:
    ask = op("ask", user="{{ text }}")()
    (failed,) = chain(ask, input="exact { text: str }").map([{"text": "a", "b": 1}], engine=ECHO)
    assert not failed.ok


# ---------------------------------------------------------------- headers


def tables(tmp_path: Path, columns: list[str]) -> dict[str, Any]:
    """Return a table of one row with these columns, in each form that has a header."""
    frame = pd.DataFrame([["x"] * len(columns)], columns=columns)
    frame.to_csv(tmp_path / "in.csv", index=False)
    frame.to_csv(tmp_path / "in.tsv", index=False, sep="\t")
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "in.parquet")
    return {
        "csv": tmp_path / "in.csv",
        "tsv": tmp_path / "in.tsv",
        "parquet": tmp_path / "in.parquet",
        "pandas": frame,
        "polars": pl.DataFrame(frame.to_dict("list")),
        "arrow": pa.Table.from_pandas(frame),
    }


def test_a_column_with_a_blank_is_renamed_as_a_shell_reads_it(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,review text\na,good\n")
    with pytest.raises(SourceError, match="no column 'text'") as raised:
        LOOSE.run(tmp_path / "rows.csv", tmp_path / "out", engine=FakeEngine())
    assert "--rename 'review text=text', in Python rename={'review text': 'text'}" in str(
        raised.value
    )


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "pandas", "polars", "arrow"])
def test_a_fault_that_the_header_shows_stops_before_the_first_row(
    kind: str, tmp_path: Path
) -> None:
    engine = FakeEngine()
    source = tables(tmp_path, ["id", "txet", "stars"])[kind]
    with pytest.raises(SourceError) as raised:
        LOOSE.run(source, tmp_path / "out", engine=engine)
    said = str(raised.value)
    assert "no column 'text', which `input` declares" in said
    assert (
        "did you mean the column 'txet'? rename it: --rename txet=text, in Python rename={" in said
    )
    assert "1 | input { text: str" in said
    assert engine.submitted == 0
    assert not (tmp_path / "out").exists()
    with pytest.raises(SourceError, match="no column 'text'") as raised:
        EXACT.map(source, engine=engine)
    assert {one.subject for one in raised.value.diagnostics} == {"text", "txet", "stars"}
    good = tables(tmp_path, ["id", "text", "stars"])[kind]
    (found,) = LOOSE.map(good, engine=ECHO)
    assert (found.answer, found["stars"]) == ("en: x", "x")
    with pytest.raises(SourceError, match=r"declares no column 'stars'(.|\n)*without `exact`"):
        EXACT.map(good, engine=engine)


def test_headers_of_classes_are_checked_too(tmp_path: Path) -> None:
    ask = op("ask", user="{{ text }}")()
    with pytest.raises(SourceError, match="no column 'text', which `input` declares"):
        chain(ask, input=Review).map(tables(tmp_path, ["id", "lang"])["csv"], engine=ECHO)
    with pytest.raises(SourceError, match="declares no column 'stars'"):
        chain(ask, input=Closed).map(tables(tmp_path, ["text", "stars"])["csv"], engine=ECHO)


TELL = 'op tell : generate { user = "Tell: {{ text }} {{ tone | default(1) }}" }\nmain = '


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas"])
@pytest.mark.parametrize(
    "main",
    ["tell", "3:tell::0.7 >> M", "(x = tell) >> E | tell", "$a\na = retry(tell::0.5)"],
)
def test_without_an_input_a_header_has_what_prompts_read(
    main: str, kind: str, tmp_path: Path
) -> None:
    engine = FakeEngine()
    source = tables(tmp_path, ["id", "txet", "query"])[kind]
    with pytest.raises(SourceError) as raised:
        load(text=TELL + main).map(source, engine=engine)
    said = str(raised.value)
    assert "no column 'text', which a prompt reads in every row" in said
    assert "did you mean the column 'txet'? rename it: --rename txet=text" in said
    assert "1 | op tell" in said
    assert engine.submitted == 0


@pytest.mark.parametrize(
    ("main", "columns"),
    [
        ("fallback(tell, E)", ["query"]),
        ('each(tell, over="items", item="text")', ["items"]),
        ('route(by="kind", arms={"a": tell}, default=E)', ["kind", "query"]),
        ("(text = E) >> tell", ["question"]),  # a single text is the query
        ("tell", ["text", "tone"]),
    ],
)
def test_what_a_row_may_do_without_is_no_fault_of_a_header(
    main: str, columns: list[str], tmp_path: Path
) -> None:
    list(load(text=TELL + main).map(tables(tmp_path, columns)["csv"], engine=ECHO))


def test_a_header_without_a_query_is_a_fault_where_it_has_several_columns(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no column 'query', which a prompt reads"):
        chain("E >> J").map(tables(tmp_path, ["question", "topic"])["csv"], engine=ECHO)
    (found,) = chain("E").map(tables(tmp_path, ["question"])["csv"], engine=ECHO)
    assert found.answer == "x"


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars"])
def test_a_misspelt_column_with_a_default_is_a_fault(kind: str, tmp_path: Path) -> None:
    source = tables(tmp_path, ["text", "lnag"])[kind]
    with pytest.raises(SourceError) as raised:
        LOOSE.map(source, engine=ECHO)
    said = str(raised.value)
    assert "no column 'lang', but 'lnag', which `input` lacks" in said
    assert "--rename lnag=lang" in said
    assert "declare it: lnag: str?" in said


@pytest.mark.parametrize("other", ["lang_2", "lang2", "langs", "language", "stars", "land_name"])
def test_another_column_is_no_misspelling(other: str, tmp_path: Path) -> None:
    (found,) = LOOSE.map(tables(tmp_path, ["text", other])["csv"], engine=ECHO)
    assert (found.answer, found[other]) == ("en: x", "x")


def test_a_misspelt_column_of_a_class_is_a_fault(tmp_path: Path) -> None:
    ask = op("ask", user="{{ text }} {{ lang }}")()
    with pytest.raises(SourceError, match="no column 'lang', but 'lagn'"):
        chain(ask, input=Review).map(tables(tmp_path, ["text", "lagn"])["csv"], engine=ECHO)


def test_a_chain_without_an_input_takes_any_columns(tmp_path: Path) -> None:
    (found,) = chain("E").map(tables(tmp_path, ["query", "b"])["csv"], engine=ECHO)
    assert found.answer == "x"


# ---------------------------------------------------------------- cells, and the shell

CELLS = load(
    text="""
input { a: int?, b: str?, c: str, d: int = 7, e: "x" | "y" = "y" }
op ask : generate { user = "{{ [a, b, c, d, e] }}" }
main = ask
"""
)


def test_an_empty_cell_is_null_text_or_nothing_as_its_type_says(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('id,a,b,c,d,e,f\n1,,,,,x,\n2,3,b,c,4,y,g\n3,"","","","",x,""\n')
    found = list(CELLS.map(path, engine=ECHO))
    assert [one.answer for one in found] == [
        '[null, null, "", 7, "x"]',
        '[3, "b", "c", 4, "y"]',
        '[null, null, "", 7, "x"]',
    ]
    assert [one["f"] for one in found] == ["", "g", ""]


def test_an_empty_cell_of_a_field_that_needs_a_number_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("query,n\na,1\nb,\n")
    qa = load(text="input { query: str, n: int }\nmain = E")
    good, bad = qa.map(path, engine=ECHO)
    assert good.ok
    assert bad.failure is not None
    assert bad.failure.reason == "n: it is missing"


def test_empty_texts_of_other_sources_are_texts() -> None:
    row = {"a": 1, "b": "", "c": "", "e": "x"}
    (found,) = CELLS.map([row], engine=ECHO)
    assert found.answer == '[1, "", "", 7, "x"]'


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("qa.chain").write_text(
        'model f = fake("f")\ninput { question: str(1..), stars: int? }\n'
        'op ask : generate { user = "{{ question }}" }\nmain = ask:f\n'
    )
    return tmp_path


def test_flags_of_the_shell_read_what_people_have(shell: Path) -> None:
    Path("in.csv").write_bytes("id;Question Text;a=b\n7;Grüße?;\n8;wie?;4\n".encode("latin-1"))
    flags = ["--encoding", "latin-1", "--delimiter", ";"]
    flags += ["--rename", "Question Text=question", "--rename", "a=b=stars"]
    assert execute(["run", "qa.chain", "-i", "in.csv", "-o", "out", *flags]) == 0
    first, second = results(Path("out"))
    assert (first["question"], first["stars"], second["stars"]) == ("Grüße?", None, 4)
    assert execute(["explain", "qa.chain", "-i", "in.csv", *flags]) == 0


def test_several_files_in_the_shell(shell: Path) -> None:
    for at in range(3):
        Path(f"{at}.csv").write_text(f"id,question,stars\nr{at},q{at},\n")
    assert execute(["run", "qa.chain", "-i", "0.csv", "1.csv", "2.csv", "-o", "out"]) == 0
    assert [row["id"] for row in results(Path("out"))] == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--encoding", "latin-99"], "invalid value for --encoding: 'latin-99'"),
        (["--encoding", "base64"], "invalid value for --encoding: 'base64'"),
        (["--delimiter", ";;"], "invalid value for --delimiter: ';;'"),
        (["--rename", "Question Text"], "invalid value for --rename"),
        (["--rename", "txt=question"], "no column 'txt' to rename"),
        (["--escape-formulas"], "escape_formulas is for CSV alone"),
    ],
)
def test_flags_that_fit_nothing_are_refused(
    flags: list[str], said: str, shell: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("in.csv").write_text("id,question,stars\n7,q,\n")
    assert execute(["run", "qa.chain", "-i", "in.csv", "-o", "out", *flags]) == 2
    assert said in capsys.readouterr().err
