"""The chains that Ember's documents show, on the bundled model: they give answers."""

from __future__ import annotations

import pytest

from chainlang.engines.protocol import Engine
from tests.compat.documented import COMPACT, README, Documented


# One of them draws two samples at temperature 0, which is warned of.
@pytest.mark.filterwarnings("ignore::chainlang.errors.ChainlangWarning")
@pytest.mark.parametrize("shown", [*COMPACT, *README], ids=lambda shown: shown.name)
def test_what_the_documents_show_gives_answers(shown: Documented, tiny_engine: Engine) -> None:
    # Their models' names stay as they are; who answers for each of them is a setting of the call.
    result = shown.build()(query="What is 17 + 25?", engine=tiny_engine)
    assert result.ok
    assert result.answer
    for name in shown.keys:
        assert result[name] or name == "revised_answer", name
