"""`execution_options`: how operators are run, for a block, a thread, or from now on."""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from attrs import evolve, fields_dict, frozen

from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.diagnostics.suggest import misspelt

__all__ = [
    "ExecutionOptions",
    "XCSExecutionOptions",
    "execution_options",
    "get_execution_options",
    "reset_execution_options",
    "set_execution_options",
]

SEQUENTIAL = ("sequential", "topological", "noop")
SCHEDULERS = ("auto", "parallel", "wave", *SEQUENTIAL)
EXECUTORS = ("auto", "async", "thread", "threaded")


@frozen(kw_only=True)
class ExecutionOptions:
    """Options of running operators. Raises `InvalidArgumentError` for a value without a meaning.

    >>> ExecutionOptions(scheduler="sequential").use_parallel
    False
    """

    use_parallel: bool = True
    """Whether calls that do not need each other overlap."""
    max_workers: int | None = None
    """Number of calls that run at the same time; None: all that can."""
    timeout_seconds: float | None = None
    """Time after which a chain, a graph or a transform fails; None: no limit."""
    fail_fast: bool = True
    """Whether the first error of a graph keeps its other nodes from starting."""
    enable_caching: bool = False
    """Whether an equal call returns the samples of the one before instead of new ones."""
    trace_execution: bool = False
    """Whether each call is logged, by the logger ``chainlang.compat.ember``."""
    debug: bool = False
    """Whether each call is logged with its inputs and its output."""
    scheduler: str | None = None
    """``"sequential"``, ``"topological"`` and ``"noop"`` set `use_parallel` to False."""
    executor: str = "auto"
    """Operators run in threads, and the requests of all threads in one event loop."""
    device_strategy: str = "auto"
    """An engine has its devices, so only ``"auto"`` is possible."""

    def __attrs_post_init__(self) -> None:
        if self.max_workers is not None and (
            type(self.max_workers) is not int or self.max_workers < 1
        ):
            _refuse("max_workers", self.max_workers, "write a number from 1 on, or None")
        if self.timeout_seconds is not None and not self.timeout_seconds > 0:
            _refuse("timeout_seconds", self.timeout_seconds, "write seconds, or None")
        if self.scheduler is not None and self.scheduler not in SCHEDULERS:
            _refuse("scheduler", self.scheduler, f"there are: {', '.join(SCHEDULERS)}")
        if self.executor not in EXECUTORS:
            _refuse("executor", self.executor, f"there are: {', '.join(EXECUTORS)}")
        if self.device_strategy != "auto":
            hint = "a model has its devices: tensor_parallel_size= of vllm, or another model"
            _refuse("device_strategy", self.device_strategy, hint)
        if self.scheduler in SEQUENTIAL:
            object.__setattr__(self, "use_parallel", False)

    @property
    def parallel(self) -> bool:
        """Whether calls overlap."""
        return self.use_parallel and self.max_workers != 1

    def with_options(self, **options: Any) -> ExecutionOptions:
        """Return the options with some of them changed."""
        for name in options:
            if name not in fields_dict(ExecutionOptions):
                near = misspelt(name, sorted(fields_dict(ExecutionOptions)))
                known = ", ".join(fields_dict(ExecutionOptions))
                raise InvalidArgumentError(
                    f"Invalid execution option: {name}",
                    recovery_hint=f"did you mean '{near}'?" if near else f"there are: {known}",
                )
        if "scheduler" in options and "use_parallel" not in options:
            options["use_parallel"] = options["scheduler"] not in SEQUENTIAL
        if options.get("use_parallel") and "scheduler" not in options:
            options["scheduler"] = None
        return evolve(self, **options)


def _refuse(name: str, value: object, hint: str) -> None:
    raise InvalidArgumentError(f"{name}= can't be {value!r}", recovery_hint=hint)


_DEFAULTS = ExecutionOptions()
_BLOCK: ContextVar[ExecutionOptions | None] = ContextVar("execution options", default=None)
_of_process: list[ExecutionOptions] = []


def get_execution_options() -> ExecutionOptions:
    """Return the options in force."""
    return _BLOCK.get() or (_of_process[-1] if _of_process else _DEFAULTS)


def set_execution_options(**options: Any) -> None:
    """Change options outside of blocks, in all threads. Raises `InvalidArgumentError`."""
    made = (_of_process[-1] if _of_process else _DEFAULTS).with_options(**options)
    _of_process[:] = [made]


def reset_execution_options() -> None:
    """Let the defaults hold again, outside of blocks."""
    _of_process.clear()


class execution_options:  # noqa: N801  # used like a function
    """Change options for the block, in this thread; blocks inside it inherit them.

    >>> with execution_options(max_workers=4):
    ...     with execution_options(scheduler="sequential"):
    ...         get_execution_options().max_workers, get_execution_options().parallel
    (4, False)
    """

    def __init__(self, options: ExecutionOptions | None = None, /, **changed: Any) -> None:
        self._whole = options
        self._changed = changed
        get_execution_options().with_options(**changed)  # errors are raised here

    def __enter__(self) -> ExecutionOptions:
        made = (self._whole or get_execution_options()).with_options(**self._changed)
        self._token = _BLOCK.set(made)
        return made

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _BLOCK.reset(self._token)


class XCSExecutionOptions(execution_options):
    """`execution_options` under the names of Ember's older API: `timeout` is in seconds."""

    def __init__(self, *, timeout: float | None = None, **changed: Any) -> None:
        if timeout is not None:
            changed["timeout_seconds"] = timeout
        super().__init__(**changed)

    def __enter__(self) -> Self:  # type: ignore[override]
        super().__enter__()
        return self
