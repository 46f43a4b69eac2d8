"""Settings: from a file, the environment and the call; what is wrong in them; what they do."""

from __future__ import annotations

import inspect
import json
import re
import traceback
from pathlib import Path
from typing import Any, get_overloads

import pytest

import chainlang
from chainlang import Chain, chain, load, op
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError, MeaningError, OperandError, SettingError, SourceError
from chainlang.ir.builtins import COMBINATORS
from chainlang.models.open_engines import close_engines
from chainlang.settings import NAMES, CallSettings, MapSettings, RunSettings, Settings, sources
from tests.project import keywords

CANARY = "sk-canary-7f3a"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which has no settings of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(**given: Any) -> str:
    with pytest.raises(SettingError) as error:
        RunSettings.of(given)
    return str(error.value)


# ---------------------------------------------------------------- where they come from


def test_a_call_goes_before_the_environment_and_that_before_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (MapSettings.of({}).window, MapSettings.of({}).seed) == (256, 0)
    (folder / "chainlang.toml").write_text('window = 1\nseed = 1\nmodel = "a"\n')
    monkeypatch.setenv("CHAINLANG_WINDOW", "2")
    monkeypatch.setenv("CHAINLANG_SEED", "2")
    found = MapSettings.of({"window": 3})
    assert (found.window, found.seed, found.model) == (3, 2, "a")


def test_pyproject_has_a_table_of_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text("[tool.chainlang]\nwindow = 7\n")
    inner = folder / "notebooks" / "drafts"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert MapSettings.of({}).window == 7
    (inner.parent / "pyproject.toml").write_text("[tool.other]\nwindow = 8\n")
    assert MapSettings.of({}).window == 7
    (inner / "chainlang.toml").write_text("")
    assert MapSettings.of({}).window == 256


@pytest.mark.parametrize("settled", [-1, 0, 2 * 10**9])
def test_a_file_is_read_again_when_it_has_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, settled: int
) -> None:
    """Remembered at once, or only later, as it is: what a file says is what holds."""
    monkeypatch.setattr(sources, "_SETTLED", settled)
    file = folder / "chainlang.toml"
    file.write_text("window = 1\n")
    assert MapSettings.of({}).window == 1
    file.write_text("window = 22\n")  # another size
    assert MapSettings.of({}).window == 22
    (folder / "other.toml").write_text("window = 33\n")
    (folder / "other.toml").replace(file)  # another file, of the same size
    assert MapSettings.of({}).window == 33
    if settled > 0:
        file.write_text("window = 44\n")  # the same size, and perhaps the same time
        assert MapSettings.of({}).window == 44
    file.unlink()
    assert MapSettings.of({}).window == 256


def test_a_file_that_has_not_changed_is_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SETTLED", -1)
    (folder / "chainlang.toml").write_text("window = 5\n")
    assert MapSettings.of({}).window == 5
    monkeypatch.delattr(Path, "read_text")
    assert [MapSettings.of({}).window for _ in range(3)] == [5, 5, 5]


def test_a_nearer_file_is_found_when_it_comes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chainlang.toml").write_text("window = 1\n")
    inner = folder / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert MapSettings.of({}).window == 1
    (inner / "pyproject.toml").write_text("[tool.chainlang]\nwindow = 2\n")
    assert MapSettings.of({}).window == 2
    (inner / "chainlang.toml").mkdir()  # a folder is no file of settings
    assert MapSettings.of({}).window == 2


def test_a_list_in_the_environment_has_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINLANG_ALLOWED_HOSTS", "one.example, two.example")
    assert MapSettings.of({}).allowed_hosts == ("one.example", "two.example")


def test_an_empty_variable_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINLANG_WINDOW", "")
    assert MapSettings.of({}).window == 256
    (folder / "chainlang.toml").write_text("window = 0\n")
    assert said().startswith("error[setting]: invalid value for window in chainlang.toml: 0\n")


def test_a_variable_may_have_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("chainlang_window", "5")
    assert MapSettings.of({}).window == 5


def test_what_only_a_call_can_say_is_in_no_file_and_no_variable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINLANG_OVERWRITE", "true")
    assert not RunSettings.of({}).overwrite
    (folder / "chainlang.toml").write_text("overwrite = true\n")
    assert "unknown setting 'overwrite' in chainlang.toml" in said()


# ---------------------------------------------------------------- what is wrong


def test_every_mistake_is_said_at_once_with_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "chainlang.toml").write_text("window = 0\n")
    monkeypatch.setenv("CHAINLANG_FORMAT", "xls")
    assert said(seed="x") == (
        "error[setting]: invalid value for seed: 'x'\n"
        "  = hint: expected an integer, found a text\n\n"
        "error[setting]: invalid value for window in chainlang.toml: 0\n"
        "  = hint: expected an integer ≥ 1\n\n"
        "error[setting]: invalid value for CHAINLANG_FORMAT in the environment: 'xls'\n"
        "  = hint: expected jsonl, csv or parquet"
    )


def test_an_unknown_name_has_a_near_one(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.chainlang]\nopenai_key = 3\n")
    assert said(widnow=3) == (
        "error[setting]: unknown setting 'openai_key' in [tool.chainlang] of pyproject.toml\n"
        "  = hint: did you mean 'openai_api_key'?\n\n"
        "error[setting]: unknown setting 'widnow' of run()\n"
        "  = hint: did you mean 'window'?"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window = \n", "chainlang.toml: this is no TOML: Invalid value (at line 1, column 10)"),
        ("window = '\udcff'\n", "chainlang.toml: this is no TOML: 'utf-8' codec can't decode"),
    ],
)
def test_a_file_that_is_no_toml(folder: Path, text: str, message: str) -> None:
    (folder / "chainlang.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert message in said()


@pytest.mark.parametrize(
    "given",
    [
        {"window": 0},
        {"window": 2.5},
        {"seed": "x"},
        {"on_error": "foo"},
        {"format": "xls"},
        {"limit": 0},
        {"call_seconds": 0},
        {"patience": -1},
        {"patience": "nan"},
        {"engine": "tiny"},
        {"engine": FakeEngine},
        {"engine": {"tiny": "tiny"}},
        {"progress": "yes"},
        {"model": ""},
        {"openai_base_url": "127.0.0.1:8000"},
        {"overwrite": "perhaps"},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_named_with_what_does(given: dict[str, Any]) -> None:
    (name,) = given
    assert re.match(
        rf"error\[setting\]: invalid value for {name}: .*\n  = hint: expected [^\n]+\Z",
        said(**given),
    )


def test_a_run_folder_lists_every_row_in_its_order() -> None:
    assert "unknown setting 'ordered' of run()\n  = hint: it is a setting of map()" in said(
        ordered=False
    )


def test_map_refuses_what_it_would_not_read() -> None:
    with pytest.raises(SettingError, match="it is a setting of run"):
        chain("E").map([], format="csv")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda qa: qa.map(["a"], window=0), SettingError),
        (lambda qa: qa.map("missing.jsonl"), SourceError),
        (lambda qa: qa.map(3), OperandError),
        (lambda qa: qa.map(["a"], engine=None, model="./nowhere"), EngineError),
    ],
)
def test_map_raises_before_the_first_row(call: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        call(chain("E"))


def test_a_setting_of_a_call_is_suggested() -> None:
    with pytest.raises(SettingError, match="did you mean 'seed'"):
        chain("E")("q", sed=3)


# ---------------------------------------------------------------- what they do


def seeds_and_models(qa: Chain, **settings: Any) -> list[tuple[int, str]]:
    asked: list[tuple[int, str]] = []

    def answer(request: Any, index: int) -> str:
        asked.append((request.seed + index, request.model))
        return "a"

    list(qa.map(["q"], engine=FakeEngine(answers=answer), **settings))
    return asked


def test_the_model_is_that_of_stages_which_name_none_and_changes_no_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    qa = load(text='op tell : generate { user = "{{ query }}" }\nmain = (2:E & tell & E:big) >> M')
    before = seeds_and_models(qa)
    assert [model for _, model in before] == ["tiny", "tiny", "tiny", "big"]
    monkeypatch.setenv("CHAINLANG_MODEL", "other")
    after = seeds_and_models(qa)
    assert [seed for seed, _ in after] == [seed for seed, _ in before]
    assert [model for _, model in after] == ["other", "other", "other", "big"]
    assert {model for _, model in seeds_and_models(qa, model="third")} == {"third", "big"}


def test_the_model_may_be_one_that_the_file_declares() -> None:
    qa = load(text='model small = fake("x")\nmain = E >> J:small')
    assert qa("q", model="small").usage.calls == 2


def test_the_folder_says_which_model_it_was(folder: Path) -> None:
    chain("E").run(["q"], "out", model="other", engine=FakeEngine())
    found = json.loads((folder / "out" / "metadata.json").read_text())
    assert found["settings"]["model"] == "other"
    assert list(found["models"]) == ["other"]
    assert found["models"]["other"]["fingerprint"] == FakeEngine().fingerprint
    assert found["models"]["other"]["capabilities"]["batch_invariant"] is True


# ---------------------------------------------------------------- servers, keys and variables


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What engines for servers are made with."""
    made: list[dict[str, Any]] = []

    class Recorded(FakeEngine):
        url = ""

        def __init__(self, model: str, **given: Any) -> None:
            made.append(given)
            super().__init__()

        def probe(self) -> None:
            """There is somebody."""

    monkeypatch.setattr("chainlang.engines.openai.engine.OpenAIEngine", Recorded)
    close_engines()
    return made


def test_the_key_goes_to_the_address_beside_it_and_to_no_other(
    made: list[dict[str, Any]],
) -> None:
    given = {"openai_base_url": "http://models.example:8000/v1", "openai_api_key": CANARY}
    for text in ('openai("x")', 'openai("x", base_url="http://127.0.0.1:1/v1")'):
        qa = load(text=f"model m = {text}\nmain = E:m")
        next(qa.map(["q"], **given))
    ours, theirs = made
    assert ours == {
        "base_url": "http://models.example:8000/v1",
        "api_key": CANARY,
        "allowed_hosts": ("models.example",),
    }
    assert theirs == {"base_url": "http://127.0.0.1:1/v1", "allowed_hosts": ()}


def test_a_host_of_a_file_needs_the_users_word(made: list[dict[str, Any]]) -> None:
    qa = load(text='model m = openai("x", base_url="http://models.example/v1")\nmain = E:m')
    next(qa.map(["q"], allowed_hosts=["models.example"]))
    assert made[0]["allowed_hosts"] == ("models.example",)


def test_a_file_reads_no_variable_but_those_that_are_allowed(
    made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'model m = openai("x", api_key=env("MODELS_KEY"))\nmain = E:m'
    monkeypatch.setenv("MODELS_KEY", CANARY)
    with pytest.raises(
        MeaningError, match="allowed_env allows OPENAI_API_KEY, ANTHROPIC_API_KEY, CHAINLANG_"
    ) as error:
        load(text=text)
    assert CANARY not in str(error.value)
    monkeypatch.setenv("CHAINLANG_ALLOWED_ENV", "MODELS_*")
    next(load(text=text).map(["q"]))
    assert made[0]["api_key"] == CANARY


def test_a_secret_is_printed_nowhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHAINLANG_OPENAI_API_KEY", CANARY)
    found = RunSettings.of({"openai_api_key": CANARY})
    printed = [repr(found), str(found), found.model_dump_json(), repr(found.model_dump())]
    for given in ({"window": 0}, {"openai_api_key": [CANARY]}, {"window": 0, "seed": CANARY[:0]}):
        with pytest.raises(SettingError) as error:
            RunSettings.of(given)
        printed += traceback.format_exception(error.value)
        assert error.value.__context__ is None
    (folder / "f.chain").write_text('model m = fake("x")\nmain = E:m\n')
    (folder / "rows.jsonl").write_text('{"query": "q"}\n{\n')
    for command in (
        "ask --json f.chain q",
        "run --json f.chain -i rows.jsonl -o out",
        "run --json f.chain -i rows.jsonl -o out",
        "ask --json --seed x f.chain q",
    ):
        execute(command.split())
    (folder / "chainlang.toml").write_text(f'openai_api_key = ["{CANARY}"]\nwindow = 0\n')
    monkeypatch.delenv("CHAINLANG_OPENAI_API_KEY")
    assert execute(["ask", "--json", "f.chain", "q"]) == 2
    (folder / "chainlang.toml").write_text(f"openai_api_key = {CANARY}\n")
    assert execute(["ask", "f.chain", "q"]) == 2
    printed += capsys.readouterr()
    printed += [path.read_text() for path in (folder / "out").rglob("*.json*")]
    assert len(printed) > 10
    assert not [one for one in printed if CANARY in one]


def test_every_setting_says_what_it_takes_and_what_it_is() -> None:
    for kind in (Settings, MapSettings, RunSettings):
        for name, field in kind.model_fields.items():
            assert field.description, name
            assert any(hasattr(one, "words") for one in field.metadata), name


# ---------------------------------------------------------------- the names that are taken

TAKEN = {
    "analyze", "cache", "changed", "delimiter", "encoding", "engine", "format", "limit", "memory",
    "model", "models", "on", "ordered", "outputs", "overwrite", "passes", "patience", "progress",
    "rename", "seed", "shard", "store", "window",
}  # fmt: skip
"""Settings of one word. A field of a row may be called so too, so a new setting has two words."""


def test_all_names_that_are_taken() -> None:
    assert {name for name in NAMES if "_" not in name} == TAKEN
    assert set(Settings.model_fields) - NAMES == {"allowed_env"}


@pytest.mark.quick(10)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_field_with_the_name_of_a_setting_goes_into_a_dict(name: str) -> None:
    say = op("say", user=f"{{{{ {name} }}}}")
    qa = chain("say", ops={"say": say}, input=f"{{ {name}: str }}")
    echo = FakeEngine(answers=lambda request, index: request.messages[-1].text)
    assert qa({name: "x"}, engine=echo).answer == "x"
    with pytest.raises(SettingError, match=re.escape(f'qa({{"{name}": ...}})')):
        qa(**{name: "x"})


def test_a_field_that_the_input_declares_may_be_close_to_a_setting() -> None:
    qa = chain("E", input="{ sead: str }")
    assert qa(sead="x", engine=FakeEngine()).record.row["sead"] == "x"
    for name in ("query", "text", "order", "question", "lang", "topic", "tags"):
        assert chain("E")(**{name: "x"}, engine=FakeEngine()).ok


def test_keywords_and_parameters_are_those_of_the_model() -> None:
    assert keywords.MODULE.read_text(encoding="utf-8") == keywords.module()
    wanted = {
        name: keywords.annotation(CallSettings, name)
        for name in CallSettings.names() - keywords.BY_OVERLOAD
    }
    for method in (Chain.__call__, Chain.acall, Chain.stream):
        found = [inspect.signature(one).parameters for one in get_overloads(method)]
        (by_fields,) = (one for one in found if "seed" in one)
        settings = {name: one for name, one in by_fields.items() if name in NAMES}
        del settings["on_error"]
        assert {name: one.annotation for name, one in settings.items()} == wanted


def test_a_combinator_has_the_keywords_of_its_options() -> None:
    for name, combinator in COMBINATORS.items():
        parameters = inspect.signature(getattr(chainlang, name)).parameters.values()
        options = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
        assert {one.name for one in options} == combinator.options.keys()
        for one in options:
            rule = combinator.options[one.name]
            assert (one.default is one.empty) == rule.required
            assert one.annotation == (rule.python if rule.required else f"{rule.python} | None")
