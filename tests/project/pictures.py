"""Pictures of the documents that are made from the code: a chain, and plans around each pass.

``python -m tests.project.pictures`` writes them anew; a test checks that they are up to date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path

from attrs import evolve, frozen

from chainlang import chain
from chainlang.optimizer.registry import NAMES
from chainlang.plan.graph import unit, wiring
from chainlang.plan.render import render
from chainlang.plan.steps import Fallback, Fork, Gather, Graph, Plan, Route, Sequence, Step
from chainlang.plan.visit import inner
from tests.cases import Case, cases
from tests.optimizer.test_pass_cases import compile_case

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
SHOWN = "(vote = 5:E:llama:0.7 >> M & E:qwen & E:phi) >> J:qwen"
"""The chain in the picture of the README."""
STACKED = (Gather, Fork, Fallback, Route)
"""Steps whose parts are drawn one below the other; those of others follow each other."""

CHARACTER, LINE, PAD, GAP = 7.3, 16, 8, 22
STYLE = """
text { font: 12px ui-monospace, monospace; fill: #24292f }
.page { fill: #ffffff } path { stroke: #57606a; fill: none }
.box { fill: #f6f8fa; stroke: #57606a }
.new { fill: #dafbe1; stroke: #1a7f37 } .gone { fill: #ffebe9; stroke: #cf222e }
.frame { fill: none; stroke: #afb8c1 }
.frame.new { stroke: #1a7f37 } .frame.gone { stroke: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } path { stroke: #8b949e }
.box { fill: #161b22; stroke: #8b949e }
.new { fill: #12261e; stroke: #3fb950 } .gone { fill: #2d1618; stroke: #f85149 }
.frame { fill: none; stroke: #484f58 }
.frame.new { stroke: #3fb950 } .frame.gone { stroke: #f85149 }
}
"""


@frozen
class Drawn:
    """A drawing with its size; its top left corner is at 0, 0."""

    width: float
    height: float
    parts: tuple[str, ...]

    def at(self, x: float, y: float) -> str:
        return f'<g transform="translate({x:g} {y:g})">{"".join(self.parts)}</g>'


def lines_of(texts: list[str], kind: str = "box") -> Drawn:
    """Return a box with lines of text."""
    width = CHARACTER * max(map(len, texts)) + 2 * PAD
    height = LINE * len(texts) + PAD
    said = [
        f'<text x="{PAD}" y="{LINE * number + 15:g}">{escape(one)}</text>'
        for number, one in enumerate(texts)
    ]
    frame = f'<rect class="{kind}" width="{width:g}" height="{height:g}" rx="4"/>'
    return Drawn(width, height, (frame if kind else "", *said))


def row(drawn: list[Drawn]) -> Drawn:
    """Return drawings beside each other, with arrows between them."""
    height, x, parts = max(one.height for one in drawn), 0.0, []
    for number, one in enumerate(drawn):
        if number:
            middle = height / 2
            parts.append(f'<path d="M{x + 3:g} {middle:g}h{GAP - 7}m-5 -4l5 4l-5 4" />')
            x += GAP
        parts.append(one.at(x, (height - one.height) / 2))
        x += one.width
    return Drawn(x, height, tuple(parts))


def column(drawn: list[Drawn], gap: float = PAD) -> Drawn:
    """Return drawings one below the other."""
    y, parts = 0.0, []
    for one in drawn:
        parts.append(one.at(0, y))
        y += one.height + gap
    return Drawn(max(one.width for one in drawn), y - gap, tuple(parts))


def framed(title: str, body: Drawn, kind: str) -> Drawn:
    """Return a drawing in a frame with a title."""
    width = max(body.width, CHARACTER * len(title)) + 2 * PAD
    height = body.height + LINE + 2 * PAD
    return Drawn(
        width,
        height,
        (
            f'<rect class="frame {kind}" width="{width:g}" height="{height:g}" rx="4"/>',
            f'<text x="{PAD}" y="15">{escape(title)}</text>',
            body.at(PAD, LINE + PAD),
        ),
    )


def words(step: Step) -> str:
    """Return the line of a step in the text of a plan."""
    return render(Plan(root=step), bounds=False).splitlines()[1]


def all_words(step: Step) -> Iterator[str]:
    """Yield the lines of a step and of all inside it."""
    yield words(step)
    for one in inner(step):
        yield from all_words(one)


def drawing(step: Step, changed: Counter[str], kind: str) -> Drawn:
    """Return the drawing of a step; `changed` are the lines that the other plan lacks."""
    said = words(step)
    own = kind if changed[said] else ""
    changed[said] -= bool(own)
    if isinstance(step, Graph):
        return framed(said, graph(step, changed, kind), own)
    parts = [drawing(one, changed, kind) for one in inner(step)]
    if not parts:
        first, *rest = said.split("  ")
        texts = [f"{first}  {rest[0]}" if rest else first, "  ".join(rest[1:])]
        return lines_of([one for one in texts if one], f"box {own}")
    body = column(parts) if isinstance(step, STACKED) else row(parts)
    return body if isinstance(step, Sequence) else framed(said, body, own)


def graph(step: Graph, changed: Counter[str], kind: str) -> Drawn:
    """Return the drawing of a graph: a column of those that start first, then of those after."""
    columns: list[list[Drawn]] = []
    at: list[int] = []
    for node in wiring(step.step, once=True).nodes:
        at.append(1 + max((at[one] for one in node.waits), default=-1))
        if at[-1] == len(columns):
            columns.append([])
        if unit(node.step) is not None:
            columns[at[-1]].append(drawing(node.step, changed, kind))
    return row([column(one) for one in columns if one])


def notes(plan: Plan) -> list[str]:
    """Return the lines in which a plan speaks of all rows."""
    alone = evolve(plan, rows_once=False, by_prefix=False, by_model=False, lossy=())
    return [one for one in render(plan).splitlines() if one not in render(alone).splitlines()]


def shown_case(name: str) -> Case:
    """Return the case that shows a pass: the first that it changes."""
    found = cases(f"passes/{name}.cases")
    return next(one for one in found if "\n--- after\n" in one.expected)


def picture(name: str) -> str:
    """Return the picture of a pass: the plan of a case before and after it, as SVG."""
    found = compile_case(shown_case(name))
    before, after = Counter(all_words(found.naive.root)), Counter(all_words(found.plan.root))
    parts = [
        lines_of(["before"], ""),
        drawing(found.naive.root, before - after, "gone"),
        lines_of([f"after {name}"], ""),
        drawing(found.plan.root, after - before, "new"),
    ]
    if said := notes(found.plan):
        parts.append(lines_of(said, "box new"))
    return page(column(parts), f"The plan before and after {name}")


def page(drawn: Drawn, title: str) -> str:
    """Return a drawing as a file of SVG."""
    width, height = drawn.width + 4 * PAD, drawn.height + 4 * PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img">\n<title>{escape(title)}</title>'
        f"<style>{STYLE}</style>\n"
        f'<rect class="page" width="{width:g}" height="{height:g}" rx="6"/>\n'
        f"{drawn.at(2 * PAD, 2 * PAD)}\n</svg>\n"
    )


PICTURES: dict[Path, Callable[[], str]] = {
    FOLDER / "chain.svg": chain(SHOWN).svg,
    **{FOLDER / "passes" / f"{name}.svg": partial(picture, name) for name in NAMES},
}


def main() -> None:
    """Write all pictures."""
    for path, make in PICTURES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
