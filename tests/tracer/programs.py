"""Random straight-line functions, as texts."""

from __future__ import annotations

from hypothesis import strategies as st

_CHAINS = (
    'E("m0", 2)', '(E("m0", 3) >> M)', '(E("m0") & E("m1", 2))', '(E("m0") >> V("m1"))',
    '(2 * (E("m1") >> J("m0")))', "mood()", "inner",
)  # fmt: skip
_FOLDS = (
    'J("m0")',
    'V("m1")',
    "M",
    'S("m0")',
    '(V("m0") >> J("m1"))',
    'E("m0")',
    "function(shout)",
)
_HEAD = """
def shout(answer: object) -> str:
    return str(answer).upper()

mood = op("mood", user="Which mood? {{ query }}", returns='"good" | "bad"')

@trace
def inner(query):
    a = E("m0")(query)
    b = V("m1")(a)
    return ask(f"Say {b} and {query}.", "m1")

"""


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Draw the text of a function of a query and of documents."""
    made = [draw(_call((), typed=set()))]
    typed: set[int] = set()
    lines = [f"    r0 = {made[0]}"]
    for number in range(1, draw(st.integers(1, 8))):
        is_typed = draw(st.integers(0, 3)) == 0
        call = draw(_typed(range(number), typed) if is_typed else _statement(range(number), typed))
        typed |= {number} if is_typed else set()
        name = f"r{number}"
        lines.append(f"    {name} = {call}")
    last = len(lines) - 1
    result = last if draw(st.booleans()) else draw(st.integers(0, last))
    return (
        f"{_HEAD}def program(query, documents):\n" + "\n".join(lines) + f"\n    return r{result}\n"
    )


@st.composite
def _statement(draw: st.DrawFn, known: range, typed: set[int]) -> str:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        condition = draw(_condition(known, typed))
        then, other = draw(_call(known, typed)), draw(_call(known, typed))
        return f"when({condition}, lambda: {then}, lambda: {other})"
    if kind == 1:
        over = draw(st.sampled_from(known))
        return f"for_each(r{over}, lambda it: {draw(_ask(known, typed, ['{it.answer}']))})"
    if kind == 2:
        return f"for_each(documents, lambda it: J({draw(_ask(known, typed, ['{it}']))}))"
    return draw(_call(known, typed))


@st.composite
def _call(draw: st.DrawFn, known: range | tuple[()], typed: set[int]) -> str:
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return f"{draw(st.sampled_from(_CHAINS))}({draw(_query(known))})"
    if kind < 3 and known:
        fold = draw(st.sampled_from(_FOLDS))
        several = st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)
        given = [f"r{one}" for one in draw(several)]
        if draw(st.integers(0, 2)) == 0 and fold not in ("M", "function(shout)"):
            given.insert(0, draw(_query(known)) or "query")
        return f"{fold}({', '.join(given)})"
    return draw(_ask(known, typed))


@st.composite
def _query(draw: st.DrawFn, known: range | tuple[()]) -> str:
    """Draw what a chain is called on: the query, nothing, a result, or a text."""
    found = ["query", "", *(f'f"Now {{r{one}}} {{{{x}}}}"' for one in known)]
    found += [f"r{one}.answer" for one in known]
    return draw(st.sampled_from(found))


@st.composite
def _ask(draw: st.DrawFn, known: range | tuple[()], typed: set[int], more: list[str] = []) -> str:  # noqa: B006
    reads = ["{query}", "{{x}}", "{{{query}}}", *(f"{{r{one}}}" for one in known), *more]
    reads += [f"{{r{one}.score}}" for one in typed if one in known]
    texts = draw(st.lists(st.sampled_from(reads), max_size=4))
    model = draw(st.sampled_from(['"m0"', '"m1"', '"m1", 2, 0.7']))
    return f'ask(f"Do {" and ".join([*texts, *more])}.", {model})'


@st.composite
def _typed(draw: st.DrawFn, known: range, typed: set[int]) -> str:
    asked = draw(_ask(known, typed)).removesuffix(")")
    return f'{asked}, returns=\'{{ score: int(1..5), answer: "yes" | "no" }}\')'


@st.composite
def _condition(draw: st.DrawFn, known: range, typed: set[int]) -> str:
    one = draw(st.sampled_from(known))
    tests = [f'(r{one} == "yes")', '(query == "what?")', f'~(r{one}.answer == "a")']
    tests += [f"(r{two}.score > 2)" for two in typed]
    several = draw(st.lists(st.sampled_from(tests), min_size=1, max_size=2))
    return draw(st.sampled_from([" & ", " | "])).join(several)
