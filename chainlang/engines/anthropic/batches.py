"""Anthropic's message batches."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chainlang.engines.anthropic.messages_protocol import STATUSES
from chainlang.engines.http.batches import Http, Line


class MessageBatches:
    """Batches of messages: see `chainlang.engines.http.batches.BatchApi`."""

    most = 100_000

    async def create(self, http: Http, url: str, requests: Mapping[str, Mapping[str, Any]]) -> str:
        """Begin a batch."""
        asked = {
            "requests": [{"custom_id": name, "params": body} for name, body in requests.items()]
        }
        content = json.dumps(asked).encode()
        begun = json.loads(await http("POST", f"{url}/messages/batches", content))
        return str(begun["id"])

    async def ended(self, http: Http, url: str, batch: str) -> bool:
        """Return whether a batch has ended."""
        document = json.loads(await http("GET", f"{url}/messages/batches/{batch}"))
        return bool(document.get("processing_status") == "ended")

    async def results(self, http: Http, url: str, batch: str) -> dict[str, Line]:
        """Return the results of a batch."""
        content = await http("GET", f"{url}/messages/batches/{batch}/results")
        found = (json.loads(text) for text in content.splitlines() if text.strip())
        return {one["custom_id"]: _line(one["result"]) for one in found}


def _line(result: Mapping[str, Any]) -> Line:
    """Return a result; one that was cancelled or has expired has no answer."""
    match result:
        case {"type": "succeeded", "message": message}:
            return Line(200, message)
        case {"type": "errored", "error": {"error": {"type": str(kind)}} as error}:
            return Line(STATUSES.get(kind, 500), error)
    return Line(0, None)
