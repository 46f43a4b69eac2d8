"""Files of models, and files of variables."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from chainlang import ChainlangError, chain, models
from chainlang.models.files import models_files
from tests.engines.server import Server, echo

GOOD = """
[models]
fast = "groq:llama-3.3-70b-versatile"

[models.small]
engine = "fake"

[models.mini]
provider = "openai"
model = "gpt-4o-mini"
"""
BAD = (
    ("models = 5", "'models' is no table"),
    ("[models.a]\nmodel = 'x'", "has no engine"),
    ("[models.a]\nengine = 'vlm'", "unknown engine 'vlm' in [models.a]"),
    ("[models.a]\nengine = 'vllm'\nmax_model_len = 'x'", "invalid value for max_model_len"),
    ("[models.a]\nengine = 'openai'\nbase_urls = 'x'", "unknown setting 'base_urls'"),
    ("[models.a]\nprovider = 'grok'", "unknown engine 'grok'"),
    ("[models.a]\nprovider = 'groq'\nbase_url = 'x'", "has a provider and base_url"),
    ("[models]\na = 5", "is no table"),
    ("[model.a]", "unknown section 'model'"),
    ("[models", "this is no TOML"),
    ("[models.a]\nengine = 'vllm'\ntrust_remote_code = true", "runs code that comes with"),
    ("[models.a]\nengine = 'vllm'\nload_format = 'mine'", "runs code that comes with"),
    ("[models.a]\nengine = 'vllm'\nlogits_processors = ['x']", "unknown setting 'logits_proc"),
    ("[models.a]\nengine = 'vllm'\nchat_template = '/etc/passwd'", "names a file"),
    ("[models.a]\nengine = 'openai'\napi_key = '${HOME}'", "may not read the variable HOME"),
)


def test_a_file_names_models(place: Path) -> None:
    (place / "models.toml").write_text(GOOD)
    below = place / "a" / "b"
    below.mkdir(parents=True)
    os.chdir(below)  # the nearest file goes up from here
    assert chain("E:small")("Why?").ok
    for name, what in (("mini", "openai, and OPENAI_API_KEY"), ("fast", "groq, and GROQ_API_KEY")):
        with pytest.raises(ChainlangError, match=what):
            chain(f"E:{name}")("Why?")
    with pytest.raises(ChainlangError, match="did you mean 'small'"):
        chain("E:smal")("Why?")


def test_the_file_of_the_guide_is_one(place: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "models.md").read_text()
    (text,) = (one for one in re.findall(r"```text\n(.*?)```", guide, re.S) if "[models" in one)
    (place / "models.toml").write_text(text)
    (file,) = models_files(["CHAINLANG_*KEY"])
    assert set(file.models) == {"small", "mini", "lab", "fast"}


@pytest.mark.parametrize(("text", "message"), BAD, ids=[one[1] for one in BAD])
def test_a_wrong_file_says_where_and_what(place: Path, text: str, message: str) -> None:
    (place / "models.toml").write_text(text)
    with pytest.raises(ChainlangError) as caught:
        chain("E:small")("Why?")
    assert message in str(caught.value)
    assert "models.toml" in str(caught.value)


def test_a_file_of_a_project_sends_no_key_to_a_host_that_it_names_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    text = '[models.a]\nengine = "openai"\nbase_url = "https://lab.example/v1"\n'
    (place / "models.toml").write_text(text + 'api_key = "${OPENAI_API_KEY}"\n')
    with pytest.raises(ChainlangError, match="not an allowed host"):
        chain("E:a")("Why?")
    (place / "chainlang.toml").write_text('allowed_hosts = ["lab.example"]')
    with pytest.raises(ChainlangError, match="gets no API key from the environment"):
        chain("E:a")("Why?")


def test_the_users_own_file_may_have_what_runs_code(place: Path) -> None:
    users = place / "config" / "chainlang" / "models.toml"
    users.parent.mkdir(parents=True)
    users.write_text("[models.a]\nengine = 'vllm'\nmodel = './no'\ntrust_remote_code = true\n")
    (file,) = models_files()
    assert "trust_remote_code=True" in repr(file.models["a"])


def test_a_file_that_others_can_write_is_not_read(place: Path) -> None:
    (place / "models.toml").write_text(GOOD)
    (place / "models.toml").chmod(0o666)
    with pytest.raises(ChainlangError, match="can be written by every user"):
        chain("E:small")("Why?")


def test_a_changed_file_is_read_again(place: Path) -> None:
    with Server(echo) as server:
        text = f'[models.a]\nengine = "openai"\nbase_url = "{server.url}"\nmodel = "{{}}"'
        for name in ("one", "other"):
            (place / "models.toml").write_text(text.format(name))
            chain("E:a")(name)
        assert [body["model"] for body in server.bodies] == ["one", "other"]


def test_variables_are_read_on_request(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A", "B", "C", "D", "E"):
        monkeypatch.delenv(f"CHAINLANG_{name}_KEY", raising=False)
    monkeypatch.setenv("CHAINLANG_B_KEY", "mine")
    (place / ".env").write_text(
        "# keys\nCHAINLANG_A_KEY=a # of the lab\nexport CHAINLANG_B_KEY=b\n"
        "CHAINLANG_C_KEY='c # c'\n\nCHAINLANG_D_KEY=\"d\"\nCHAINLANG_E_KEY=$(rm -r x)\n"
    )
    assert models.read_env() == tuple(f"CHAINLANG_{name}_KEY" for name in ("A", "C", "D", "E"))
    found = [os.environ[f"CHAINLANG_{name}_KEY"] for name in ("A", "B", "C", "D", "E")]
    assert found == ["a", "mine", "c # c", "d", "$(rm -r x)"]
    models.read_env(override=True)
    assert os.environ["CHAINLANG_B_KEY"] == "b"
    (place / "bad.env").write_text("A=1\nsk-secret\n")
    with pytest.raises(ChainlangError, match="line 2 is no variable") as caught:
        models.read_env("bad.env")
    assert "sk-secret" not in str(caught.value)
    with pytest.raises(ChainlangError, match="No such file"):
        models.read_env("missing.env")


BAD_YAML = (
    ("models: [", "this is no YAML"),
    ("models: 5", "'models' is no table of models"),
    ("models:\n  a:\n    provider: nobody", "unknown provider 'nobody'"),
    ("models:\n  a:\n    provider: local\n    base_model: b", "its base_model 'b' is no model"),
    ("models:\n  a:\n    provider: local\n    metrics: { accuracy: 9 }", "invalid value for facts"),
    (
        "models:\n  a:\n    provider: local\nselection_policies:\n  p: {}",
        "the policy p in",
    ),
)


@pytest.mark.parametrize(("text", "message"), BAD_YAML, ids=[one[1] for one in BAD_YAML])
def test_a_wrong_yaml_file_says_where_and_what(place: Path, text: str, message: str) -> None:
    (place / "m.yaml").write_text(text)
    with pytest.raises(ChainlangError) as caught:
        models.read_yaml(place / "m.yaml")
    assert message in str(caught.value)
    assert "m.yaml" in str(caught.value)


def test_yaml_needs_its_package(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (place / "models.yaml").write_text("models:\n  a:\n    provider: openai\n")
    with pytest.raises(ChainlangError, match=r"pip install 'chainlang\[yaml\]'"):
        chain("E:a")("Why?")


def test_a_yaml_file_of_another_program_is_passed_over(place: Path) -> None:
    (place / "models.yaml").write_text("models:\n  - name: User\n")
    with pytest.raises(ChainlangError, match="no model is called 'a'"):
        chain("E:a")("Why?")
