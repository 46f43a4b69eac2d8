"""Blocks that Ctrl-C does not leave halfway."""

from __future__ import annotations

import signal

import pytest

from chainlang.engines.vllm import interruption
from chainlang.engines.vllm.interruption import not_halfway
from chainlang.errors import EngineError
from chainlang.interrupts import loading


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_left", None)


def interrupted(times: int) -> list[str]:
    """Return what a block reaches that is interrupted so many times."""
    reached: list[str] = []

    def block() -> None:
        with not_halfway("importing a library"):
            reached.append("begin")
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            reached.append("end")
        reached.append("after")

    if times:
        with pytest.raises(KeyboardInterrupt):
            block()
    else:
        block()
    return reached


@pytest.mark.parametrize("times", [0, 1])
def test_a_block_ends_before_an_interrupt_is_raised(times: int) -> None:
    assert interrupted(times)[:2] == ["begin", "end"]
    assert interrupted(0) == ["begin", "end", "after"]  # and the next one works


def test_a_second_interrupt_leaves_it_and_the_next_block_says_so() -> None:
    assert interrupted(2) == ["begin"]
    with pytest.raises(EngineError) as caught:
        interrupted(0)
    assert "importing a library was interrupted halfway" in str(caught.value)
    assert "restart the kernel" in str(caught.value)


def test_an_error_is_no_interruption() -> None:
    with pytest.raises(ImportError), not_halfway("importing a library"):
        raise ImportError("no such module")
    assert interrupted(0) == ["begin", "end", "after"]


def test_nested_blocks_end_with_the_outer_one() -> None:
    reached: list[str] = []

    def block() -> None:
        with not_halfway("loading"):
            reached.extend(interrupted_inside())
            reached.append("end of the outer")

    def interrupted_inside() -> list[str]:
        with not_halfway("importing"):
            signal.raise_signal(signal.SIGINT)
        return ["end of the inner"]

    with pytest.raises(KeyboardInterrupt):
        block()
    assert reached == ["end of the inner", "end of the outer"]


def test_a_handler_that_ends_the_process_is_called_at_once() -> None:
    class Ending:
        ends_loading = True

        def __call__(self, *_: object) -> None:
            raise SystemExit(130)

    before = signal.signal(signal.SIGINT, Ending())
    try:
        with pytest.raises(SystemExit), loading(), not_halfway("loading"):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
