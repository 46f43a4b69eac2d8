"""Bombs: short inputs that ask for too much. Each is refused in time, in little memory, by name."""

from __future__ import annotations

import copy
import os
import pickle
import re
import resource
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, ChainlangError, E, J, Limits, M, V, chain, fallback, load, retry, route
from chainlang.errors import DocumentError, LimitError, MeaningError, SourceError
from chainlang.evaluation import pick
from chainlang.ir.render import mermaid, tree
from chainlang.limits import LIMIT_NAMES
from chainlang.notation.format import format_text

# Of CPU, while memory is traced. What is refused takes a tenth of it on a slow machine; what is
# not refused in time takes minutes.
SECONDS = 20.0
MEMORY = 40 << 20

pytestmark = pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")


@contextmanager
def cheap(memory: int = MEMORY) -> Iterator[None]:
    """Fail if the block takes more than `SECONDS`, or more memory than this."""
    chain("E")  # the grammar is compiled once, for all
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seconds < SECONDS, f"{seconds:.1f} s"
    assert peak < memory, f"{peak / 1e6:.0f} MB"


def refused(call: Callable[[], object], limit: str | None) -> ChainlangError:
    """Return the error of a call that is refused cheaply, and names the limit if it is one."""
    with cheap(), pytest.raises(ChainlangError) as caught:
        call()
    shown = str(caught.value)
    assert len(shown) < 5_000
    if limit is not None:
        assert any(found.code == "limit" for found in caught.value.diagnostics), shown
        assert f"Limits({limit}=...)" in shown
    return caught.value


# ---------------------------------------------------------------- counts


def _definitions(levels: int) -> dict[str, str]:
    return {f"a{n}": f"$a{n + 1} & $a{n + 1}" for n in range(levels)} | {f"a{levels}": "E"}


COSTLY = {
    "999999999:E:m": "samples_per_stage",
    "999999999 * E": "samples_per_stage",
    "2 * " * 1_000 + "E": "samples_per_stage",
    "1000:E >> 1000:V >> 1000:V": "calls_per_row",
    "5000 * (5000 * E >> V)": "calls_per_row",
    " >> ".join(["(E | E)"] * 40): "calls_per_row",
    "retry(" * 50 + "E" + ", times=9)" * 50: "calls_per_row",
    "E >> " + "loop(" * 60 + "2:V" + ', until="x", max=64)' * 60: "calls_per_row",
    'E >> loop(V & E, until="x", max=1000)': "calls_per_row",
    "E >> " + "loop(3:V >> " * 30 + "2:V" + ', until="x", max=10000)' * 30: "calls_per_row",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", COSTLY, ids=lambda text: text[:24])
def test_counts(text: str) -> None:
    refused(lambda: chain(text), COSTLY[text])
    refused(lambda: load(text=f"main = {text}"), COSTLY[text])


@pytest.mark.parametrize("body", ["E", 'J(of="x")', 'with_fields(E, query="{{ x.answer }}")'])
def test_branches_that_double_forty_times(body: str) -> None:
    lines = "\n".join(f"a{n} = $a{n + 1} | $a{n + 1}" for n in range(40))
    text = f"{lines}\na40 = {body}\nmain = (x = E) >> $a0"
    refused(lambda: load(text=text), "calls_per_row")


def test_definitions_that_double_forty_times() -> None:
    lines = "\n".join(f"{name} = {body}" for name, body in _definitions(40).items())
    refused(lambda: load(text=f"{lines}\nmain = $a0"), "calls_per_row")
    refused(lambda: chain("$a0", components=_definitions(40)), "calls_per_row")


@pytest.mark.slow
def test_definitions_that_nest_without_end() -> None:
    lines = "\n".join(f"a{n} = $a{n + 1}" for n in range(2_000))
    refused(lambda: load(text=f"{lines}\na2000 = E\nmain = $a0"), "depth")


@pytest.mark.slow
def test_cycles() -> None:
    error = refused(lambda: load(text="a = $b\nb = $c & E\nc = $a\nmain = $a"), None)
    assert isinstance(error, MeaningError)
    assert [found.code for found in error.diagnostics] == ["cycle"]
    error = refused(lambda: chain("$a", components={"a": "$b", "b": "$a"}), None)
    assert [found.code for found in error.diagnostics] == ["cycle"]
    lines = "\n".join(f"a{n} = $a{(n + 1) % 2000}" for n in range(2_000))
    with pytest.raises(MeaningError):
        load(text=f"{lines}\nmain = $a0")


def test_python_operators_count_before_they_build() -> None:
    def double() -> Chain:
        part = E & E
        for _ in range(40):
            part = part & part
        return part

    refused(double, "nodes")

    def spread() -> Chain:
        part = E | E
        for _ in range(40):
            part = part >> (E | E)
        part.check()
        return part

    refused(spread, "calls_per_row")
    refused(lambda: 999_999_999 * E, "samples_per_stage")
    refused(lambda: 10**5000 * E, "samples_per_stage")
    refused(lambda: 5_000 * (5_000 * E), "samples_per_stage")
    with pytest.raises(ChainlangError):
        -(10**5000) * E
    with pytest.raises(ChainlangError):
        E >> 10**5000  # type: ignore[operator]


# ---------------------------------------------------------------- depth


def _alternating(levels: int) -> Chain:
    part = E & J
    for _ in range(levels):
        part = (part >> M) & E
    return part


def _fallbacks(levels: int) -> Chain:
    part = E()
    for _ in range(levels):
        part = fallback(part, J)
    return part


def _routes(levels: int) -> Chain:
    part = E()
    for _ in range(levels):
        part = route(by="x", arms={"a": part})
    return part


def _named(levels: int) -> Chain:
    part = E()
    for level in range(levels):
        part = part.named(f"x{level}")
    return part


def _lists(levels: int) -> Any:
    part: Any = ["E"]
    for _ in range(levels):
        part = [part]
    return part


def _cyclic_list() -> Any:
    part: list[Any] = ["E"]
    part.append(part)
    return part


@pytest.mark.slow
@pytest.mark.parametrize("build", [_alternating, _fallbacks, _routes, _named])
def test_python_is_refused_before_its_stack_is(build: Callable[[int], Chain]) -> None:
    refused(lambda: build(10_000), "depth")


@pytest.mark.slow
def test_lists_in_lists() -> None:
    refused(lambda: chain(_lists(100_000)), "depth")
    refused(lambda: chain(_cyclic_list()), "depth")
    refused(lambda: chain(["E"] * 100_000), "nodes")


MANY = 100_000
NESTED = {
    "parentheses": ("", "(", "E", ")"),
    "open parentheses": ("", "(", "", ""),
    "brackets": ("E(stop=", "[", '"a"', "]"),
    "braces": ("", "{", "", "}"),
    "calls": ("", "fallback(E, ", "E", ")"),
    "labels": ("", "(x = ", "E", ")"),
    "tables": ("", 'route(by="x", arms={"a": ', "E", "})"),
}
NESTED_FILE = {
    "shapes": ("type T ", "{a: ", "str", "}"),
    "lists": ("input { a: ", "list[", "str", "]"),
    "both": ("input { a: ", "list[{ a: int | ", "str", "}?]"),
}


@pytest.mark.parametrize("levels", [101, 400, MANY // 12])
@pytest.mark.parametrize("name", NESTED)
def test_nested_expressions(name: str, levels: int) -> None:
    before, left, inside, right = NESTED[name]
    text = before + left * levels + inside + right * levels + (")" if before else "")
    refused(lambda: chain(text), "depth")
    refused(lambda: load(text=f"main = {text}"), "depth")


@pytest.mark.parametrize("levels", [101, 400, MANY // 20])
@pytest.mark.parametrize("name", NESTED_FILE)
def test_nested_types(name: str, levels: int) -> None:
    before, left, inside, right = NESTED_FILE[name]
    end = "\n" if before.startswith("type") else " }\n"
    text = before + left * levels + inside + right * levels + end + "main = E\n"
    refused(lambda: load(text=text), "depth")
    refused(lambda: format_text(text), "depth")


def test_a_hundred_thousand_brackets() -> None:
    for left in "([{":
        refused(lambda left=left: chain(left * MANY), "depth")  # type: ignore[misc]
        refused(lambda left=left: load(text=left * MANY), "depth")  # type: ignore[misc]


def test_operators_nest_without_many_brackets() -> None:
    # Five levels to a bracket: a hundred brackets would be five hundred levels.
    refused(lambda: chain("(x = E & E >> 2 * " * 90 + "E" + ")" * 90), "depth")
    refused(lambda: chain("join(E & E >> 2 * " * 90 + "E" + ")" * 90), "depth")


@pytest.mark.slow
def test_a_long_union() -> None:
    refused(lambda: load(text="input { a: " + " | ".join(["str"] * 30_000) + " }"), "nodes")
    refused(lambda: chain(" >> ".join(["E"] * 30_000)), "nodes")
    refused(lambda: chain("E(stop=[" + ", ".join(['"a"'] * 30_000) + "])"), "nodes")


def _deepest() -> list[Chain]:
    """Return chains that are exactly as deep as the limit allows."""
    found = [_alternating(49), _fallbacks(99), _routes(49), _named(99)]
    bracketed = "(E >> " * 99 + "E" + ")" * 99
    return [*found, chain(bracketed), chain("(E & E >> " * 49 + "E" + ")" * 49)]


USES: dict[str, Callable[[Chain], object]] = {
    "==": lambda one: one == chain(str(one)),
    "hash": lambda one: hash(one) == hash(copy.copy(one)),
    "repr": lambda one: chain(repr(one)) == one,
    "copy": lambda one: copy.copy(one) == one and copy.deepcopy(one) == one,
    "copy of the body": lambda one: copy.deepcopy(one.body) == one.body,
    "pickle": lambda one: pickle.loads(pickle.dumps(one)) == one,
    "json": lambda one: Chain.from_json(one.to_json()) == one,
    "tree": lambda one: tree(one.body) != "",
    "mermaid": lambda one: mermaid(one.body) != "",
    "node repr": lambda one: repr(one.body) != "",
    "check": lambda one: one.check() is not None,
    "extent": lambda one: one.depth <= Limits().depth,
    "format": lambda one: format_text(f"main = {one}" if "= " not in str(one)[:6] else "main = E"),
}


@pytest.mark.slow
@pytest.mark.parametrize("use", USES)
def test_the_deepest_chain_can_be_used(use: str) -> None:
    for one in _deepest():
        assert USES[use](one)


def test_the_deepest_file_can_be_used() -> None:
    shape = "{a: " * 98 + "str" + "}" * 98
    found = load(text=f"type T {{ t: {shape} }}\nmain = E")
    assert load(text=str(found)) == found
    assert hash(found) == hash(Chain.from_json(found.to_json()))
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found
    assert tree(found.file)
    assert mermaid(found.file)


# ---------------------------------------------------------------- size


def test_text_size() -> None:
    text = "E # " + "x" * (2 << 20)
    refused(lambda: chain(text), "source_bytes")
    refused(lambda: load(text=text), "source_bytes")
    refused(lambda: format_text(text), "source_bytes")
    refused(lambda: Chain.from_json(" " * (2 << 20)), "source_bytes")
    refused(lambda: chain("E # " + "漢" * (400 << 10)), "source_bytes")


def test_file_size(tmp_path: Path) -> None:
    path = tmp_path / "big.chain"
    path.write_text("main = E\n" + "# x\n" * (512 << 10))
    with cheap(1 << 20):  # so it has not been read
        refused_with = pytest.raises(LimitError, match="source_bytes")
        with refused_with:
            load(path)


def test_a_file_that_lies_about_its_size() -> None:
    endless = Path("/proc/self/environ")  # its size is 0
    if endless.is_file():
        with Limits(source_bytes=1).applied(), pytest.raises(ChainlangError):
            load(endless)


# ---------------------------------------------------------------- use


def _files(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.chain").write_text(text)
    return folder / "main.chain"


OUTSIDE = [
    "../secret.chain",
    "sub/../../secret.chain",
    "..",
    "/etc/passwd",
    "..\\secret.chain",
    "C:secret.chain",
    "\\\\host\\share",
    "file.chain\\0",
    "linked.chain",
    "folder/secret.chain",
    "loop.chain",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_use_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    (inner / "sub").mkdir(parents=True)
    (tmp_path / "secret.chain").write_text("secret = E:SECRET")
    (inner / "linked.chain").symlink_to(tmp_path / "secret.chain")
    (inner / "folder").symlink_to(tmp_path)
    (inner / "loop.chain").symlink_to(inner / "loop.chain")
    quoted = name.replace("\\", "\\\\").replace("\\\\0", "\\0")
    path = _files(inner, main=f'use "{quoted}"\nmain = E')
    error = refused(lambda: load(path), None)
    assert isinstance(error, SourceError)
    assert [found.code for found in error.diagnostics] == ["path"]
    assert "SECRET" not in str(error)


def test_use_of_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.chain")
    (tmp_path / "folder.chain").mkdir()
    for name in ("pipe.chain", "folder.chain", "missing.chain", "."):
        error = refused(lambda: load(_files(tmp_path, main=f'use "{name}"\nmain = E')), None)  # noqa: B023
        assert isinstance(error, SourceError)
    for path in ("/dev/zero", tmp_path / "pipe.chain", tmp_path, "a\0b", "/proc/self/mem"):
        assert isinstance(refused(lambda: load(path), None), SourceError)  # noqa: B023


def test_use_in_a_circle(tmp_path: Path) -> None:
    path = _files(tmp_path, main='use "a.chain"\nmain = E', a='use "b.chain"', b='use "a.chain"')
    assert [found.code for found in refused(lambda: load(path), None).diagnostics] == ["cycle"]
    path = _files(tmp_path, main='use "main.chain"\nmain = E')
    assert [found.code for found in refused(lambda: load(path), None).diagnostics] == ["cycle"]


@pytest.mark.slow
def test_use_without_end(tmp_path: Path) -> None:
    uses = {f"a{n}": f'use "a{n + 1}.chain"' for n in range(120)}
    path = _files(tmp_path, main='use "a0.chain"\nmain = E', **uses)
    refused(lambda: load(path), "files")
    with Limits(files=1000).applied():
        refused(lambda: load(path), "depth")


@pytest.mark.slow
def test_many_files_are_not_more_than_one(tmp_path: Path) -> None:
    uses = {f"a{n}": f"b{n} = " + " >> ".join(["E"] * 900) for n in range(30)}
    wanted = "\n".join(f'use "{name}.chain"' for name in uses)
    path = _files(tmp_path, main=f"{wanted}\nmain = E", **uses)
    with pytest.raises(LimitError, match=re.escape("Limits(nodes=...)")):
        load(path)


# ---------------------------------------------------------------- numbers

HUGE = "9" * 5_000
ZEROS = "0" * 5_000
PLACES = (
    "%s:E",
    "%s * E",
    "E:m:%s",
    "E:m:%s.5",
    "E:m:.%s",
    "E:m:1e%s",
    'E("m", %s)',
    'E("m", 1, %s)',
    "E(count=%s)",
    "E(temperature=%s)",
    "E(max_tokens=%s)",
    "E(top_p=%s.0)",
    "E(top_p=-%s)",
    "E(top_p=1e%s)",
    "E(top_p=.%s)",
    "E(stop=[%s])",
    "E(need=%s)",
    'E >> loop(V, until="x", max=%s)',
    "retry(E, times=%s)",
    "timeout(E, seconds=%s)",
)
FILE_PLACES = (
    "input { a: int(%s..) }",
    "input { a: int(..%s) }",
    "input { a: int(-%s..1) }",
    "input { a: float(1.%s..) }",
    "input { a: int = %s }",
    "input { a: float = -%s.5 }",
    "type T { a: list[int(1..%s)] }",
    'model m = vllm("x", max_model_len=%s)',
    'op o : map { user = "x" max_tokens = %s }',
    'op o : map { user = "x" temperature = %s }',
    'op o : map -> int(%s..) { user = "x" }',
)


@pytest.mark.slow
@pytest.mark.parametrize("digits", [HUGE, ZEROS + "1", ZEROS], ids=["nines", "zeros", "zero"])
@pytest.mark.parametrize("place", [*PLACES, *FILE_PLACES])
def test_numbers_of_5000_digits(place: str, digits: str) -> None:
    with cheap():
        try:
            text = place.replace("%s", digits)
            found = load(text=f"{text}\nmain = E") if place in FILE_PLACES else chain(text)
            assert load(text=f"{found}") == found if found.items else chain(repr(found)) == found
        except ChainlangError as error:
            assert len(str(error)) < 20_000  # noqa: PT017  # some places take such a number


@pytest.mark.parametrize("value", [10**5000, -(10**5000), 10**18], ids=["huge", "-huge", "10^18"])
def test_python_numbers_of_5000_digits(value: int) -> None:
    from chainlang import each, loop, timeout

    for call in (
        lambda: E(count=value),
        lambda: E(temperature=value),
        lambda: E(model=value),  # type: ignore[arg-type]
        lambda: E(max_tokens=value),
        lambda: E(stop=[value]),
        lambda: retry(E, times=value),
        lambda: timeout(E, seconds=value),
        lambda: loop(V, until="x", max=value),
        lambda: each(E, over=value),  # type: ignore[arg-type]
        lambda: value * E,
        lambda: E >> value,  # type: ignore[operator]
        lambda: fallback(E, value),
        lambda: chain(value),  # type: ignore[arg-type]
        lambda: chain("X", ops={"X": value}),  # type: ignore[dict-item]
    ):
        assert str(refused(call, None))


# ---------------------------------------------------------------- JSON

START = '{"chainlang": 1, "chain": '
STAGE = '{"node": "Stage", "name": "E"}'
DOCUMENTS = {
    "lists": START + "[" * MANY,
    "closed lists": START + "[" * MANY + "]" * MANY + "}",
    "objects": '{"a":' * MANY,
    "named": START + '{"node": "Named", "name": "x", "body": ' * 110 + STAGE + "}" * 111,
    "values": START + '{"node": "Option", "name": "x", "value": ' + "[" * 400 + "]" * 400 + "}}",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_json_depth(name: str) -> None:
    refused(lambda: Chain.from_json(DOCUMENTS[name]), "depth")


@pytest.mark.slow
def test_json_size() -> None:
    stages = ", ".join(['{"node":"Stage","name":"E"}'] * 25_000)
    text = f'{START}{{"node": "Then", "parts": [{stages}]}}}}'
    with pytest.raises(LimitError, match=re.escape("Limits(nodes=...)")):
        Chain.from_json(text)


@pytest.mark.parametrize(
    "number", [HUGE, "-" + HUGE, HUGE[:4000], "NaN", "Infinity", "1e999", "1" + "0" * 18]
)
def test_json_numbers(number: str) -> None:
    for place in (
        '"count": ',
        '"temperature": ',
        '"options": [{"node": "Option", "name": "top_k", "value": ',
    ):
        closing = "}]" if "value" in place else ""
        text = f'{START}{{"node": "Stage", "name": "E", {place}{number}{closing}}}}}'
        assert isinstance(refused(lambda: Chain.from_json(text), None), DocumentError)  # noqa: B023
    assert isinstance(
        refused(lambda: Chain.from_json(f'{{"chainlang": {number}}}'), None), DocumentError
    )


def test_json_keys_stand_once() -> None:
    for text in (
        '{"chainlang": 1, "chainlang": 1, "chain": 1}',
        f'{START}{STAGE[:-1]}, "name": "J"}}}}',
    ):
        error = refused(lambda: Chain.from_json(text), None)  # noqa: B023
        assert "duplicate key" in str(error)


def test_json_costs_what_text_costs() -> None:
    text = START + '{"node": "Stage", "name": "E", "count": 99999999}}'
    refused(lambda: Chain.from_json(text), "samples_per_stage")


# ---------------------------------------------------------------- the limits themselves


def _asking(tags: int) -> str:
    return f'op o : generate {{ user = "{"{{ query }}" * tags}" }}\nmain = o'


RAISED: dict[str, tuple[dict[str, int], Callable[[], object]]] = {
    "source_bytes": ({"source_bytes": 8 << 20}, lambda: chain("E # " + "x" * (2 << 20))),
    "files": ({"files": 1}, lambda: None),  # see test_use_without_end
    "nodes": ({"nodes": 50_000}, lambda: chain(" & ".join(["E"] * 21_000))),
    "depth": ({"depth": 120}, lambda: _alternating(55)),
    "samples_per_stage": ({"samples_per_stage": 20_000}, lambda: chain("20000:E")),
    "template_tags": ({"template_tags": 20_000}, lambda: load(text=_asking(10_001))),
    "members": ({"members": 2_000}, lambda: E("m", pick(*range(1, 1_002)))),
    "calls_per_row": ({"calls_per_row": 10**7}, lambda: chain("1000:E >> 1000:V")),
}


def test_every_limit_is_tested() -> None:
    assert set(RAISED) == set(LIMIT_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_every_limit_can_be_raised(name: str) -> None:
    values, call = RAISED[name]
    if name == "files":
        return
    with pytest.raises(LimitError, match=re.escape(f"Limits({name}=...)")):
        call()
    before, sys_limit = call, sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(max(sys_limit, 1_200))
        with Limits(**values).applied():
            before()
    finally:
        sys.setrecursionlimit(sys_limit)
    with pytest.raises(LimitError):
        call()


@pytest.mark.slow
def test_files_can_be_raised(tmp_path: Path) -> None:
    uses = {f"a{n}": f"b{n} = E" for n in range(150)}
    wanted = "\n".join(f'use "{name}.chain"' for name in uses)
    path = _files(tmp_path, main=f"{wanted}\nmain = E", **uses)
    refused(lambda: load(path), "files")
    with Limits(files=151).applied(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load(path)


def test_depth_is_bounded_by_the_stack() -> None:
    with pytest.raises(LimitError, match=r"sys\.setrecursionlimit"), Limits(depth=10**6).applied():
        pass


def test_limits_are_of_this_block_alone() -> None:
    with Limits(nodes=3).applied():
        with Limits(nodes=5).applied():
            chain("E >> V >> J")
        refused(lambda: chain("E >> V >> J"), "nodes")
    chain("E >> V >> J")


@pytest.mark.slow
def test_a_process_with_little_memory() -> None:
    """Whatever is refused above fits into a process that can't allocate much at all."""
    program = """
import resource, sys
from chainlang import chain, ChainlangError
chain("E")
resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
bombs = ["999999999:E:m", "1000:E >> 1000:V >> 1000:V", "(" * 100_000, "9" * 5000 + ":E"]
for text in [*bombs, "[" * 900_000]:
    try:
        chain(text)
    except ChainlangError as error:
        str(error)
    else:
        sys.exit(f"not refused: {text[:20]}")
"""
    if not hasattr(resource, "RLIMIT_AS"):
        pytest.skip("this system has no such limit")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
