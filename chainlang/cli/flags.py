"""Flags of the settings, made from the model of settings."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.diagnostics.suggest import suggest

if TYPE_CHECKING:
    from chainlang.settings import Settings


class Page(argparse.HelpFormatter):
    """Help whose examples keep their lines, and whose usage and titles fit a narrow terminal."""

    def _format_usage(self, *args: Any) -> str:
        lines = super()._format_usage(*args).splitlines()
        return "\n".join(self._narrow(line, "  ") for line in lines) + "\n"

    def start_section(self, heading: str | None) -> None:
        """Begin a section of flags."""
        super().start_section(heading and self._narrow(heading, ""))

    def _narrow(self, line: str, indent: str) -> str:
        if len(line) <= self._width:
            return line
        return textwrap.fill(
            line,
            self._width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES):
            return text
        return super()._fill_text(text, width, indent)


EXAMPLES = "examples:\n"


def examples(*lines: str) -> str:
    """Return the end of a page of help: commands that can be copied."""
    return EXAMPLES + "\n".join(f"  {line}" for line in lines)


class Command(argparse.ArgumentParser):
    """Parser of a command. The flags of its settings are added when it parses or prints its help.

    The model of settings takes 100 ms to import, which the other commands do not need.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": Page, "allow_abbrev": False, **kwargs})

    complete: Callable[[Command], None] | None = None
    """Function that adds the flags of the settings, until they are added."""

    def fill(self) -> None:
        """Add the flags of the settings, once."""
        complete, self.complete = self.complete, None
        if complete is not None:
            complete(self)

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Parse arguments. An unknown flag ends the program, with the flag that it may mean."""
        self.fill()
        options, others = super().parse_known_args(*args, **kwargs)
        if others:
            wrong = next((one for one in others if one.startswith("-")), others[0])
            shown = (one for one in self._actions if one.help != argparse.SUPPRESS)
            known = [flag for action in shown for flag in action.option_strings]
            name = wrong.partition("=")[0]
            hint = suggest(name, known, None) or _of_runs(name)
            self.error(f"unknown argument {wrong}" + (f": {hint}" if hint else ""))
        return options, others

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Raise `ArgumentError` for a value that is no choice, with the one that it may mean."""
        known = None if action.choices is None else [str(one) for one in action.choices]
        if known is not None and value not in known:
            hint = suggest(str(value), known, "choose from")
            raise argparse.ArgumentError(action, f"unknown value {value!r}: {hint}")


_OF_RUNS = (
    "-i", "-o", "--input", "--output", "--workers", "--log-format", "--metrics-port",
    "--trace-endpoint",
)  # fmt: skip


def _of_runs(flag: str) -> str | None:
    """Return the hint of a flag that only a run over rows has; None for any other."""
    from chainlang.settings import RunSettings

    name = flag.removeprefix("--").replace("-", "_")
    is_flag = flag in _OF_RUNS
    if not is_flag and not (flag.startswith("--") and name in RunSettings.names()):
        return None
    return "it is a flag of chainlang run"


def add_flags(
    parser: argparse.ArgumentParser, settings: type[Settings], *, without: Collection[str] = ()
) -> None:
    """Add a flag for each setting that a shell can express.

    A secret has none, since other users of the machine can read the arguments of a process, unless
    it can be checked to be none.
    """
    from chainlang.settings import Settings

    own = parser.add_argument_group("settings")
    shared = parser.add_argument_group(
        "settings, also read from the environment (CHAINLANG_NAME) and chainlang.toml"
    )
    for name, takes in settings.takes().items():
        if name not in settings.names() or not takes.has_flag or name in without:
            continue
        field = settings.model_fields[name]
        group = shared if name in Settings.model_fields else own
        flag, words = f"--{name.replace('_', '-')}", _help(field.description, field.default)
        if takes.python == "bool" and field.default is None:
            both = argparse.BooleanOptionalAction
            group.add_argument(flag, action=both, default=None, help=words)
        elif takes.python == "bool":
            group.add_argument(flag, action="store_true", default=None, help=words)
        elif takes.python.startswith("Mapping["):
            group.add_argument(flag, action="append", metavar=takes.metavar, help=words)
        else:
            read = _value(takes.python) if takes.of_flag is None else _public(takes.of_flag)
            group.add_argument(flag, metavar=takes.metavar, type=read, help=words)


def add_chain(parser: argparse.ArgumentParser) -> None:
    """Add the argument that every command reads a chain from."""
    parser.add_argument(
        "chain",
        metavar="EXPR|FILE",
        help="a chain in quotes, a file ending in .chain or .yaml, or - for stdin",
    )


def add_functions(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names the Python file of a chain's functions."""
    parser.add_argument(
        "--functions",
        type=Path,
        metavar="FILE",
        help="Python file with the functions and classes that the chain calls as @name; it is run",
    )


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add the flag that allows settings of a file which run code."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="SETTING",
        help="setting of the file's models that may run code, such as trust_remote_code",
    )


def given(options: argparse.Namespace, settings: type[Settings]) -> dict[str, Any]:
    """Return the settings that were given as flags, and those that a shell has by default."""
    values = ((name, getattr(options, name, None)) for name in settings.names())
    found = {name: value for name, value in values if value is not None}
    _check(found, settings)
    if "models" in found:
        from chainlang.models.written import written

        pairs = (one.partition("=") for one in found["models"])
        found["models"] = {name: written(text, "--models") for name, _, text in pairs}
    return {**defaults(), **found}


def _check(found: Mapping[str, Any], settings: type[Settings]) -> None:
    """Raise `SettingError` for invalid values, with the forms that they have in a shell."""
    from pydantic import ValidationError

    from chainlang.errors import SettingError
    from chainlang.settings.faults import misfit_of_flag

    try:
        settings.model_validate(found)
        wrong = dict[str, None]()
    except ValidationError as error:
        wrong = dict.fromkeys(str(one["loc"][0]) for one in error.errors())
    if wrong:  # not within the `except`: the other error holds the values
        takes = settings.takes()
        raise SettingError(misfit_of_flag(takes[name], name, found[name]) for name in wrong)


def defaults() -> dict[str, Any]:
    """Return the settings that differ in a shell, unless the environment or a file gives them."""
    from chainlang.settings import CallSettings

    return {"use_warm": True} if CallSettings.of({}).use_warm is None else {}


_NUMBERS: Mapping[str, Callable[[str], object]] = {"int": int, "float": float}


def _value(python: str) -> Callable[[str], object]:
    """Return the parser of a flag's value. The settings refuse a text that is not a number."""

    def read(text: str) -> object:
        try:
            return _NUMBERS.get(python, str)(text)
        except ValueError:
            return text

    return read


def _public(fault: Callable[[str], str]) -> Callable[[str], str]:
    """Return the parser of a value that may be a secret, which refuses one."""

    def read(text: str) -> str:
        if why := fault(text):
            hint = 'write env("NAME"), with the name of a variable that has it'
            raise argparse.ArgumentTypeError(f"it {why}: {hint}")
        return text

    return read


def _help(description: str | None, default: object) -> str:
    words = " ".join((description or "").replace("`", "").split())
    if default not in (None, (), False) and "default:" not in words:
        written = f"{default:g}" if isinstance(default, float) else default
        words += f" (default: {written})"
    return words.replace("%", "%%")
