"""What is said to somebody who loads a model for the first time, and can't."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from chainlang.cli import execute
from chainlang.models.open_engines import close_engines
from tests.cases import Case, each_case


@pytest.fixture(scope="module")
def models(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that works, and others that each lack something."""
    folder = tmp_path_factory.mktemp("newcomers") / "models"
    shutil.copytree(model, folder / "whole")

    def made(name: str, config: object = None) -> Path:
        shutil.copytree(model, folder / name)
        if config is not None:
            path = folder / name / "config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return folder / name / "model.safetensors"

    weights = made("cut")
    weights.write_bytes(weights.read_bytes()[:-1000])
    made("strange").write_bytes(b"\x08\0\0\0\0\0\0\0no JSON!")
    made("empty").unlink()
    for path in made("mute").parent.glob("*token*"):
        path.unlink()
    (made("base").parent / "chat_template.jinja").unlink()
    (made("broken").parent / "config.json").write_text("{")
    made("far", {"max_position_embeddings": 1_200_000})
    made("unknown", {"architectures": ["AbacusForCausalLM"]})
    made("code", {"model_type": "abacus", "auto_map": {"AutoConfig": "code.Abacus"}})
    return folder


@pytest.mark.skipif(
    Path("/proc/driver/nvidia/version").exists(), reason="vLLM says other things on a GPU"
)
@each_case("vllm/*.cases")
def test_what_a_newcomer_reads(
    case: Case,
    golden: Callable[[Case, str], None],
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # The library of the hub waits 23 seconds in all between its attempts.
    waits = SimpleNamespace(sleep=lambda _: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time", waits)
    Path("models").symlink_to(models)
    file = case.files(Path())
    if Path("environment").exists():
        name, _, value = Path("environment").read_text().strip().partition("=")
        monkeypatch.setenv(name, value)
    status = execute(["ask", str(file), "What is 17 + 25?"])
    close_engines()
    err = capsys.readouterr().err.strip()
    golden(case, f"status {status}\n{re.sub('[0-9.]+ GiB|[0-9.]+ are free', '? GiB', err)}")
