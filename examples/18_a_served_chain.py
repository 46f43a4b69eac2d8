"""A served chain: a vote of nine samples behind OpenAI's API, asked whole and streamed."""

import json

import httpx2

from chainlang import E, M
from chainlang.serving import running

vote = E("tiny", 9, 0.7) >> M()

# Any client of OpenAI's API can ask; `chainlang serve` does the same from a shell.
body = {
    "model": "vote",
    "messages": [{"role": "user", "content": "What is 17 + 25?"}],
    "seed": 7,
}
with running({"vote": vote}) as address, httpx2.Client(base_url=address, timeout=60) as client:
    reply = client.post("/chat/completions", json=body).json()
    streamed = client.post("/chat/completions", json={**body, "stream": True}).text

print(reply["choices"][0]["message"]["content"], reply["chainlang"]["votes"])
print(f"{reply['usage']['total_tokens']} tokens of {reply['chainlang']['calls']} samples")
lines = [line for line in streamed.splitlines() if line]
first = json.loads(lines[0].removeprefix("data: "))
print(f"{len(lines)} events, the last is {lines[-1]!r}; the same id: {first['id'] == reply['id']}")
