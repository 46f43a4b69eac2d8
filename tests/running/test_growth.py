"""What grows with the width of a chain, counted."""

from __future__ import annotations

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.semantics.record import Candidate
from chainlang.semantics.template_values import View


@pytest.mark.parametrize("text", ["{}:E >> V", "{}:E >> {}:J::0.7 >> M", "{}:E >> {}:S::0.7"])
def test_a_record_shows_each_candidate_to_its_templates_once(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Candidate] = []

    def view(one: Candidate) -> View:
        shown.append(one)
        return whole(one)

    whole = Candidate.view
    monkeypatch.setattr(Candidate, "view", view)

    def count(width: int) -> int:
        shown.clear()
        chain(text.format(width, width))("What is 17 + 25?", engine=FakeEngine())
        return len(shown)

    assert count(40) <= 4 * count(10)
