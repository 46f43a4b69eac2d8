"""Settings and options that people write for their needs: accepted, or refused with a near hint."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, ChainlangWarning, chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.ir.declarations import Model
from chainlang.ir.model_settings import PERMISSIONS
from chainlang.models.open_engines import close_engines
from chainlang.settings import MapSettings
from tests.cases import Case, cases, each_case
from tests.engines.server import Body, Server, as_json, chat_reply

Golden = Callable[[Case, str], None]


def made(text: str) -> Chain | None:
    """Return the chain of a text; None if it has settings of a run."""
    if text.startswith(("vllm(", "openai(")):
        return load(text=f"model m = {text}\nmain = E:m")
    if text.startswith("op {"):
        user = "" if text.startswith("op { prompt") else 'user = "{{ query }}" '
        return load(text=f'op o : generate -> "a" | "b" {{ {user}{text[4:]}\nmain = o')
    if text.startswith("run("):
        call = ast.parse(text, mode="eval").body
        assert isinstance(call, ast.Call)
        MapSettings.of({str(one.arg): ast.literal_eval(one.value) for one in call.keywords})
        return None
    return chain(text)


def outcome(text: str) -> str:
    """Return "accepted", or what is said of a text, on a line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ChainlangWarning)
            made(text)
    except ChainlangError as error:
        found = error.diagnostics[0]
        return f"{found.message}; {found.hint}"
    return "accepted"


@each_case("settings/*.cases")
def test_what_people_write(case: Case, golden: Golden) -> None:
    golden(case, "\n".join(map(outcome, case.text.splitlines())))


def test_there_are_enough_texts(request: pytest.FixtureRequest) -> None:
    path = request.path.parent / "fixtures" / "settings" / "needs.cases"
    cases = path.read_text(encoding="utf-8").split("\n---- ")[1:]
    texts = [one.partition("\n=>")[0].splitlines()[1:] for one in cases]
    assert len(cases) >= 40
    assert sum(map(len, texts)) >= 100


# ---------------------------------------------------------------- what is accepted acts


def accepted(*starts: str) -> list[str]:
    """Return the accepted texts of the fixture that begin so."""
    texts = [line for case in cases("settings/*.cases") for line in case.text.splitlines()]
    return [text for text in texts if text.startswith(starts) and outcome(text) == "accepted"]


def answer(body: Body) -> Any:
    """Answer with as many samples as are asked for, and with what is asked of their tokens."""
    text = '"a"' if "response_format" in body else "a END"
    document = chat_reply(*[text] * body.get("n", 1))
    token = {"token": text, "logprob": -0.5}
    for choice in document["choices"]:
        likely = [token] * body.get("top_logprobs", 0)
        choice["logprobs"] = {"content": [{**token, "top_logprobs": likely}]}
    return as_json(document)


def sent(text: str) -> Body:
    """Return the body of the request that a chain sends to a server."""
    asked = made(text.replace('"yes": 5, ', ""))  # a server alone knows which token a text is
    assert asked is not None
    if "search" in text:
        asked = asked.bind(search=lambda query: query)
    with Server(answer) as server:
        asked("q", engine=OpenAIEngine("m", base_url=server.url))
    (body,) = server.bodies
    return {**body, "model": "m"}


WIRE = {
    "template_args": "chat_template_kwargs",
    "count": "n",
    "include_stop": "include_stop_str_in_output",
    "system": "messages",
}
"""Fields of a request that have another name than the option."""
HERE = {"model", "cut", "choices"}
"""Options that act on this side: on the name in the request of other engines, on candidates."""


ELSEWHERE = ("choices", "thinking_tokens")
"""Options that no server takes."""


@pytest.mark.quick(6)
@pytest.mark.parametrize(
    "text", [one for one in accepted("E(", "op {") if not any(name in one for name in ELSEWHERE)]
)
def test_an_accepted_option_is_in_the_request(text: str) -> None:
    body, plain = sent(text), sent("op { }" if text.startswith("op") else "E")
    options = set(re.findall(r"(\w+) ?=", text)) - HERE
    for option in options:
        names = ["user"] if option == "extra" else [WIRE.get(option, option)]
        if option == "logprobs" and "true" not in text:
            names.append("top_logprobs")
        for name in names:
            assert body.get(name) != plain.get(name), f"{option} does not act"
    assert body.keys() - plain.keys() <= {
        *(WIRE.get(one, one) for one in options), "seed", "user", "top_logprobs"
    }  # fmt: skip


def test_options_that_act_on_candidates() -> None:
    labelled = made("op { choices = true }")
    assert labelled is not None
    assert labelled("q", engine=FakeEngine()).candidates[0].choices.keys() == {"a", "b"}
    kept = chain('E(max_tokens=1, cut="keep")')("q", engine=FakeEngine(answers={"": "a long one"}))
    assert kept.candidates[0].finish == "length"
    result = chain('E(model="m")')("q", engine={"m": FakeEngine(answers={"": "of m"})})
    assert result.answer == "of m"


@pytest.mark.parametrize("text", accepted("openai("))
def test_an_accepted_setting_of_a_server_reaches_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with Server(answer) as server:
        written = text.replace("http://127.0.0.1:8000/v1", server.url)
        if "base_url" not in text:
            written = text.replace(")", f', base_url="{server.url}")')
        load(text=f"model m = {written}\nmain = E:m")("q")
        headers = [one.get("authorization") for one in server.headers]
    assert ("Bearer sk-1" in headers) is ("api_key" in text)
    close_engines()


def test_a_server_gets_the_headers_of_its_model() -> None:
    with Server(answer) as server:
        text = f'openai("m", base_url="{server.url}", headers={{"X-Title": "mine"}})'
        load(text=f"model m = {text}\nmain = E:m")("q")
        assert [one.get("x-title") for one in server.headers] == ["mine"] * len(server.headers)
    close_engines()


@pytest.mark.parametrize(
    "table",
    ['{"Authorization": "x"}', '{"Host": "x"}', '{"X": 3}', '{"a b": "x"}', '{"X": "a\\nb"}'],
)
def test_headers_of_the_protocol_are_no_setting(table: str) -> None:
    with pytest.raises(ChainlangError, match="invalid value for headers"):
        load(text=f'model m = openai("m", headers={table})\nmain = E:m')


MODEL = """model m = vllm("org/m", {})
main = E:m
"""
NEEDS_WORD = {
    "trust_remote_code": "trust_remote_code=true",
    "load_format": 'load_format="mine"',
    "speculative_config": 'speculative_config={"method": "custom_class", "model": "a.B"}',
}


@pytest.mark.parametrize("name", NEEDS_WORD)
def test_what_runs_code_needs_the_word_of_the_loader(name: str, tmp_path: Path) -> None:
    text = MODEL.format(NEEDS_WORD[name])
    with pytest.raises(ChainlangError, match=f"{name} of the model 'm' runs code") as raised:
        load(text=text)
    assert raised.value.diagnostics[0].span is not None
    assert load(text=text, allow=[name]).body == load(text=MODEL.format("revision='a'")).body
    with pytest.raises(ChainlangError, match="runs code"):
        load(text=text, allow=[one for one in PERMISSIONS if one != name])
    path = tmp_path / "used.chain"
    path.write_text(text.partition("\n")[0])
    (tmp_path / "main.chain").write_text('use "used.chain"\nmain = E:m')
    with pytest.raises(ChainlangError, match="runs code"):
        load(tmp_path / "main.chain")
    document = load(text=text, allow=[name]).to_json()
    with pytest.raises(ChainlangError, match="runs code"):
        Chain.from_json(document)


def written(folder: Path, **files: str) -> Path:
    """Write files into a folder, and return the path of main.chain."""
    for name, text in {"main": "", **files}.items():
        path = folder / ("main.chain" if name == "main" else f"{name}.jinja")
        path.write_text(text, encoding="utf-8")
    return folder / "main.chain"


def template(made: Chain) -> object:
    (item,) = (item for item in made.items if isinstance(item, Model))
    return {one.name: one.value for one in item.settings}.get("chat_template")


def test_a_chat_template_may_stand_in_a_file_beside(tmp_path: Path) -> None:
    text = "{% for m in messages %}{{ m.content }}{% endfor %}"
    path = written(tmp_path, main=MODEL.format('chat_template="chat.jinja"'), chat=text)
    made = load(path)
    assert template(made) == text
    assert Chain.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("../chat.jinja", "has '..' in it"),
        ("/etc/passwd", "not a relative path"),
        ("absent.jinja", "no such file"),
        ("chat.jinja", "is no chat template"),
    ],
)
def test_a_chat_template_stays_beside_its_file(path: str, why: str, tmp_path: Path) -> None:
    main = written(tmp_path, main=MODEL.format(f'chat_template="{path}"'), chat="Hello")
    with pytest.raises(ChainlangError, match=why):
        load(main)
    with pytest.raises(ChainlangError, match="beside a text"):
        load(text=MODEL.format(f'chat_template="{path}"'))
    document = load(text=MODEL.format('chat_template="none"')).to_json()
    with pytest.raises(ChainlangError, match="beside a text"):
        Chain.from_json(document.replace('"none"', f'"{path}"'))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("qwen", "did you mean 'qwen3'?"),
        ("Qwen3", "did you mean 'qwen3'?"),
        ("DeepSeek-R1", "did you mean 'deepseek_r1'?"),
        ("glm", "did you mean 'glm45'?"),
        ("openai_gptoss", "a server separates it: vllm serve with --reasoning-parser"),
        ("gpt-oss", "asked by openai(...) without reasoning="),
    ],
)
def test_a_name_that_is_no_reasoning_parser_has_a_hint(name: str, hint: str) -> None:
    with pytest.raises(ChainlangError) as error:
        load(text=MODEL.format(f'reasoning="{name}"'))
    assert hint in str(error.value)


def test_what_runs_no_code_needs_no_word() -> None:
    for written in ("trust_remote_code=false", 'load_format="safetensors"'):
        load(text=MODEL.format(written))
    load(text=MODEL.format('speculative_config={"method": "ngram", "prompt_lookup_max": 4}'))


def test_a_permission_has_the_name_of_a_setting() -> None:
    with pytest.raises(ChainlangError, match="unknown setting 'trust_remote' of allow"):
        load(text="main = E", allow=["trust_remote"])
