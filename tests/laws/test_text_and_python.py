"""Python evaluates a text that it can read to the chain that the notation has for the text."""

from __future__ import annotations

import warnings

from hypothesis import strategies as st

import chainlang
from chainlang import Chain, ChainlangWarning, Limits, chain
from tests.laws import law
from tests.strategies import exactly

PYTHON = {name: getattr(chainlang, name) for name in chainlang.__all__}
BINDING = {"|": 1, "&": 2, ">>": 3, "*": 4}  # Python's own

# The same leaf in Python, and in the notation.
LEAVES = (
    ("E", "E"),
    ("M", "1:MC::0.0"),
    ("J", "JF"),
    ('E("tiny", 3, 0.7)', "3:E:tiny:0.7"),
    ("V()", "V"),
    ('E("a:b", 2)', "2:E:a:b"),
    ('E("foo-v1:0", 1, 0)', 'E:"foo-v1:0":0'),
    ("E(count=3)", "3:E"),
    ("J(temperature=0.5)", "J::0.5"),
    ('E("m", top_p=0.5, max_tokens=7)', "E:m(max_tokens=7, top_p=.5)"),
    ('M(by="x")', 'M(by="x")'),
    ('E(stop=["a", "b"], fresh=True)', "UE(fresh=true, stop=['a', 'b'])"),
    ('ref("panel")', "$panel"),
    ('function("clean")', "@clean"),
    ('join(x=E("a"))', "(x = E:a)"),
    ("join(x=E, y=J >> V)", "(x = E & y = J >> V)"),
    ("branch(x=E, y=J)", "(x=E | y=J)"),
    ('fallback(E, J("b") >> V)', "fallback(E, J:b >> V)"),
    ("retry(E, times=2)", "retry(E, times=2)"),
    (
        'route(by="t", arms={"a": E, "b": J}, default=V)',
        "route(by='t', arms={'a': E, 'b': J}, default=V)",
    ),
    ('each(E & J, over="d", item="x")', 'each(E & J, over="d", as="x")'),
    ("timeout(E, seconds=9)", "timeout(E, seconds=9.0)"),
    ('S("\\ud800\\n")', 'S:"\\ud800\\n"'),
    ("(E)", "((E))"),
)

Written = tuple[str, str, int]  # Python, notation, binding


def _binary(symbol: str, left: Written, right: Written, redundant: tuple[bool, bool]) -> Written:
    level = BINDING[symbol]

    def side(operand: Written, at_least: int, index: int) -> tuple[str, str]:
        python, text, binding = operand
        if binding < at_least or redundant[index]:
            return f"({python})", f"({text})"
        return python, text

    a, b = side(left, level, 0), side(right, level + 1, 1)
    space = " " if redundant[0] else ""
    joined = f"{space}{symbol}{space}".join
    return joined((a[0], b[0])), joined((a[1], b[1])), level


def _repeated(count: int, body: Written, redundant: bool) -> Written:
    python, text, binding = body
    wrap = binding < BINDING["*"] or redundant
    inner = (f"({python})", f"({text})") if wrap else (python, text)
    # Python binds `2 * 3 * a` to the left: two numbers first, which is the same product.
    return f"{count} * {inner[0]}", f"{count}*{inner[1]}", BINDING["*"]


leaf = st.sampled_from(LEAVES).map(lambda pair: (*pair, 9))
trees: st.SearchStrategy[Written] = st.recursive(
    leaf,
    lambda part: st.one_of(
        st.builds(
            _binary,
            st.sampled_from(("|", "&", ">>")),
            part,
            part,
            st.tuples(st.booleans(), st.booleans()),
        ),
        st.builds(_repeated, st.integers(1, 3), part, st.booleans()),
    ),
    max_leaves=8,
)


def _from_text(text: str) -> Chain:
    """Read a text for its nodes alone: these trees have labels twice, and branches in arms."""
    from chainlang.analysis.resolve import resolve
    from chainlang.notation import parse

    return Chain(resolve(parse(text).node)[0])


def _from_python(text: str) -> Chain:
    return eval(text, dict(PYTHON)).as_chain()


@law(trees)
def test_python_and_text_read_the_same(tree: Written) -> None:
    python, _, _ = tree
    assert exactly(_from_text(python).body) == exactly(_from_python(python).body)


@law(trees)
def test_the_text_of_its_own_means_its_python(tree: Written) -> None:
    python, text, _ = tree
    assert exactly(_from_text(text).body) == exactly(_from_python(python).body)
    assert _from_text(text) == _from_python(python)


@law(trees)
def test_chain_reads_what_python_reads(tree: Written) -> None:
    """The same through the public functions, wherever the chain has a meaning."""
    python, text, _ = tree
    with warnings.catch_warnings(), Limits(calls_per_row=10**17).applied():
        warnings.simplefilter("ignore", ChainlangWarning)
        built = _from_python(python)
        try:
            built.check()
        except chainlang.ChainlangError as error:
            codes = {one.code for one in error.diagnostics}
            assert codes <= {"duplicate-name", "branch", "option"}  # a vote by a missing field
            return
        assert chain(python) == chain(text) == built == chain(repr(built)) == chain(str(built))
