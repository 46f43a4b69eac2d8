"""An engine without a model: completions are a pure function of the request."""

from chainlang.engines.fake.engine import FakeEngine
from chainlang.engines.fake.scripts import Reply

__all__ = ["FakeEngine", "Reply"]
