"""A hierarchy of operators, jitted at the top: what is inside of what runs, and overlaps."""

from typing import Any, ClassVar

from chainlang.compat.ember.core.registry.operator.base.operator_base import Operator
from chainlang.compat.ember.core.registry.specification.specification import Specification
from chainlang.compat.ember.core.types.ember_model import EmberModel
from chainlang.compat.ember.xcs.tracer.tracer_decorator import jit
from chainlang.compat.ember.xcs.tracer.xcs_tracing import TracerContext


class Text(EmberModel):
    text: str


class Measured(EmberModel):
    name: str
    value: int


class Report(EmberModel):
    rows: list[Measured]


class Metric(Operator[Text, Measured]):
    specification: ClassVar[Specification] = Specification(
        input_model=Text, structured_output=Measured
    )
    name: str

    def forward(self, *, inputs: Text) -> Measured:
        counts = {"letters": len(inputs.text), "words": len(inputs.text.split())}
        return Measured(name=self.name, value=counts[self.name])


class Group(Operator[Text, Report]):
    specification: ClassVar[Specification] = Specification(
        input_model=Text, structured_output=Report
    )
    metrics: list[Metric]

    def forward(self, *, inputs: Text) -> Report:
        return Report(rows=[metric(inputs=inputs) for metric in self.metrics])


@jit(sample_input={"text": "a sample"}, recursive=True)
class Document(Operator[Text, Report]):
    specification: ClassVar[Specification] = Specification(
        input_model=Text, structured_output=Report
    )
    groups: list[Group]

    def __init__(self) -> None:
        metrics = [Metric(name=name) for name in ("letters", "words")]
        self.groups = [Group(metrics=metrics), Group(metrics=metrics[:1])]

    def forward(self, *, inputs: Text) -> Any:
        reports = [group(inputs=inputs) for group in self.groups]
        return {"rows": [row for report in reports for row in report.rows]}


def main() -> None:
    document = Document()
    with TracerContext() as tracer:
        report = document(text="a plan is a graph")
    for row in report.rows:
        print(row.name, row.value)
    names = [one.operator_name for one in tracer.records]
    print({name: names.count(name) for name in sorted({*names})})
