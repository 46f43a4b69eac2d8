"""The folder of the real model: made once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples import real_model

PROGRAM = Path(real_model.__file__)


def test_two_processes_make_one_folder_and_what_a_killed_one_left_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    part = tmp_path / "chainlang" / f"{real_model.NAME}.part"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"half")
    both = [
        subprocess.Popen([sys.executable, PROGRAM], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    made = {Path(one.communicate(timeout=600)[0].strip()) for one in both}
    folder = part.with_suffix("")
    assert made == {folder}
    assert not part.exists()
    real_model.check(folder)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert real_model.real_model() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written


def test_a_file_that_is_not_what_it_has_to_be_is_named(tmp_path: Path, real_folder: Path) -> None:
    for name in real_model.HASHES:
        (tmp_path / name).symlink_to(real_folder / name)
    real_model.check(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"tokenizer\.json has the SHA-256 44136fa3"):
        real_model.check(tmp_path)


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(SystemExit, match=r"no_such is not installed: pip .*real-model\.txt"):
        real_model.packaged("no_such")
