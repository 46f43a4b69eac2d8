"""Fields that are known before a run: what is accepted is there, and what is misspelled is refused.

Random chains of typed ops end in an op whose template reads random paths. The reference interpreter
says what is there when it runs.
"""

from __future__ import annotations

from attrs import frozen
from hypothesis import assume
from hypothesis import strategies as st

from chainlang.analysis.check_file import MAIN, resolve_file
from chainlang.analysis.field_checks import row_of
from chainlang.analysis.program import main_of
from chainlang.analysis.record_types import Readable, at_any, in_template
from chainlang.analysis.template_reads import Read, template_reads
from chainlang.analysis.type_flow import TypeFlow
from chainlang.datatypes.check_types import declared_types
from chainlang.datatypes.value_types import Presence, TypeValues, ValueType, field_of, item_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.ir.declarations import File, Op
from chainlang.notation import parse_file, source
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.input_schema import RowValidator
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws import SHALLOW, law
from tests.laws.control import sound

OPS = """
input { query: str, topic: str, doc: { heading: str, tags: list[{ name: str }] } }
op rate : generate -> { score: int(1..5), mood: "good" | "bad" } { user = "{{ query }}" }
op mark : map -> { mark: int(0..9), by: { name: str(..3) } } { user = "{{ candidate.answer }}" }
op label : generate -> { answer: "x" | "y", score: int(1..2) } { user = "{{ query }}" }
op pick : fold -> { number: int, why: str(..3) } { choose = "number" user = "{{ query }}" }
op even : generate -> { score: int(1..5) } | "none" { user = "{{ query }}" }
op name : map -> { name: str(..3), score: int } { answer = "name" user = "{{ candidate }}" }
"""
ROW = {"query": "Why?", "topic": "a", "doc": {"heading": "t", "tags": [{"name": "n"}]}}
FIELDS = ("score", "mood", "mark", "by", "name", "answer", "why", "verdict", "heading")
LABELS = ("fr", "es", "de")

# ---------------------------------------------------------------- chains and templates

stages = st.sampled_from(
    [
        "rate", "2:rate", "mark", "label", "pick", "even", "name", "E", "2:E", "V", "J", "S", "M",
        'M(by="score")', 'M(by="mood")',
    ]
)  # fmt: skip
first = st.sampled_from(["rate", "2:rate", "label", "even", "E", "2:E", "(rate & E)"])


def _grow(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} >> {})".format, part, part),
        st.builds("({} >> {})".format, part, part),
        st.builds("({} & {})".format, part, part),
        st.builds("({} = {})".format, st.sampled_from(LABELS), part),
        st.builds("({} = {})".format, st.sampled_from(LABELS), part),
        st.builds("2 * ({})".format, part),
        st.builds("fallback({}, {})".format, part, part),
        st.builds("retry({})".format, part),
        st.builds("loop({}, until=\"answer == 'x'\", max=3)".format, part),
        st.builds('route(by="topic", arms={{"a": {}}}, default={})'.format, part, part),
        st.builds('each({} >> {}, over="doc.tags")'.format, first, part),
    )


parts = st.recursive(stages, _grow, max_leaves=5)
roots = st.sampled_from(["candidates[0]", "one", "doc", "doc.tags[0]", "query", *LABELS, "rate"])
paths = st.builds(
    lambda root, fields: ".".join([root, *fields]),
    roots,
    st.lists(st.sampled_from(FIELDS), min_size=1, max_size=2),
)
pieces = st.one_of(
    st.builds("{{{{ {} }}}}".format, paths),
    st.builds("{{{{ {} }}}}".format, paths),
    st.builds("{{{{ {} | default('') }}}}".format, paths),
    st.sampled_from(["{{ item_index }}", "{{ round + 1 }}", "{{ item.name }}"]),
    st.builds("{{% if {0} is defined %}}{{{{ {0} }}}}{{% endif %}}".format, paths),
    st.builds("{{{{ candidates | map(attribute='{}') | list }}}}".format, st.sampled_from(FIELDS)),
)
templates = st.lists(pieces, min_size=1, max_size=3).map(
    lambda some: "{% for one in candidates %}" + " ".join(some) + "{% endfor %}"
)


bodies = st.builds(
    str.format,
    st.sampled_from(
        ["{0} >> {1} >> tell", "{0} >> {1} >> tell", 'each({0} >> {1} >> tell, over="doc.tags")',
         '{0} >> loop({1} >> tell, until="round == 1")']
    ),
    first,
    parts,
)  # fmt: skip
"""Chains that end with the op whose template is random."""


def text_of(body: str, template: str) -> str:
    return f'{OPS}op tell : fold {{ user = "{template}" }}\nmain = {body}\n'


# ---------------------------------------------------------------- what is known of them


@frozen
class Checked:
    """A file, what was found wrong with it, and what its last template can read."""

    file: File
    found: tuple[Diagnostic, ...]
    readable: Readable

    def is_sure(self, read: Read) -> bool:
        """Whether all names of a path are surely there."""
        name = self.readable.names.get(read.root or "")
        if name is None or name.only is not None:
            return False
        kind: ValueType = name.type
        for step in read.steps:
            if step.to != "field":
                kind = item_of(kind)
                continue
            found = field_of(kind, step.name)
            if found.presence is not Presence.ALWAYS:
                return False
            kind = found.type
        return True


def checked(text: str) -> Checked:
    file, found = resolve_file(parse_file(source(text, "main.chain")).node)
    errors = tuple(one for one in found if one.severity == "error")
    assume(all(one.code in ("template", "option", "expression") for one in errors))
    body, items = main_of(file)
    ops = {one.name: one for one in items if isinstance(one, Op)}
    row = row_of(items)
    flow = TypeFlow(
        {MAIN: body}, ops, TypeValues(declared_types(items)), own_names(body, items), row
    )
    flow.visit(body, flow.start())
    places = [in_template(record, row, fresh=False, one=False) for record, _ in flow.at_ops["tell"]]
    return Checked(file, errors, at_any(places, frozenset(LABELS)))


def failure(file: File) -> str | None:
    """Return why a row fails, if it does."""
    body, items = main_of(file)
    try:
        interpret(body, RowValidator.of(items).record(ROW), sound().complete, declared=items)
    except StageError as error:
        return str(error)
    return None


# ---------------------------------------------------------------- the laws


@law(bodies, templates, share=2, ci=SHALLOW)
def test_what_is_surely_there_never_fails_for_want_of_a_field(body: str, template: str) -> None:
    known = checked(text_of(body, template))
    assume(not known.found)
    sure = all(known.is_sure(one) or one.is_guarded for one in template_reads(template))
    assume(sure)
    why = failure(known.file)
    assert why is None or "the prompt can't be filled in" not in why, why


@law(bodies, templates, st.data(), share=2, ci=SHALLOW)
def test_a_misspelled_field_is_refused_at_its_place(
    body: str, template: str, data: st.DataObject
) -> None:
    text = text_of(body, template)
    known = checked(text)
    fields = [
        step
        for read in template_reads(template)
        if known.is_sure(read)
        for step in read.steps[max(read.own - 1, 0) :]
        if step.to == "field"
    ]
    assume(fields)
    step = data.draw(st.sampled_from(fields))
    wrong = f"{step.name[:-1]}x{step.name[-1]}"
    planted = f"{template[: step.start]}{wrong}{template[step.end :]}"
    found = checked(text_of(body, planted)).found
    at = text_of(body, planted).index(planted) + step.start
    assert any(one.span and (one.span.start, one.span.text) == (at, wrong) for one in found)


@law(bodies, st.lists(paths, min_size=1, max_size=1), share=2, ci=SHALLOW)
def test_what_no_value_has_fails_when_it_is_read(body: str, path: list[str]) -> None:
    """So nothing is refused that could have run."""
    template = "{% for one in candidates %}{{ " + path[0] + " }}{% endfor %}"
    known = checked(text_of(body, template))
    assume([one.code for one in known.found] == ["template"])
    assume("may be absent" not in known.found[0].message)
    assert failure(known.file) is not None
