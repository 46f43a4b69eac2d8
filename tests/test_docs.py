"""What the documents show is so: every block of code is run, every link and table is looked up."""

import doctest
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from attrs import frozen

import chainlang
from chainlang import Chain, ChainlangError, ChainlangWarning, chain, load
from chainlang.notation.grammar import grammar
from tests import postgres_server
from tests.project import pictures, tables

NAMES = {name: getattr(chainlang, name) for name in chainlang.__all__}
ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "chainlang/ARCHITECTURE.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
    "examples/README.md",
    "grammar/README.md",
    "tests/README.md",
)
ON_VLLM = (
    "README.md",
    "docs/tutorial.md",
)  # their Python uses the bundled model: see tests/vllm/test_readme.py
WITH_DATABASE = ("docs/guides/databases.md",)
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS


@frozen
class Block:
    """A fenced block of a document: what its first line says it is, and its text."""

    document: str
    line: int
    info: str
    text: str

    @property
    def id(self):
        return f"{self.document}:{self.line}"


def _blocks():
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("text")) + 1
            yield Block(document, line, match["info"], match["text"])


BLOCKS = list(_blocks())


def blocks(*infos):
    """Every block of these kinds, each as a test of its own."""
    found = [block for block in BLOCKS if block.info in infos]
    return pytest.mark.parametrize("block", found, ids=lambda block: block.id)


def test_every_block_is_of_a_kind_that_is_tested():
    kinds = {"python", "console", "chain", "chain refused", "sh", "text", "yaml"}
    for block in BLOCKS:
        known = block.info in kinds or re.match(r"chain file|\{[\w:-]+\}", block.info)
        assert known, block.id


class Writer(doctest.DocTestRunner):
    """Runs examples, and keeps what they print where that is not what is shown."""

    def __init__(self):
        super().__init__(verbose=False, optionflags=FLAGS)
        self.printed = []

    def report_failure(self, out, test, example, got):
        self.printed.append((test.lineno + example.lineno + 1, example, got))


def run_python(document, *, update=False):
    """Run the Python blocks of a document, from top to bottom; return the session they share."""
    session, failures = {}, []
    runner = Writer() if update else doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    for block in BLOCKS:
        if block.document == document and block.info == "python":
            assert block.text.startswith(">>> "), f"{block.id}: show what it prints"
            test = doctest.DocTestParser().get_doctest(
                block.text, session, block.id, document, block.line - 1
            )
            runner.run(test, out=failures.append, clear_globs=False)
            session.update(test.globs)
    assert not failures, "".join(failures)
    if update:
        path = ROOT / document
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, example, got in reversed(runner.printed):
            begin = number - 1 + example.source.count("\n")
            shown = re.sub(r"^$(?=\n)", doctest.BLANKLINE_MARKER, got, flags=re.MULTILINE)
            lines[begin : begin + example.want.count("\n")] = shown.splitlines(keepends=True)
        path.write_text("".join(lines), encoding="utf-8")
    return session


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in ON_VLLM])
def test_python_shows_what_it_prints(document, workspace, request, monkeypatch):
    if document in WITH_DATABASE:
        monkeypatch.setenv("DATABASE_URL", postgres_server.shared().url)
    run_python(document, update=request.config.getoption("--update"))


@pytest.mark.slow
@blocks("console")
def test_commands_print_what_is_shown(block, workspace, request):
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    environment.pop("FORCE_COLOR", None)
    shown = ""
    for command in re.findall(r"^\$ (.*)$", block.text, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        # A page of findings ends with an empty line, which the end of a block would only hide.
        shown += f"$ {command}\n{done.stdout.rstrip()}\n" if done.stdout else f"$ {command}\n"
    if request.config.getoption("--update") and shown != block.text:
        path = ROOT / block.document
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace(block.text, shown, 1), encoding="utf-8")
        return
    assert shown == block.text


@blocks("chain")
def test_notation_is_accepted(block):
    """Each line is a chain; one with a warning says so: ``# warning: code``."""
    for line in _lines(block):
        wanted = re.search(r"# warning: ([\w-]+)", line)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ChainlangWarning)
            made = chain(line)
        codes = {one.code for warned in caught for one in warned.message.diagnostics}
        assert codes == ({wanted[1]} if wanted else set()), line
        if wanted is None:  # its other spellings would earn the same warning
            made.check()
            assert chain(str(made)) == made, line
            assert eval(repr(made), NAMES) == made, line


@blocks("yaml")
def test_files_of_steps_are_accepted(block):
    """Each block is a file of steps, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ChainlangWarning)
        made = load(text=block.text, format="yaml")
    assert load(text=str(made)) == made


@blocks("chain refused")
def test_notation_is_refused(block):
    """Each line is refused with the one code that the comment behind it states."""
    for line in _lines(block):
        code = re.search(r"# ([\w-]+)", line)
        assert code, f"{line}: no code is stated"
        with pytest.raises(ChainlangError) as caught:
            chain(line)
        assert {one.code for one in caught.value.diagnostics} == {code[1]}, line


def _lines(block):
    return [line for line in block.text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if re.match(r"chain file(?! refused| warned)", one.info)],
    ids=lambda block: block.id,
)
def test_files_are_accepted(block, workspace):
    path = workspace / "examples" / "shown.chain"
    path.write_text(block.text, encoding="utf-8")
    if "main =" not in block.text:
        path.write_text(f"{block.text}\nmain = E", encoding="utf-8")
    found = load(path)
    assert Chain.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.info.startswith("chain file examples/")],
    ids=lambda block: block.id,
)
def test_files_are_those_of_the_examples(block):
    assert block.text == (ROOT / block.info.split()[2]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.info.startswith("chain file refused: ")],
    ids=lambda block: block.id,
)
def test_files_are_refused(block, workspace):
    path = workspace / "shown.chain"
    path.write_text(block.text, encoding="utf-8")
    with pytest.raises(ChainlangError) as caught:
        load(path)
    codes = {one.code for one in caught.value.diagnostics if one.severity == "error"}
    assert codes == {block.info.split(": ")[1]}


@pytest.mark.parametrize(
    "block",
    [one for one in BLOCKS if one.info.startswith("chain file warned: ")],
    ids=lambda block: block.id,
)
def test_files_are_warned_of(block, workspace):
    path = workspace / "shown.chain"
    path.write_text(block.text, encoding="utf-8")
    with pytest.warns(ChainlangWarning, match=rf"warning\[{block.info.split(': ')[1]}\]"):
        load(path)


@blocks("sh")
def test_commands_of_make_exist(block):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in _lines(block):
        tool, *words = line.split()
        assert tool in ("make", "pip", "git", "chainlang", ".venv/bin/python"), line
        if tool == "make":
            assert words[0] in targets, line


def test_both_spellings_are_equal():
    """Each row of a table headed ``| text | Python |`` says one thing twice."""
    rows = 0
    for document in DOCUMENTS:
        text = (ROOT / document).read_text(encoding="utf-8")
        for table in re.findall(r"^\| text \| Python \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M):
            for row in table.splitlines():
                left, right, *_ = re.findall(r"`+ ?(.*?) ?`+", row.replace("\\|", "|"))
                assert chain(left) == eval(right, NAMES), row
                rows += 1
    assert rows > 5


@pytest.mark.parametrize("name", tables.TABLES)
def test_generated_tables_are_up_to_date(name):
    text = tables.home(name).read_text(encoding="utf-8")
    assert tables.replaced(text, name) == text, "run: python -m tests.project.tables"


@pytest.mark.parametrize("path", pictures.PICTURES, ids=lambda path: path.stem)
def test_pictures_are_up_to_date(path):
    made = pictures.PICTURES[path]()
    assert path.read_text(encoding="utf-8") == made, "run: python -m tests.project.pictures"


def test_every_rule_of_the_grammar_is_explained():
    reference = tables.REFERENCE.read_text(encoding="utf-8")
    rules = {rule.origin.name for rule in grammar().rules}
    written = {name for name in rules if re.fullmatch("[a-z_]+", name) and name[0] != "_"}
    missing = {name for name in written if not re.search(rf"^    {name}: ", reference, re.M)}
    assert missing <= {"item"}  # one of the items, which `file` lists


def anchors(path):
    """The parts of a document that a link can lead to."""
    titles = re.findall(r"^#+ (.*)$", BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", [*DOCUMENTS, "CHANGELOG.md"])
def test_links_lead_somewhere(document):
    path = ROOT / document
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        name, _, anchor = target.partition("#")
        if not target.startswith("http"):
            to = path.parent / name if name else path
            assert to.exists(), target
            assert not anchor or anchor in anchors(to), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_that_are_named_exist(document):
    """A path in backquotes with a slash in it is one of this repository, or says that it is not."""
    text = BLOCK.sub("", (ROOT / document).read_text(encoding="utf-8"))
    for path in re.findall(
        r"`((?:chainlang|tests|grammar|examples|notebooks|benchmarks)/[\w./-]*)`", text
    ):
        assert (ROOT / path).exists(), path


def test_tests_that_are_named_exist():
    """A promise names the test that holds it, as in `tests/laws/test_json.py::test_name`."""
    named = [
        (document, *one)
        for document in DOCUMENTS
        for one in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / document).read_text())
    ]
    assert len(named) > 20
    for document, path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (document, path, name)


@pytest.mark.parametrize(
    "document", [name for name in DOCUMENTS if "decisions" in name or "ARCHITECTURE" in name]
)
def test_modules_that_are_named_exist(document):
    """A module is named by its path from the package, as in `ir/nodes.py`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for path in re.findall(r"`([a-z_]+/[\w/]+\.(?:py|chain))`", text):
        assert (ROOT / "chainlang" / path).exists() or (ROOT / path).exists(), path


def test_the_architecture_is_one_page():
    assert len(tables.ARCHITECTURE.read_text(encoding="utf-8").splitlines()) <= 140


def test_nothing_is_deprecated_that_the_page_on_versions_leaves_out():
    text = tables.VERSIONS.read_text(encoding="utf-8")
    code = "".join(path.read_text() for path in (ROOT / "chainlang").rglob("*.py"))
    warned = re.search(r"warn\([^)]*DeprecationWarning", code)
    assert ("Nothing is deprecated now." in text) == (warned is None)
