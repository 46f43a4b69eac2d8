"""Labels that a program makes: always the same, and never one that means something else."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from chainlang.ir.builtins import WORDS
from chainlang.ir.made_labels import made_labels
from chainlang.ir.verify import is_name
from tests.laws import law


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a", "a", "a"], ("a", "a_2", "a_3")),
        (["a", "a", "a_2"], ("a", "a_3", "a_2")),
        (["a_2", "a", "a_2", "a"], ("a_2", "a", "a_2_2", "a_3")),
        (["answer", "query", "query"], ("answer_2", "query_2", "query_3")),
        (["my step", "my-step", "1", "class", "", "\u00e9t\u00e9"],
         ("my_step", "my_step_2", "_1", "class_", "part", "_t_")),
        (["taken", "free"], ("taken_2", "free")),
    ],
)  # fmt: skip
def test_labels_are_made_in_the_order_of_the_names(names: list[str], labels: object) -> None:
    assert made_labels(names, {"taken"}) == labels


names = st.lists(
    st.sampled_from(["a", "a_2", "a_2_2", "b", "query", "x y", "x_y", "if", ""])
    | st.text("ab_2é ", max_size=4)
)


@law(names, st.sets(st.sampled_from(["a", "b", "b_2"])))
def test_labels_differ_and_those_made_of_labels_are_the_same(
    names: list[str], taken: set[str]
) -> None:
    labels = made_labels(names, taken)
    assert len(set(labels)) == len(labels) == len(names)
    assert all(map(is_name, labels))
    assert not {*labels} & {*taken, *WORDS}
    assert made_labels(labels, taken) == labels


@law(names, st.data())
def test_a_name_that_comes_later_changes_no_label_but_where_it_is_one(
    names: list[str], data: st.DataObject
) -> None:
    labels = made_labels(names)
    more = data.draw(st.sampled_from(["new", "new 2"]))
    assert made_labels([*names, more])[: len(names)] == labels
