"""Traces and metrics of a command: spans for an OTLP collector, metrics for Prometheus."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from chainlang.cli.missing import missing
from chainlang.cli.output import counted, say
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.runtime.outcome import Outcome

_PATH = "/v1/traces"
_SECONDS = 5.0
"""Seconds that a collector has for a batch of spans, and at the end for the last one."""


def add_trace_endpoint(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the collector of spans."""
    parser.add_argument(
        "--trace-endpoint",
        metavar="URL",
        help="send spans of rows, stages and requests to an OTLP collector (HTTP), such as "
        "http://localhost:4318",
    )


def add_metrics_port(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the port of metrics."""
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="N",
        help="serve metrics for Prometheus at this port of this machine during the run; 0 is any",
    )


@contextmanager
def observed(options: argparse.Namespace, name: str) -> Iterator[Callable[[Outcome], None]]:
    """Observe a run in the block, as its flags say; yield a function that counts each outcome.

    `name` is the model of its metrics.
    """
    port = options.metrics_port
    with ExitStack() as stack:
        stack.enter_context(traced(options.trace_endpoint))
        if port is None:
            yield lambda _: None
            return
        if not 0 <= port < 1 << 16:
            raise error_of("setting", f"--metrics-port {port}: ports are 0 to 65535")
        from chainlang.serving.metrics import Metrics, published

        metrics = Metrics()
        found = stack.enter_context(published(metrics, port))
        say(f"metrics are at http://127.0.0.1:{found}/metrics")
        yield lambda outcome: metrics.row(
            name, outcome.cause, outcome.usages, outcome.seconds or 0.0
        )


@contextmanager
def traced(url: str | None) -> Iterator[None]:
    """Send spans to an OTLP collector in the block; say at its end how many it did not take.

    Headers, such as a key, stand in the variables of OpenTelemetry (OTEL_EXPORTER_OTLP_HEADERS).
    Raises `SettingError` for an address that is none.
    """
    if url is None:
        yield
        return
    with missing("opentelemetry", "telemetry"):
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

    lost = 0

    class Counted(OTLPSpanExporter):
        """Exporter that counts the spans which were not taken."""

        def export(self, spans: Sequence[ReadableSpan]) -> Any:
            nonlocal lost
            result = super().export(spans)
            lost += 0 if result is SpanExportResult.SUCCESS else len(spans)
            return result

    endpoint = endpoint_of(url)
    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "chainlang")}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    exporter = Counted(endpoint, timeout=_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.force_flush(int(_SECONDS * 1000))
        provider.shutdown()
        if lost:
            say(f"{counted(lost, 'span')} could not be sent to {endpoint}")


def endpoint_of(url: str) -> str:
    """Return the address of the traces of a collector.

    >>> endpoint_of("http://localhost:4318"), endpoint_of("https://a.example/otlp/v1/traces")
    ('http://localhost:4318/v1/traces', 'https://a.example/otlp/v1/traces')
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_address = is_address and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        hint = "write it with its scheme: http://localhost:4318"
        raise error_of("setting", f"--trace-endpoint {url!r} is no address of a collector", hint)
    return url if parts.path not in ("", "/") else f"{url.rstrip('/')}{_PATH}"
