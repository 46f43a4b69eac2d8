"""Hypothesis strategies over nodes: random chains and files, as text and Python could build them.

`expressions` and `files` are well-formed and mean anything or nothing; `meaningful` expressions use
types, options and combinators that exist, so every check passes. The leaves are nasty on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from attrs import evolve, frozen
from hypothesis import strategies as st

from chainlang.ir import build, declarations
from chainlang.ir.builtins import COMBINATORS, NAMED_TYPES, WORDS
from chainlang.ir.calls import specific
from chainlang.ir.nodes import (
    Combine,
    Each,
    Expr,
    Function,
    Literal,
    Named,
    Node,
    Option,
    Ref,
    Repeat,
    Stage,
    Table,
)
from chainlang.ir.row_settings import is_template
from chainlang.ir.verify import STAGE_FIELDS
from chainlang.ir.visit import rebuild, walk
from chainlang.notation.expressions import FORMS
from chainlang.semantics.combinators import ITEM

_Some = TypeVar("_Some")


def short(strategy: st.SearchStrategy[_Some]) -> st.SearchStrategy[_Some]:
    """Return the same strategy under a short name: hypothesis prints what it draws from, a lot."""

    @st.composite
    def some(draw: st.DrawFn) -> _Some:
        return draw(strategy)

    return some()


# ---------------------------------------------------------------- leaves

NASTY = (
    "tiny", "openai:gpt-4o", "foo-v1:0", "llama3:8b", "a:b:0.7", "m:.5", "m:5.", "m:1e400", "0",
    "0.5", "+1", "m:-1", "1e5", ":", "a:", ":a", "a::b", 'say "hi"', '"', '""', '"""', "'",
    "it's", "\\", "\\n", "a\\", '\\"', "line\nbreak", "\n", "\r\n", "\r", "\t", "\0", "\x007",
    "\x1b[31m", "\ud800", "\udc80x", "\ud83d\ude00", "😀", "é", "e\u0301", "\u2028", "\ufeff",
    "\xa0", "my model", "#x", "a # b", "$x", "@f", "true", "null", "None", "inf", "nan", "٣",
    "a:٣", "x:1_0", "meta-llama/Llama-3.1-8B-Instruct", "{{ x }}", "a >> b", "(", ")", "a|b",
    "3:E", "//", "/*", "\U0010ffff", "\x7f", "\x85",
)  # fmt: skip
"""Texts that some reader would take for something else."""


def _texts(least: int) -> st.SearchStrategy[str]:
    return short(
        st.one_of(
            st.sampled_from(NASTY),
            st.text(st.characters(exclude_categories=()), min_size=least, max_size=6),
            st.text("\"'\\\n\r\t:#x0.e-+ {}()ud8", min_size=least, max_size=8),
        )
    )


texts = _texts(0)
"""Texts of all kinds, lone surrogates among them."""
models = _texts(1)

_WORDS = (
    "E", "J", "M", "S", "V", "UE", "JF", "MC", "a", "b", "c", "fr", "_", "_x", "Z9", "e5", "E1",
    "use", "model", "server", "input", "type", "op", "env", "list", "int", "true_", "nan", "main",
    "retry", "route", "answer", "self", "name", "count", "temperature", "kind", "each", "as_",
    "match", "print", "x" * 30,
)  # fmt: skip
_MADE = tuple(f"{first}{rest}" for first in "ab_EJ" for rest in ("", "0", "9b", "_", "E", "e1"))
names = short(st.sampled_from(tuple(dict.fromkeys((*_WORDS, *_MADE)))))
"""Names: words of the grammar, of the language and of neither."""

integers = st.one_of(
    st.integers(-3, 12), st.integers(-(10**18) + 1, 10**18 - 1), st.just(10**18 - 1)
)
floats = short(
    st.one_of(
        st.sampled_from(
            (0.0, -0.0, 0.7, 1.0, 2.0, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, 0.1 + 0.2)
        ),
        st.floats(allow_nan=False, allow_infinity=False),
    )
)
"""Floats of all magnitudes."""
scalars: st.SearchStrategy[Literal] = short(
    st.one_of(st.none(), st.booleans(), integers, floats, texts, texts)
)
literals: st.SearchStrategy[Literal] = short(
    st.one_of(scalars, scalars, st.lists(scalars, max_size=3).map(tuple))
)
counts = short(st.one_of(st.just(1), st.integers(1, 9), st.integers(1, 10**9)))
temperatures = short(st.none() | floats.map(abs))


def _options(
    values: st.SearchStrategy[object], of: st.SearchStrategy[str], least: int = 0
) -> st.SearchStrategy[tuple[Option, ...]]:
    option = st.builds(Option, of, values)
    several = st.lists(option, min_size=least, max_size=3, unique_by=lambda one: one.name)
    return short(several.map(build.options))


def _names_but(*taken: str) -> st.SearchStrategy[str]:
    return short(names.map(lambda name: f"{name}_" if name in taken else name))


_option_names = _names_but("model", "count", "temperature")
_call_names = _names_but(*FORMS)
_functions = st.builds(Function, names)


def _with_functions(stage: Stage, options: tuple[Option, ...]) -> Stage:
    """Return a stage with functions as options too, unless its name makes it a call."""
    if stage.name in COMBINATORS:
        return stage
    own = {one.name: one for one in (*options, *stage.options)}
    return evolve(stage, options=build.options(own.values()))


_model = st.none() | models.filter(lambda text: not is_template(text))  # which is an option
_stages: st.SearchStrategy[Expr] = st.one_of(
    st.builds(Stage, names),
    st.builds(Stage, names, counts, _model, temperatures),
    st.builds(
        Stage,
        _call_names,
        counts,
        _model,
        temperatures,
        _options(literals, _option_names),
    ),
    st.builds(
        _with_functions,
        st.builds(Stage, _call_names, options=_options(literals, _option_names)),
        _options(_functions, _option_names, least=1),
    ),
)
stages = short(_stages)
leaves = short(
    st.one_of(
        stages,
        stages,
        st.builds(Ref, names),
        st.builds(Function, names),
        st.builds(Function, names, st.lists(names, min_size=2, max_size=3, unique=True).map(tuple)),
    )
)


# ---------------------------------------------------------------- expressions


def _several(part: st.SearchStrategy[Expr], least: int = 2) -> st.SearchStrategy[list[Expr]]:
    return st.lists(part, min_size=least, max_size=3)


def _operators(
    part: st.SearchStrategy[Expr], *makes: Callable[..., Expr]
) -> st.SearchStrategy[Expr]:
    return st.builds(lambda make, parts: make(*parts), st.sampled_from(makes), _several(part))


def _has_chain(node: Combine) -> bool:
    return bool(node.parts) or any(
        isinstance(one.value, Expr | Table)
        and (
            not isinstance(one.value, Function)  # else it is an option of a stage
            or one.name in STAGE_FIELDS
            or node.name in COMBINATORS
        )
        for one in node.options
    )


def _grow(part: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    table = st.lists(
        st.builds(Option, texts, part), min_size=1, max_size=2, unique_by=lambda one: one.name
    ).map(lambda entries: Table(tuple(entries)))
    return short(
        st.one_of(
            _operators(part, build.then, build.join, build.branch),
            _operators(part, build.then, build.join, build.branch),
            st.builds(build.repeat, st.integers(1, 99), part),
            st.builds(Named, names, part),
            st.builds(
                Combine,
                _call_names,
                st.lists(part, max_size=2).map(tuple),
                _options(st.one_of(literals, part, table), names),
            )
            .filter(_has_chain)
            .map(specific),
        )
    )


expressions: st.SearchStrategy[Expr] = short(st.recursive(leaves, _grow, max_leaves=8))
"""Every kind of expression node, well-formed, meaning anything or nothing."""


# ---------------------------------------------------------------- expressions that mean something

_fractions = st.floats(0.01, 1)
_sampling: dict[str, st.SearchStrategy[Literal]] = {
    "frequency_penalty": st.floats(-2, 2),
    "logprobs": st.booleans(),
    "max_tokens": st.integers(1, 10**6),
    "min_p": st.floats(0, 1),
    "presence_penalty": st.integers(-2, 2),
    "stop": st.one_of(models, st.lists(models, min_size=1, max_size=3).map(tuple)),
    "top_k": st.integers(1, 100),
    "top_p": _fractions,
}


templates = st.sampled_from(
    ("{{ query }}", "", '{{ fr.answer }} "x"', "a\n{{ b | upper }}", "{{ [1, 'a'] }}", "{ }")
)
"""Templates of fields that a part is given."""

_parts_read = short(
    st.one_of(names, st.lists(names, min_size=2, max_size=3, unique=True).map(tuple))
)
"""Values of `of`; whether there are such parts is not looked at."""
_asking = {**_sampling, "of": _parts_read, "system": templates}


def _given(
    rules: Mapping[str, st.SearchStrategy[Literal | Function]],
) -> st.SearchStrategy[tuple[Option, ...]]:
    one = st.sampled_from(sorted(rules)).flatmap(
        lambda name: st.builds(Option, st.just(name), rules[name])
    )
    several = st.lists(one, max_size=2, unique_by=lambda option: option.name)
    return short(several.map(build.options))


_hot = st.none() | st.just(0.0) | st.floats(0.01, 2)
_few = st.integers(1, 3)
known_stages: st.SearchStrategy[Expr] = short(
    st.one_of(
        st.builds(Stage, st.sampled_from(("E", "J", "S", "V", "M"))),
        st.builds(
            Stage, st.just("E"), _few, _model, _hot, _given({**_sampling, "fresh": st.booleans()})
        ),
        st.builds(Stage, st.sampled_from(("J", "S", "V")), _few, _model, _hot, _given(_asking)),
        st.builds(
            Stage,
            st.just("M"),
            options=_given(
                {
                    "of": _parts_read,
                    "by": models,
                    "extract": st.sampled_from((r"[0-9]+", r"is (\w+)", ".", "a|b")),
                    "normalize": st.sampled_from(("casefold", "number", "text")) | _functions,
                }
            ),
        ),
    )
)
known_leaves = short(
    st.one_of(
        known_stages,
        known_stages,
        st.builds(Ref, names),
        st.builds(Function, names, st.none() | _parts_read),
    )
)


judgements = short(
    st.one_of(
        names.filter(lambda name: name not in ("and", "or", "not", "is", "in", "if", "else")),
        st.sampled_from(
            (
                "answer", "verdict == 'correct'", 'answer | lower in ["a", "b"]', "x is defined",
                "fr.answer == '\u00e9' and not (score > 3)", "candidates | length >= 2", "[1, 2]",
                "'say \"hi\"\\n'", "{'a': 1}.a", "a.b[0] if a else 'x#y $z'", "1 + 2 * -x",
            )
        ),
    )
)  # fmt: skip
"""Expressions over a record."""


def _is_field(name: str) -> bool:
    return name not in WORDS


def _combinators(part: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """Calls as their rules want them; what is optional is sometimes left out."""
    some = st.builds(Option, st.just("item"), names) | st.none()
    judges = judgements | st.builds(Function, names)
    causes = st.sampled_from(("reply", "timeout", ("reply", "cut"), ("transport", "function")))
    default = st.builds(Option, st.just("default"), part) | st.none()
    table = st.dictionaries(texts, part, min_size=1, max_size=2).map(
        lambda arms: Table(tuple(Option(key, value) for key, value in arms.items()))
    )

    def make(name: str, parts: list[Expr], *options: Option | None) -> Expr:
        return specific(Combine(name, tuple(parts), build.options(one for one in options if one)))

    def option(name: str, value: st.SearchStrategy[object]) -> st.SearchStrategy[Option]:
        return st.builds(Option, st.just(name), value)

    one = st.lists(part, min_size=1, max_size=1)
    return short(
        st.one_of(
            st.builds(make, st.just("fallback"), _several(part), option("on", causes) | st.none()),
            st.builds(make, st.just("cascade"), _several(part), option("accept", judges)),
            st.builds(
                make,
                st.just("with_fields"),
                one,
                option("query", templates),
                st.builds(Option, names.filter(_is_field), templates) | st.none(),
            ),
            st.builds(
                make,
                st.just("retry"),
                one,
                option("times", _few) | st.none(),
                option("on", causes) | st.none(),
                option("backoff", st.floats(0, 9)) | st.none(),
            ),
            st.builds(
                make,
                st.just("timeout"),
                one,
                option("seconds", st.floats(0.1, 99) | st.integers(1, 9)),
            ),
            st.builds(
                make,
                st.just("route"),
                st.just([]),
                option("by", judges),
                option("arms", table),
                default,
            ),
            st.builds(
                make, st.just("loop"), one, option("until", judges), option("max", _few) | st.none()
            ),
            st.builds(make, st.just("each"), one, option("over", judgements), some),
        )
    )


def _grow_plain(part: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    return short(
        st.one_of(
            _operators(part, build.then, build.join),
            _operators(part, build.then, build.join),
            st.builds(build.repeat, _few, part),
            st.builds(Named, names, part),
            _combinators(part),
        )
    )


plain: st.SearchStrategy[Expr] = short(st.recursive(known_leaves, _grow_plain, max_leaves=5))
"""Without a branch, so it may stand anywhere."""
_branched = st.recursive(
    plain, lambda part: short(_operators(part, build.branch, build.then)), max_leaves=4
)


def tidy(node: Expr) -> Expr:
    """Return the expression with its labels made different, and none where they would repeat.

    In the body of an `each` nothing repeats: each item has parts of its own.
    """
    seen = {one.item or ITEM for one in walk(node) if isinstance(one, Each)}

    def visit(node: Node, repeated: bool) -> Node:
        inside = (repeated or isinstance(node, Repeat)) and not isinstance(node, Each)
        node = rebuild(node, lambda child: visit(child, inside))
        if isinstance(node, Repeat):
            return build.repeat(node.count, node.body)
        if not isinstance(node, Named):
            return _flat(node)
        if repeated:
            return node.body
        name = node.name
        while name in seen or name in WORDS:
            name += "_"
        seen.add(name)
        return evolve(node, name=name)

    tidied = visit(node, False)
    assert isinstance(tidied, Expr)
    return tidied


def _flat(node: Node) -> Node:
    """Return an operator flat again, where a label between two of a kind was taken away."""
    make = {"Then": build.then, "Join": build.join, "Branch": build.branch}.get(type(node).__name__)
    return make(*node.parts) if make else node  # type: ignore[attr-defined]


meaningful: st.SearchStrategy[Expr] = st.one_of(plain, _branched).map(tidy)
"""Known types, options and combinators; labels that differ; branches where they may stand."""


# ---------------------------------------------------------------- files

_bounds = st.none() | st.integers(-9, 9) | integers | floats
_lengths = st.none() | st.integers(0, 9) | st.integers(0, 10**18 - 1)
_patterns = st.none() | st.sampled_from((r"^\d+$", "\\", r"\"", "a", "", r"a\\")) | texts
_atoms: st.SearchStrategy[declarations.Type] = short(
    st.one_of(
        st.builds(declarations.TypeName, names),
        st.builds(declarations.TypeName, st.sampled_from(NAMED_TYPES)),
        st.builds(declarations.TypeName, names, _bounds, _bounds, _patterns),
        st.builds(declarations.Constant, st.one_of(texts, integers, st.booleans())),
        st.builds(declarations.RowChoice, names),
    )
)


def _fields(
    kind: st.SearchStrategy[declarations.Type],
) -> st.SearchStrategy[tuple[declarations.Field, ...]]:
    default = st.builds(declarations.Default, literals)
    one = st.one_of(
        st.builds(
            declarations.Field,
            names,
            kind,
            st.none() | default,
            st.none() | texts,
            st.none() | models,
        ),
        st.builds(declarations.Field, names, st.none(), default),
    )
    return short(st.lists(one, max_size=3, unique_by=lambda field: field.name).map(tuple))


def _grow_type(kind: st.SearchStrategy[declarations.Type]) -> st.SearchStrategy[declarations.Type]:
    single = kind.filter(lambda one: not isinstance(one, declarations.OneOf))
    return short(
        st.one_of(
            st.builds(declarations.ListOf, kind),
            st.builds(declarations.DictOf, kind),
            st.builds(declarations.ListOf, kind, _lengths, _lengths),
            st.builds(
                declarations.Maybe, kind.filter(lambda one: not isinstance(one, declarations.Maybe))
            ),
            st.lists(single, min_size=2, max_size=3).map(
                lambda options: declarations.OneOf(tuple(options))
            ),
            st.builds(declarations.Shape, _fields(kind)),
        )
    )


types: st.SearchStrategy[declarations.Type] = short(st.recursive(_atoms, _grow_type, max_leaves=4))
_shapes = short(st.builds(declarations.Shape, _fields(types)))
_blocks = st.lists(texts, min_size=2, max_size=4).map("\n".join)


def _settings(
    value: st.SearchStrategy[object],
) -> st.SearchStrategy[tuple[declarations.Setting, ...]]:
    one = st.one_of(
        st.builds(declarations.Setting, names, value),
        st.builds(declarations.Setting, st.just("model"), names | texts),
        st.builds(declarations.Setting, st.just("user"), _blocks),
    )
    return short(st.lists(one, max_size=3, unique_by=lambda setting: setting.name).map(tuple))


_bodies = short(st.recursive(leaves, _grow, max_leaves=4))
one_item: st.SearchStrategy[declarations.Item] = short(
    st.one_of(
        st.builds(declarations.Definition, names, _bodies),
        st.builds(declarations.Definition, names, _bodies),
        st.builds(declarations.Use, models),
        st.builds(
            declarations.Model,
            names,
            names,
            texts,
            _settings(st.one_of(literals, st.builds(declarations.Environment, models))),
        ),
        st.builds(declarations.Input, _shapes),
        st.builds(declarations.Input, st.builds(declarations.TypeName, names)),
        st.builds(declarations.TypeDef, names, st.one_of(types, _shapes), st.none() | texts),
        st.builds(declarations.PythonType, names, texts),
        st.builds(declarations.Op, names, names, st.none() | types, _settings(literals)),
    )
)
files = short(st.lists(one_item, max_size=4).map(lambda found: declarations.File(tuple(found))))
"""Every kind of item, well-formed; names are not looked up."""


# ---------------------------------------------------------------- types that mean something

_ends = st.tuples(st.integers(-9, 9), st.integers(0, 9)).map(lambda one: (one[0], sum(one)))
_sizes = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(lambda one: (one[0], sum(one)))
_open = st.sampled_from(((True, True), (True, False), (False, True)))


def _between(
    make: Callable[..., declarations.Type], ends: st.SearchStrategy[tuple[int, int]]
) -> st.SearchStrategy[declarations.Type]:
    """Bounds in order, one of them perhaps left out."""
    return st.builds(
        lambda both, said: make(both[0] if said[0] else None, both[1] if said[1] else None),
        ends,
        _open,
    )


_sound_atoms: st.SearchStrategy[declarations.Type] = short(
    st.one_of(
        st.sampled_from((*NAMED_TYPES, "Mood", "Point")).map(declarations.TypeName),
        _between(lambda low, high: declarations.TypeName("int", low, high), _ends),
        _between(lambda low, high: declarations.TypeName("float", low, high), _ends),
        _between(lambda low, high: declarations.TypeName("str", low, high), _sizes),
        st.sampled_from((r"^[A-Z]{2}-\d+$", "a|b", r"^\"\w+\\$", "^é{2}$")).map(
            lambda pattern: declarations.TypeName("str", pattern=pattern)
        ),
        st.one_of(st.sampled_from(("good", "", "é", '"', "a\nb")), st.integers(-3, 99)).map(
            declarations.Constant
        ),
    )
)


def _distinct(options: list[declarations.Type]) -> declarations.Type:
    found = tuple(dict.fromkeys(options))
    return found[0] if len(found) == 1 else declarations.OneOf(found)


def _grow_sound(kind: st.SearchStrategy[declarations.Type]) -> st.SearchStrategy[declarations.Type]:
    single = kind.filter(lambda one: not isinstance(one, declarations.OneOf))
    field = st.builds(declarations.Field, names, kind, st.none(), st.none() | texts)
    several = st.lists(field, max_size=3, unique_by=lambda one: one.name).map(tuple)
    return short(
        st.one_of(
            st.builds(declarations.ListOf, kind),
            st.builds(declarations.DictOf, kind),
            kind.flatmap(
                lambda one: _between(lambda low, high: declarations.ListOf(one, low, high), _sizes)
            ),
            st.builds(
                declarations.Maybe, kind.filter(lambda one: not isinstance(one, declarations.Maybe))
            ),
            st.lists(single, min_size=2, max_size=3).map(_distinct),
            st.builds(declarations.Shape, several),
        )
    )


sound_types: st.SearchStrategy[declarations.Type] = short(
    st.recursive(_sound_atoms, _grow_sound, max_leaves=5)
)
"""Types that values have; `Mood` and `Point` among the names."""


# ---------------------------------------------------------------- comparing


def exactly(node: Node) -> str:
    """Return all that a node says; ``True``, ``1`` and ``1.0`` differ."""
    return repr(node).replace("-0.0", "0.0")


def count_nodes(node: Node) -> int:
    """Return how many nodes there are, of any kind."""
    return sum(1 for _ in walk(node))


# ---------------------------------------------------------------- graphs


@frozen
class Written:
    """A stage type of a graph: what its prompt reads, as its template was written."""

    kind: str
    names: tuple[str, ...]
    """Named parts."""
    candidates: bool


@frozen
class Graph:
    """A chain whose steps read named parts, as the text of a file, and what each stage reads."""

    text: str
    ops: Mapping[str, Written]


class _Drawing:
    """A graph in progress: its ops, and how many stages it may still get."""

    def __init__(
        self, draw: st.DrawFn, functions: Sequence[str], options: Sequence[str], most: int
    ) -> None:
        self.draw, self.functions, self.options, self.left = draw, functions, options, most
        self.ops: dict[str, Written] = {}
        self.labels = 0
        self.typed = () if options else ("J", "V", "S")

    def asked(self, name: str, *options: str, down: bool = False) -> str:
        """Return a stage of a type that asks a model; one that is down fails always."""
        model = f"{'x' if down else 'm'}{self.draw(st.integers(0, 9))}"
        given = ", ".join((*options, *self.options))
        return f"{name}:{model}({given})" if given else f"{name}:{model}"

    def some(self, known: tuple[str, ...], most: int = 2) -> tuple[str, ...]:
        if not known:
            return ()
        return tuple(self.draw(st.lists(st.sampled_from(known), max_size=most, unique=True)))

    def own(self, known: tuple[str, ...], fed: bool) -> str:
        """Write an op, and return a stage of it."""
        kind = self.draw(st.sampled_from(("generate", "generate", "map", "fold")))
        kind = kind if fed else "generate"
        names = self.some(known)
        reads = kind != "generate" or (fed and self.draw(st.booleans()))
        self.ops[name := f"s{len(self.ops)}"] = Written(kind, names, reads)
        count = self.draw(st.sampled_from(("", "", "2:")))
        return self.asked(f"{count}{name}")

    def stage(self, known: tuple[str, ...], fed: bool) -> str:
        self.left -= 1
        kinds = ["own", "own", "own", "fresh", "E"] + [*self.typed, "M"] * fed
        kinds += ["of", "M of"] * bool(known) + ["function"] * bool(fed and self.functions)
        kind = self.draw(st.sampled_from(kinds))
        if kind == "own":
            return self.own(known, fed)
        if kind == "fresh":
            return self.asked("E", "fresh=true")
        if kind == "function":
            return f"@{self.draw(st.sampled_from(self.functions))}"
        if kind in ("of", "M of"):
            names = self.some(known) or known[:1]
            of = f"of=[{', '.join(map(repr, names))}]".replace("'", '"')
            if kind == "M of":
                return f"M({of})"
            return self.asked(self.draw(st.sampled_from(["E", *self.typed])), of)
        return "M" if kind == "M" else self.asked(kind)

    def part(
        self, known: tuple[str, ...], fed: bool, depth: int, *, labels: bool = True
    ) -> tuple[str, tuple[str, ...]]:
        """Return a part and the names that it makes; it can read those that are known."""
        kinds = ["stage", "stage"]
        if depth and self.left > 0:
            kinds += ["then", "then", "join", "join", "repeat", "timeout", "loop", "each", "each"]
            kinds += ["route", "fallback", "down", "retry", "cascade", "fields", "fields"]
            kinds += ["named"] * 4 * labels
        kind = self.draw(st.sampled_from(kinds))
        inside = depth - 1
        if kind == "stage":
            made = self.stage(known, fed)
            return made, self.own_name(made) if labels else ()
        if kind == "then":
            parts, made = list[str](), tuple[str, ...]()
            for _ in range(self.draw(st.integers(2, 4))):
                one, more = self.part((*known, *made), fed, inside, labels=labels)
                parts.append(one)
                made, fed = (*made, *more), True
            return f"({' >> '.join(parts)})", made
        if kind == "join":
            several = [
                self.part(known, fed, inside, labels=labels)
                for _ in range(self.draw(st.integers(2, 3)))
            ]
            text = " & ".join(one for one, _ in several)
            return f"({text})", tuple(name for _, made in several for name in made)
        if kind == "repeat":
            one, _ = self.part(known, fed, inside, labels=False)
            return f"({self.draw(st.integers(2, 3))} * {one})", ()
        if kind == "named":
            one, made = self.part(known, fed, inside)
            self.labels += 1
            stage = re.sub(r"^(retry\()+", "", one)
            made = () if self.own_name(stage) else made  # it has a label instead
            return f"(p{self.labels} = {one})", (*made, f"p{self.labels}")
        return self.combinator(kind, known, fed, inside, labels=labels)

    def own_name(self, stage: str) -> tuple[str, ...]:
        """Return the op of a stage, whose name is that of its part; nothing for other parts."""
        own = stage.partition("(")[0].rpartition(":")[0].split(":")[-1]
        return (own,) if own in self.ops and stage[0] != "(" else ()

    def combinator(
        self, kind: str, known: tuple[str, ...], fed: bool, inside: int, *, labels: bool
    ) -> tuple[str, tuple[str, ...]]:
        if kind == "each":
            over = self.draw(st.sampled_from(("documents", "[1, 2]", "[query]", "[answer]")))
            over = over if fed else "documents"
            one, _ = self.part(known, False, inside, labels=labels)
            return f'each({one}, over="{over}")', ()
        one, made = self.part(known, fed, inside, labels=labels)
        if kind == "down":  # it fails, and the other part runs
            return f"fallback({self.asked('E', 'fresh=true', down=True)}, {one})", ()
        if kind == "fields":
            said = self.draw(st.sampled_from(("{{ query }}?", "of {{ candidates | length }}")))
            said += "".join(f" {{{{ {name}.answer }}}}" for name in self.some(known))
            said = "{{ p0.answer }}" if not fed or self.draw(st.booleans()) else said
            return f"with_fields({one}, query='{said}')", made
        if kind == "timeout":
            return f"timeout({one}, seconds=1000000)", made
        if kind == "retry":
            return f"retry({one}, times=2)", made
        if kind == "loop":
            rounds = self.draw(st.integers(0, 2))
            return f'loop({one}, until="round == {rounds}", max=3)', made
        other, _ = self.part(known, fed, inside, labels=labels)
        if kind == "fallback":
            return f"fallback({one}, {other})", ()
        if kind == "cascade":
            accept = self.draw(st.sampled_from(("answer == 'no such'", "candidates | length > 0")))
            return f'cascade({one}, {other}, accept="{accept}")', ()
        by = self.draw(st.sampled_from(("topic", "p0.answer is defined", "answer is defined")))
        return f'route(by="{by}", arms={{"math": {one}}}, default={other})', ()


@st.composite
def graphs(draw: st.DrawFn, functions: Sequence[str] = (), options: Sequence[str] = ()) -> Graph:
    """Chains whose steps read any parts before them, by name or by `of`, inside all combinators.

    The models ``m0`` to ``m9`` answer, ``x0`` to ``x9`` fail. With `options` of all stages that ask
    a model, none has a type.
    """
    made = _Drawing(draw, functions, options, draw(st.integers(3, 14)))
    text = made.stage((), False)
    text, known = f"(p0 = {text})", ("p0",)
    while made.left > 0:
        one, more = made.part(known, True, 3)
        text, known = f"{text} >> {one}", (*known, *more)
    if draw(st.booleans()):
        arms = [made.part(known, True, 2)[0] for _ in range(draw(st.integers(2, 3)))]
        text = f"{text} >> ({' | '.join(arms)})"
    ops = []
    for name, one in made.ops.items():
        words = ["{{ query }}", *(f"{{{{ {part}.answer }}}}" for part in one.names)]
        words += ["{{ candidate.answer }}"] * (one.kind == "map")
        words += ["{{ candidates | length }}"] * (one.candidates and one.kind != "map")
        ops.append(f'op {name} : {one.kind} {{ user = "{" ".join(words)}" temperature = 0.7 }}')
    head = "input { query: str, topic: str, documents: list[str] }"
    return Graph("\n".join([head, *ops, f"main = {text}"]), made.ops)
