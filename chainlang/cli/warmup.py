"""``chainlang warmup [MODEL|FILE]``: keep a model loaded for later commands."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.api.stage_types import E
from chainlang.cli.flags import add_allow, add_functions, examples
from chainlang.cli.missing import missing
from chainlang.cli.output import emit, report, say
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of
from chainlang.ir.declarations import Model

if TYPE_CHECKING:
    from chainlang.ready.control import Ready, Started


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "warmup",
        help=about,
        description="Start a `vllm serve` with a model in the background, on this machine and for "
        "this user alone. `ask`, `run` and the REPL use it where the model and its settings are "
        "equal; in Python the setting use_warm does. A second process is ready to run "
        "`chainlang ask` without importing it anew. `chainlang kill` ends both.",
        usage="%(prog)s [MODEL|FILE] [options]",
        epilog=examples(
            "chainlang warmup", "chainlang warmup Qwen/Qwen2.5-0.5B-Instruct",
            "chainlang warmup reviews.chain", "chainlang kill",
        ),
    )  # fmt: skip
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL|FILE",
        help="a model, or a file ending in .chain whose models are started, with their settings; "
        "default: the default model",
    )
    add_functions(parser)
    add_allow(parser)
    parser.add_argument("--json", action="store_true", help="print the servers as JSON")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Start the servers, and print where they are."""
    with missing("httpx2", "openai"):
        import httpx2  # noqa: F401  # what later commands talk to the server with
    from chainlang.display.progress import Meter
    from chainlang.display.progress_displays import standard_display
    from chainlang.session.run_progress import ended
    from chainlang.session.warm_server import warm_up

    models = models_of(options)
    meter = Meter(standard_display() or say)
    with ready_process() as started:
        with ended(meter):
            found = [warm_up(one, meter.say) for one in models]
        ready = awaited(started, say)
    if options.json:
        emit(json.dumps([described(state) for state, _ in found], indent=2))
        return 0
    for state, is_new in found:
        emit(f"{state.shown} is warm{'' if is_new else ' already'}: {state.url}, pid {state.pid}")
        emit(f"  log: {state.log}")
        emit(f"  end: chainlang kill {state.shown}")
    if ready is not None:
        emit(f"chainlang ask is ready: pid {ready.pid}, which ends with the last warm model")
    return 0


@contextmanager
def ready_process() -> Iterator[Ready | Started]:
    """Start a ready process for commands like this one, unless there is one.

    It starts before any model, since vLLM changes variables that its commands do not have. It ends
    if no model gets warm in the block.
    """
    from chainlang.cli.ready_process import PROGRAM
    from chainlang.ready.control import Started, ready_processes, start
    from chainlang.store.warm_models import starting, warm_models

    with starting():  # which makes the folder
        there = next((one for one in ready_processes() if one.is_alike), None)
        found = start(PROGRAM) if there is None else there
    try:
        yield found
    except BaseException:
        if isinstance(found, Started) and next(warm_models(), None) is None:
            found.process.kill()
            found.process.wait()
        raise


def awaited(started: Ready | Started, say: Callable[[str], None]) -> Ready | None:
    """Return the ready process; None, with the reason said, if the one that was started ended."""
    from chainlang.ready.control import Ready, wait
    from chainlang.ready.meeting import log_of

    if isinstance(started, Ready):
        return started
    found = wait(started)
    if found is None:
        said = Path(log_of(started.path)).read_text(encoding="utf-8").splitlines() or [
            "it printed nothing"
        ]
        say(
            f"no process is ready for chainlang ask: the one that was started has ended: {said[-1]}"
        )
    return found


def models_of(options: argparse.Namespace) -> list[Model]:
    """Return the model that is named, or the models that a file's chain loads."""
    from chainlang.optimizer.compile import planned
    from chainlang.session.decide import exemplified
    from chainlang.session.engine_pool import check_name, wanted
    from chainlang.session.named_models import with_models
    from chainlang.settings import CallSettings

    settings, text = CallSettings.of({}), options.model
    if text is not None and text.endswith(".chain"):
        chain, warned = read_chain(text, options.functions, options.allow)
        report(warned)
    else:
        text = settings.model if text is None else text
        chain = E(text)
    program = with_models(exemplified(chain.program()), settings)
    named = wanted(planned(program, settings).plan, program.items, settings)
    declared = [one.name for one in program.items if isinstance(one, Model)]
    for name in named:
        if name not in declared:
            check_name(name, declared, settings)
    found = [one for one in named.values() if isinstance(one, Model) and one.engine == "vllm"]
    if not found:
        message = f"{text} has no model that is loaded on this machine"
        hint = "models of servers and fake models need no warmup"
        raise error_of("engine", message, hint)
    return found


def described(state: Any) -> dict[str, Any]:
    """Return a warm model as JSON, without its key."""
    shown = {
        "model": state.shown, "settings": json.loads(state.settings), "url": state.url,
        "pid": state.pid, "started": state.started, "log": state.log,
    }  # fmt: skip
    return {**shown, "running": state.is_running}
