"""OpenAI's batch interface: a file of requests, a batch of it, a file of results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chainlang.engines.http.batches import Http, Line
from chainlang.engines.http.errors import Rejected

_BOUNDARY = "chainlang-batch"
_ENDED = frozenset({"completed", "expired", "cancelled"})


class ChatBatches:
    """Batches of chat completions: see `chainlang.engines.http.batches.BatchApi`."""

    most = 50_000

    async def create(self, http: Http, url: str, requests: Mapping[str, Mapping[str, Any]]) -> str:
        """Upload the requests, and begin their batch."""
        path = "/v1/chat/completions"
        lines = (
            json.dumps({"custom_id": name, "method": "POST", "url": path, "body": body})
            for name, body in requests.items()
        )
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        content = _form("\n".join(lines).encode())
        uploaded = json.loads(await http("POST", f"{url}/files", content, kind))
        asked = {
            "input_file_id": uploaded["id"],
            "endpoint": path,
            "completion_window": "24h",
        }
        begun = json.loads(await http("POST", f"{url}/batches", json.dumps(asked).encode()))
        return str(begun["id"])

    async def ended(self, http: Http, url: str, batch: str) -> bool:
        """Return whether a batch has ended. Raises `Rejected` if it was not accepted."""
        document = await self._batch(http, url, batch)
        if document.get("status") == "failed":
            errors = (document.get("errors") or {}).get("data") or []
            said = "; ".join(str(one.get("message")) for one in errors)
            raise Rejected("refused", f"{url} has refused the batch: {said}")
        return document.get("status") in _ENDED

    async def results(self, http: Http, url: str, batch: str) -> dict[str, Line]:
        """Return the results of a batch, of both of its files."""
        document = await self._batch(http, url, batch)
        found: dict[str, Line] = {}
        for name in ("output_file_id", "error_file_id"):
            if document.get(name):
                content = await http("GET", f"{url}/files/{document[name]}/content")
                found |= _lines(content)
        return found

    async def _batch(self, http: Http, url: str, batch: str) -> dict[str, Any]:
        return dict(json.loads(await http("GET", f"{url}/batches/{batch}")))


def _lines(content: bytes) -> Iterator[tuple[str, Line]]:
    for text in content.splitlines():
        if text.strip():
            one = json.loads(text)
            response = one.get("response") or {}
            yield one["custom_id"], Line(response.get("status_code") or 0, response.get("body"))


def _form(content: bytes) -> bytes:
    """Return a form with the file of a batch."""
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        'filename="requests.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n'
    )
    return head.encode() + content + f"\r\n--{_BOUNDARY}--\r\n".encode()
