"""A server of vLLM, for what asks over HTTP: the same engine, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from attrs import frozen

from benchmarks.turns import OURS, ProgramError

PATIENCE = 240
"""Seconds to wait for a server: it is up in half a minute where nothing else runs."""
COUNTERS = {
    "steps": "vllm:iteration_tokens_total_count",
    "samples": "vllm:request_success_total",
    "tokens": "vllm:generation_tokens_total",
    "preempted": "vllm:num_preemptions_total",
    "prompt": "vllm:prompt_tokens_total",
}
COMPUTED = 'vllm:prompt_tokens_by_source_total{[^}]*source="local_compute"[^}]*}'
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_SERVER_DEV_MODE": "1",  # for forgetting its prefixes
}


@frozen
class Server:
    """A server that answers. `url` is where, without the version."""

    url: str

    def forget(self) -> None:
        """Empty its cache of prefixes."""
        asked = urllib.request.Request(f"{self.url}/reset_prefix_cache", method="POST")
        with urllib.request.urlopen(asked, timeout=30) as reply:
            assert reply.status == 200

    def counts(self) -> dict[str, int]:
        """Return what its engine has done since it began."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as reply:
            text = reply.read().decode()
        found = {name: total(re.escape(metric), text) for name, metric in COUNTERS.items()}
        return {**found, "computed": total(COMPUTED, text)}


def total(metric: str, text: str) -> int:
    """Return the sum of a metric over what it is told apart by."""
    values = re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, flags=re.MULTILINE)
    assert values, metric
    return int(sum(map(float, values)))


@contextmanager
def serving(model: Path, settings: Mapping[str, Any]) -> Iterator[Server]:
    """Start a server with a model, and stop it and all of its processes at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = {
        "model": model, "served-model-name": "served", "host": "127.0.0.1", "port": port,
        "dtype": "float32", "block-size": 32, "max-num-batched-tokens": 4096,
        "structured-outputs-config": json.dumps({"backend": "xgrammar"}),
        **{name.replace("_", "-"): value for name, value in settings.items()},
    }  # fmt: skip
    options = [part for name, value in said.items() for part in (f"--{name}", str(value))]
    command = [
        OURS, "-m", "vllm.entrypoints.openai.api_server", *options, "--enforce-eager",
        "--no-enable-chunked-prefill", "--disable-uvicorn-access-log",
    ]  # fmt: skip
    with (
        TemporaryFile() as log,
        subprocess.Popen(
            command,
            env={**os.environ, **ENVIRONMENT},
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            server = Server(f"http://127.0.0.1:{port}")
            wait(server, process)
            yield server
        except ProgramError as error:
            log.seek(0)
            said_last = log.read().decode(errors="replace")[-4000:]
            raise ProgramError(f"{error}:\n{said_last}") from None
        finally:
            stop(process)


def wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers. Raises `ProgramError` if it ends before, or takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ProgramError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise ProgramError(f"the server did not answer in {PATIENCE} seconds")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes that it has started: they are a group of their own."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=20)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
