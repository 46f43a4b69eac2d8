"""`Votes`: the votes of an answer, looked up by the answer itself."""

from __future__ import annotations

import json
from typing import Any

from chainlang.semantics.voting import canonical_answer


class Votes(dict[str, int]):
    """Number of votes of each answer, by its canonical text; an answer itself is a key too.

    >>> votes = Votes({'"42"': 2, '"41"': 1})
    >>> votes["42"], votes['"42"'], "43" in votes, votes.get("43", 0)
    (2, 2, False, 0)
    """

    def _key(self, answer: Any) -> str | None:
        """Return the key of an answer; None if it has none."""
        own = canonical_answer(answer)
        if dict.__contains__(self, own):
            return own
        return answer if isinstance(answer, str) and dict.__contains__(self, answer) else None

    def __getitem__(self, answer: Any) -> int:
        key = self._key(answer)
        if key is None:
            raise KeyError(
                f"no votes for {answer!r}; there are {', '.join(map(repr, self.plain()))}"
            )
        return dict.__getitem__(self, key)

    def __contains__(self, answer: object) -> bool:
        return self._key(answer) is not None

    def get(self, answer: Any, default: Any = None) -> Any:
        """Return the number of votes of an answer, or the default."""
        key = self._key(answer)
        return default if key is None else dict.__getitem__(self, key)

    def plain(self) -> dict[str, int]:
        """Return the votes by the answers as texts, without the quotes of JSON."""
        return {plain_answer(key): count for key, count in self.items()}

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.plain())


def plain_answer(key: str) -> str:
    """Return the answer of a canonical text, as people write it.

    >>> plain_answer('"42"'), plain_answer('{"a": 1}')
    ('42', '{"a": 1}')
    """
    return str(json.loads(key)) if key[:1] == '"' else key
