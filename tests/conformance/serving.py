"""A real server: vLLM's own, of OpenAI's protocol, in a process beside the tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.request import urlopen

_PATIENCE = 600.0  # seconds until it has to be up; it takes half a minute on two free cores
_FAREWELL = 10.0  # seconds to go by itself
_SHOWN = 6000  # characters of its log, from the end
_SETTINGS = (
    # On the CPU as `chainlang.engines.vllm.load` has it, for the same reasons.
    ("--dtype", "float32"),
    ("--block-size", "32"),
    ("--no-enable-chunked-prefill",),
    ("--max-num-batched-tokens", "4096"),
    ("--enforce-eager",),
    ("--max-num-seqs", "64"),
    ("--structured-outputs-config", '{"backend": "xgrammar"}'),
    ("--generation-config", "vllm"),  # what a chain leaves unsaid has the usual values
    ("--enable-prompt-tokens-details",),  # else it does not tell what came from its cache
)
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # its first log probabilities would take 14 seconds of compiling
}


@contextmanager
def serving(model: Path, name: str, *settings: str) -> Iterator[str]:
    """Serve a model under a name, with more settings of the server, and yield the address.

    Nothing of the server outlives this.
    """
    free = socket.socket()
    # Bound until the server is up, so that nobody else gets the port: the server may have it too.
    free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(model), "--served-model-name", name]
    command += [*(part for setting in _SETTINGS for part in setting), *settings]
    with free, tempfile.TemporaryFile("w+", errors="replace") as log:
        # In a group of its own: it starts other processes, which outlive it when it is killed.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
        try:
            _wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_FAREWELL)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: IO[str]) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        with suppress(OSError), urlopen(url, timeout=5):
            return
        ended = process.poll()
        if ended is not None or time.monotonic() > until:
            log.seek(0)
            why = "did not come up" if ended is None else f"ended with {ended}"
            raise RuntimeError(f"the server {why}; its log ends:\n{log.read()[-_SHOWN:]}")
        time.sleep(0.2)
