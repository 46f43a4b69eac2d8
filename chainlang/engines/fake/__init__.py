"""An engine without a model: completions are a pure function of the request."""

from chainlang.engines.fake.engine import FakeEngine, Reply

__all__ = ["FakeEngine", "Reply"]
