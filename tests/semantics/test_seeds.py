"""Identities of rows."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from chainlang.semantics.seeds import row_id

TEXTS = st.dictionaries(st.text(), st.text())


@given(TEXTS.filter(lambda row: "id" not in row))
def test_a_row_of_texts_is_hashed_as_its_sorted_json(row: dict[str, str]) -> None:
    text = json.dumps(row, sort_keys=True).encode("utf-8", "surrogatepass")
    assert row_id(row) == "#" + hashlib.blake2b(text, digest_size=12).hexdigest()
