"""Metrics of rows and requests, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chainlang.errors import error_of
from chainlang.protocol.failures import Cause
from chainlang.protocol.usages import Usages

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FINISHED = "stop"
"""Reason of a row that succeeded; of one that failed, it is the cause."""
ABORTED = "abort"
"""Reason of a row whose client went away."""
BROKEN = "error"
"""Reason of a row that ended by an error of the server."""
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """Counters of a server or of a run, in a registry of their own: vLLM empties the shared one.

    Their names are vLLM's where they mean the same. Labels are names of models, stages, causes and
    keys, of which there are few, and never texts of a client.
    """

    def __init__(self) -> None:
        """Make the metrics. Raises `SourceError` if prometheus_client is not installed."""
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram
        except ModuleNotFoundError as error:
            what = "metrics need prometheus_client, which is not installed"
            raise error_of("file", what, "run: pip install 'chainlang[serve]'") from error
        self.registry: CollectorRegistry = CollectorRegistry()
        given: Any = {"registry": self.registry}
        self._rows = Counter(
            "chainlang:request_success", "Completed rows, by how they ended.",
            ["model_name", "finished_reason"], **given,
        )  # fmt: skip
        self._first = Histogram(
            "chainlang:time_to_first_token_seconds", "Time to the first text of a streamed reply.",
            ["model_name"], buckets=_SECONDS, **given,
        )  # fmt: skip
        self._whole = Histogram(
            "chainlang:e2e_request_latency_seconds", "Time from the start of a row to its end.",
            ["model_name"], buckets=_SECONDS, **given,
        )  # fmt: skip
        labels = ["model_name", "stage"]
        self._prompt = Counter("chainlang:prompt_tokens", "Tokens of prompts.", labels, **given)
        self._output = Counter("chainlang:generation_tokens", "Tokens of replies.", labels, **given)
        self._calls = Counter("chainlang:calls", "Generated samples.", labels, **given)
        self._events = Counter(
            "chainlang:events", "Events of rows, by their kinds.", ["model_name", "kind"], **given
        )
        self._limited = Counter(
            "chainlang:rate_limited", "Requests beyond a rate or a budget.", ["key"], **given
        )

    def watch(self, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Add the rows in flight, and the requests that wait for a slot."""
        from prometheus_client import Gauge

        each = {
            "running": ("Rows in flight.", running),
            "waiting": ("Requests that wait for a slot.", waiting),
        }
        for name, (words, read) in each.items():
            gauge = Gauge(f"chainlang:num_requests_{name}", words, registry=self.registry)
            gauge.set_function(read)

    def row(
        self,
        model: str,
        cause: Cause | str | None,
        usages: Usages,
        seconds: float,
        events: Iterable[str] = (),
    ) -> None:
        """Count a row: how it ended, how long it took, what its stages have used, its events."""
        for kind in events:
            self._events.labels(model, kind).inc()
        self._rows.labels(model, cause or FINISHED).inc()
        self._whole.labels(model).observe(seconds)
        for (stage, _), usage in usages.parts.items():
            self._prompt.labels(model, stage).inc(usage.prompt_tokens)
            self._output.labels(model, stage).inc(usage.output_tokens)
            self._calls.labels(model, stage).inc(usage.calls)

    def first(self, model: str, seconds: float) -> None:
        """Count the time to the first text of a reply."""
        self._first.labels(model).observe(seconds)

    def limited(self, key: str) -> None:
        """Count a request that was refused for its rate or budget."""
        self._limited.labels(key).inc()

    def text(self) -> tuple[bytes, str]:
        """Return all metrics as text, and its media type."""
        from prometheus_client import generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4


@contextmanager
def published(metrics: Metrics, port: int) -> Iterator[int]:
    """Serve metrics at a port of this machine in the block; yield the port, of which 0 is any.

    Raises `SourceError` if the port is taken.
    """
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, "127.0.0.1", metrics.registry)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise error_of("file", f"metrics can't be served at port {port}: {why}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
