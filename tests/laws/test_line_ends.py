"""Line ends in templates, in any mixture, hide nothing that is read."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from chainlang import op
from chainlang.analysis.template_reads import template_reads, tokens
from chainlang.engines.fake import FakeEngine
from tests.laws import law

ENDS = ("\n", "\r\n", "\r")
PARTS = (
    *ENDS,
    *("a", "ü ", "{{ query }}", "{{- query -}}", "{{ 'a\r\nb' ~ query }}", "{# query #}"),
    *(
        "{% raw %}{{ query }}\r{% endraw %}",
        "{% if query\r\n%}\r{% endif %}",
        "{%-\rif\nquery %}{% endif %}",
    ),
)
templates = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


def places(template: str) -> list[int]:
    """Return where a template reads its field; comments and raw blocks read nothing."""
    bare = template
    for mute in ("{# query #}", "{% raw %}{{ query }}\r{% endraw %}"):
        bare = bare.replace(mute, "-" * len(mute))
    return [at for at in range(len(bare)) if bare.startswith("query", at)]


@law(templates)
def test_each_read_stands_where_it_is_written(template: str) -> None:
    reads = template_reads(template)
    assert [one.start for one in reads] == places(template)
    assert all(template[one.start : one.end] == "query" for one in reads)


@law(templates)
def test_tokens_are_parts_of_the_text_in_its_order(template: str) -> None:
    end = 0
    for at, _, text in tokens(template):
        assert (at >= end, template[at : at + len(text)]) == (True, text)
        end = at + len(text)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.filterwarnings("error")
def test_a_prompt_reads_its_row_after_any_line_end(end: str) -> None:
    asked = op("ask", user=f"Answer:{end}One word.\r\nNo more.\n{{{{ query }}}}")()
    assert asked("q", engine=FakeEngine()).ok
