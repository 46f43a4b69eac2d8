"""Fingerprints of all engines: see `chainlang.protocol.messages.Fingerprint`."""

from __future__ import annotations

import json

from chainlang.engines.protocol import Engine
from tests.conformance.engines import Kind, Place


def test_a_fingerprint_is_plain_and_says_kind_and_version(engine: Engine) -> None:
    found = engine.fingerprint
    assert json.loads(json.dumps(found)) == found
    assert found["engine"] == engine.capabilities.name
    assert found["version"]
    assert engine.fingerprint == found


def test_another_model_has_another_fingerprint_and_the_same_one_the_same(
    engine: Engine, kind: Kind, place: Place
) -> None:
    found = []
    for _ in range(2):
        other = kind.other(place)
        try:
            found.append(other.fingerprint)
        finally:
            other.close()
    assert found[0] != engine.fingerprint
    if None not in (found[0].get("weights", ""), found[1].get("weights", "")):
        assert found[0] == found[1]
