"""Files of models: ``models.toml`` or ``models.yaml``, in the nearest folder and in the user's.

A file in a project may come from another author, as a chain may: an address in it has to be allowed
(`allowed_hosts`), and so has a variable (`allowed_env`). The user's own file needs no permission.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import unknown
from chainlang.engines.hosts import host_named
from chainlang.errors import SettingError
from chainlang.ir.declarations import Environment
from chainlang.ir.model_settings import ENGINES
from chainlang.models.declaration import Declaration, trusted
from chainlang.models.policy import SIGN, Policy
from chainlang.models.providers import PREFIXES
from chainlang.models.registry import signed
from chainlang.models.yaml_file import read_yaml
from chainlang.settings.sources import Version, check_owner, version_of

NAME, YAML = "models.toml", "models.yaml"
_EXAMPLE = '[models.small]\nengine = "vllm"\nmodel = "Qwen/Qwen2.5-0.5B-Instruct"'
_VARIABLE = re.compile(r"\$\{(\w+)\}\Z")


@frozen(eq=False)
class ModelsFile:
    """The models that a file declares, by name."""

    path: str
    models: Mapping[str, Declaration | Policy | str]
    """Models by name, and policies by their names with the sign."""
    own: bool = False
    """Whether it is the user's, and not a project's."""

    def variables(self) -> frozenset[str]:
        """Return the variables of the environment that its models read."""
        return frozenset(
            one.value.name
            for model in self.models.values()
            if isinstance(model, Declaration)
            for one in model.settings
            if isinstance(one.value, Environment)
        )


def models_files(allowed_env: Collection[str] = ()) -> Iterator[ModelsFile]:
    """Yield the files of models in force: of the nearest folder, and then of the user.

    Raises `SettingError` for a file that can't be read, and for a variable of a project's file that
    `allowed_env` lacks.
    """
    nearest = _found(_candidates(os.getcwd()))  # noqa: PTH109
    if nearest is not None:
        file = _read(*nearest, own=False)
        _check_variables(file, allowed_env)
        yield file
    users = _found((str(users_file()),))
    if users is not None and (nearest is None or users[0] != nearest[0]):
        yield _read(*users, own=True)


def users_file() -> Path:
    """Return the path of the user's file: in ``$XDG_CONFIG_HOME/chainlang``, or ``~/.config``."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    home = Path(base) if Path(base).is_absolute() else Path.home() / ".config"
    return home / "chainlang" / NAME


@lru_cache(maxsize=8)
def _candidates(here: str) -> tuple[str, ...]:
    folders = (Path(here), *Path(here).parents)
    return tuple(str(one / name) for one in folders for name in (NAME, YAML))


def _found(paths: tuple[str, ...]) -> tuple[str, Version] | None:
    """Return the first of some files that is there, with its state."""
    for path in paths:
        version = version_of(path) if os.access(path, os.F_OK) else None
        if version is not None and (path.endswith(NAME) or _is_ours(path, version)):
            return path, version
    return None


@lru_cache(maxsize=8)
def _is_ours(path: str, _version: Version) -> bool:
    """Return whether a YAML file declares models; many programs have one of this name."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return bool(re.search(r"^models:", text, re.M) and re.search(r"^\s+provider:", text, re.M))


@lru_cache(maxsize=8)
def _read(path: str, version: Version, *, own: bool) -> ModelsFile:
    check_owner(path, version)
    if path.endswith(YAML):
        return ModelsFile(path, signed(read_yaml(path)), own)
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(path, error.strerror or "this file can not be read")
    except (ValueError, RecursionError) as error:
        _refuse(path, f"this is no TOML: {error}", f"a model is a table:\n{_EXAMPLE}")
    found: list[Diagnostic] = []
    models: dict[str, Declaration | Policy | str] = dict(_declared(path, table, found, own=own))
    models |= _policies(path, table.get("policies", {}), list(models), found)
    if found:
        raise SettingError(found)
    return ModelsFile(path, models, own)


def _policies(
    path: str, table: Any, models: list[str], found: list[Diagnostic]
) -> dict[str, Policy]:
    """Return the policies of a file under their names with the sign, and note what is wrong.

    Without `models` a policy chooses from all those of the file.
    """
    made: dict[str, Policy] = {}
    for name, given in table.items() if isinstance(table, Mapping) else ():
        where = f"[policies.{name}] of {path}"
        if not isinstance(given, Mapping) or "strategy" not in given:
            hint = 'write strategy = "weighted", "thompson" or "ucb"'
            found.append(Diagnostic("setting", f"{where} has no strategy", hint=hint))
            continue
        rest = {"models": models, **{key: one for key, one in given.items() if key != "strategy"}}
        try:
            made[f"{SIGN}{name}"] = Policy.of(str(given["strategy"]), rest, where)
        except SettingError as error:
            found += error.diagnostics
    return made


def _refuse(path: str, what: str, hint: str | None = None) -> None:
    raise SettingError([Diagnostic("setting", f"{path}: {what}", hint=hint)])


def _declared(
    path: str, table: Mapping[str, Any], found: list[Diagnostic], *, own: bool
) -> Iterator[tuple[str, Declaration | str]]:
    """Yield the models of a file, and note what is wrong."""
    for section in table:
        if section not in SECTIONS:
            hint = f"a model is a table:\n{_EXAMPLE}"
            message = f"{path}: unknown section {shown(section)}"
            found.append(Diagnostic("setting", message, hint=hint))
    models = table.get("models", {})
    if not isinstance(models, Mapping):
        found.append(Diagnostic("setting", f"{path}: 'models' is no table", hint=_EXAMPLE))
        return
    for name, given in models.items():
        try:
            made = declared(f"[models.{name}] of {path}", name, given, own=own)
        except SettingError as error:
            found += error.diagnostics
        else:
            yield name, trusted(made) if own and isinstance(made, Declaration) else made


SECTIONS = ("models", "policies")
"""The tables of a file."""


def declared(where: str, name: str, given: object, *, own: bool) -> Declaration | str:
    """Return the model that a table declares, or the name that it stands for.

    `own`: whether the file is the user's. Raises `SettingError`.
    """
    if isinstance(given, str):
        return given
    if not isinstance(given, Mapping):
        hint = f"write a table, or another name as a text:\n{_EXAMPLE}"
        raise SettingError(
            [Diagnostic("setting", f"{where} is no table: {shown(given)}", hint=hint)]
        )
    settings = {key: _value(one) for key, one in given.items() if key not in _HEAD}
    engine, provider, source = (given.get(key) for key in _HEAD)
    source = name if source is None else source
    if provider is not None:
        if provider not in PREFIXES:
            raise SettingError(
                [unknown("engine", str(provider), PREFIXES, code="setting", of=f" in {where}")]
            )
        host = host_named(str(provider))
        assert host is not None
        wrong = [one for one in ("base_url", "api_key") if one in settings]
        if wrong or engine is not None:
            other = next(iter(wrong), "engine")
            what = f"{where} has a provider and {other}: a provider has its own address and key"
            hint = 'leave provider out, and write engine = "openai" with base_url'
            raise SettingError([Diagnostic("setting", what, hint=hint)])
        made = Declaration.of(host.engine, str(source), settings, where, of_file=not own)
        return made.about(provider=host.prefix)
    if engine is None:
        hint = f'write engine = "vllm", or another of {", ".join(ENGINES)}; or provider = "openai"'
        raise SettingError([Diagnostic("setting", f"{where} has no engine", hint=hint)])
    return Declaration.of(str(engine), str(source), settings, where, of_file=not own)


_HEAD = ("engine", "provider", "model")


def _value(value: Any) -> Any:
    """Return a value of TOML; ``${NAME}`` is a variable of the environment."""
    if isinstance(value, str) and (found := _VARIABLE.match(value)):
        return Environment(found[1])
    return value


def _check_variables(file: ModelsFile, allowed: Collection[str]) -> None:
    for name in sorted(file.variables()):
        if not any(fnmatchcase(name, pattern) for pattern in allowed):
            message = f"{file.path} may not read the variable {name}"
            hint = f"allow it yourself: CHAINLANG_ALLOWED_ENV={name}"
            raise SettingError([Diagnostic("setting", message, hint=hint, setting="allowed_env")])
