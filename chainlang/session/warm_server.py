"""Start of a warm model: a `vllm serve` in the background, for this user of this machine alone."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from chainlang.engines.vllm.load_errors import short
from chainlang.errors import ChainlangError, error_of
from chainlang.ir.declarations import Model
from chainlang.models.open_engines import arguments_of, source_of
from chainlang.session.warm_models import identity, unfit
from chainlang.store.warm_models import WarmModel, born, files_of, find, log_of, name_of, starting

_STEP = 0.2


def warm_up(model: Model, say: Callable[[str], None]) -> tuple[WarmModel, bool]:
    """Start the server of a model, and wait until it answers; return it, and whether it is new.

    A server that runs already is kept, unless the files of the model have changed. Raises
    `EngineError` if the model can't be loaded.
    """
    name, settings = identity(model)
    process = None
    with starting():
        state = find(name, settings)
        if state is None or unfit(state):
            if state is not None:
                state.end()
            state, process = _started(model, name, settings, say)
    if process is None:
        _wait(state, None, say)
        return state, False
    try:
        _wait(state, process, say)
    except BaseException:
        state.end()
        raise
    finally:
        process.returncode = 0  # it outlives this process, which `Popen` would warn of
    return state, True


def _started(
    model: Model, name: str, settings: str, say: Callable[[str], None]
) -> tuple[WarmModel, subprocess.Popen[bytes]]:
    from chainlang.engines.vllm.serve import Served

    served = Served.of(source_of(model), arguments_of(model), say)
    title, key, port = name_of(name, settings), secrets.token_urlsafe(32), _free_port()
    log = log_of(title)
    command = served.command(port, log.with_suffix(".jinja"))
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        process = subprocess.Popen(  # noqa: S603  # this Python, and arguments that are checked
            command,
            # Others can read the arguments of a process, and not its environment.
            env={**os.environ, **served.environment, "VLLM_API_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C here does not reach it, and one signal ends it whole
        )
    state = WarmModel(
        name=title,
        model=name,
        shown=model.source,
        settings=settings,
        url=f"http://127.0.0.1:{port}/v1",
        key=key,
        pid=process.pid,
        born=born(process.pid),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=served.fingerprint,
        batch_invariant=served.model.batch_invariant,
        files=files_of(Path(name)),
        log=str(log),
    )
    state.write()
    return state, process


def _wait(
    state: WarmModel, process: subprocess.Popen[bytes] | None, say: Callable[[str], None]
) -> None:
    """Wait until a server answers. Raises `EngineError` if it ends before."""
    if answers(state):
        return
    say(f"starting the server of {state.shown}")
    while not answers(state):
        if (process is not None and process.poll() is not None) or not state.is_running:
            raise _failure(state)
        time.sleep(_STEP)


def answers(state: WarmModel) -> bool:
    """Return whether the server of a warm model answers."""
    address = urlsplit(state.url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _failure(state: WarmModel) -> ChainlangError:
    text = Path(state.log).read_text(encoding="utf-8", errors="replace") if state.log else ""
    errors = [line for line in text.splitlines() if "Error" in line] or text.splitlines()[-1:]
    kept = Path(state.log).with_name(f"failed-{state.name}.log")  # the other one is removed
    with suppress(OSError):
        Path(state.log).replace(kept)
    why = short(errors[-1]) if errors else "it printed nothing"
    message = f"the server of {state.shown} ended before it answered: {why}"
    return error_of("engine", message, f"read its log: {kept}", kind="model", subject=state.shown)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
