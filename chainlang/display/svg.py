"""SVG pictures of chains: by recursion over the IR, without a library, a script or a font.

A picture has its own background, light or dark as the viewer prefers, since front ends show it as
an image that can't know the colours around it. It has no ids, so that several fit one page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from attrs import define

from chainlang.diagnostics.render import columns
from chainlang.display.blocks import (
    GAP,
    PAD,
    Block,
    box,
    frame,
    number,
    sequence,
    side_by_side,
    wire,
)
from chainlang.ir.builtins import COMBINATORS
from chainlang.ir.calls import name_of
from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import (
    Branch,
    Combinator,
    Expr,
    Function,
    Join,
    Loop,
    Named,
    Ref,
    Repeat,
    Route,
    Stage,
    Then,
)
from chainlang.ir.render import label, options_of
from chainlang.ir.visit import parts_of
from chainlang.notation import unparse

WIDTH = 680
"""Width in pixels beyond which a sequence goes on below; a single part may be wider. A picture fits
JupyterLab with its list of files open."""
_LEAST = 240  # room of a sequence, however deep it is nested
_MOST = 300  # boxes of a picture
_DEEPEST = 20
_SIDE_BY_SIDE = 24
_LONGEST = 40  # columns of a line
_TITLE = 600  # characters of the text under the pointer

_STYLE = """\
.chainlang{--ink:#1f2328;--soft:#59636e;--wire:#8b949e;--box:#f6f8fa;--edge:#afb8c1;--page:#fff;\
--name:#0550ae;font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
@media(prefers-color-scheme:dark){.chainlang{--ink:#e6edf3;--soft:#9198a1;--wire:#6e7681;\
--box:#21262d;--edge:#484f58;--page:#0d1117;--name:#79c0ff}}
.chainlang .page{fill:var(--page);stroke:none}
.chainlang rect,.chainlang circle{fill:none;stroke:var(--edge)}
.chainlang .stage>rect,.chainlang .mark>circle{fill:var(--box)}
.chainlang .label>rect{stroke-dasharray:4 3}
.chainlang .one>path{stroke-dasharray:2 3}
.chainlang path{fill:none;stroke:var(--wire);stroke-linejoin:round}
.chainlang text{fill:var(--ink);white-space:pre}
.chainlang .head{font-weight:600}
.chainlang .rest,.chainlang .tag{fill:var(--soft)}
.chainlang .name{fill:var(--name)}
.chainlang .dot{fill:var(--wire);stroke:none}"""


def svg(body: Expr, items: Iterable[Item] = ()) -> str:
    """Return the picture of a chain, with the definitions among `items` expanded in place.

    >>> from chainlang import chain
    >>> svg(chain("3:E >> M").body).count("<rect")
    3
    """
    return page(Picture(bodies_of(items)).draw(body, WIDTH, ()))


def page(picture: Block) -> str:
    """Return a block as a picture of its own, with a wire that comes in and one that goes out."""
    width, height = picture.width + 2 * (GAP + PAD), picture.height + 2 * PAD
    level, out = PAD + picture.enter, PAD + picture.leave
    size = f'width="{number(width)}" height="{number(height)}"'
    view = f'viewBox="0 0 {number(width)} {number(height)}"'
    left, right = GAP + PAD, GAP + PAD + picture.width
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chainlang" role="img" {size} {view}>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" {size} rx="6"/>',
        f'<circle class="dot" cx="{PAD}" cy="{number(level)}" r="4"/>',
        wire(PAD + 4, level, left, tip=picture.tip),
        wire(right, out, right + GAP, tip=True),
        *picture.drawn(left, PAD),
        "</svg>",
    ]
    return "\n".join(lines)


@define
class Picture:
    """The blocks of one picture, of which there are not too many."""

    definitions: Mapping[str, Expr]
    boxes: int = 0

    def draw(self, node: Expr, room: float, around: tuple[str, ...]) -> Block:
        """Return the block of a part; `around` are the frames that it stands in."""
        room = max(room, _LEAST)
        if len(around) > _DEEPEST or self.boxes > _MOST:
            return self.leaf(["…"], node)
        within = room - 4 * PAD

        def inner(part: Expr, name: str) -> Block:
            return self.draw(part, within, (*around, name))

        match node:
            case Stage() | Function():
                return self.leaf(_lines(node), node)
            case Then(parts):
                return sequence([*self.steps(parts, room, around)], room)
            case Join(parts):
                why = "join: the candidates of all parts, in this order"
                return self.several(parts, "&", why, room, around)
            case Branch(parts):
                return self.several(parts, "|", "branch: the results stay apart", room, around)
            case Repeat(count, part):
                return self.framed(f"{count} ×", inner(part, ""), node)
            case Named(name, part):
                return self.framed(f"{name} =", inner(part, ""), node, "label")
            case Ref(name):
                if name not in self.definitions or f"${name}" in around:
                    return self.leaf([f"${name}"], node)
                body = inner(self.definitions[name], f"${name}")
                return self.framed(f"${name}", body, node, "label")
            case Route():
                return self.route(node, within, (*around, ""))
            case _:
                return self.combinator(node, within, (*around, ""))
        assert_never(node)

    def leaf(self, lines: Sequence[str], node: Expr) -> Block:
        """Return the box of a part without parts."""
        self.boxes += 1
        return box([_cut(line) for line in lines], _title(node))

    def framed(self, heading: str, body: Block, node: Expr, kind: str = "frame") -> Block:
        """Return a block in the frame of a part."""
        return frame(_cut(heading, 60), body, _title(node), kind, loops=isinstance(node, Loop))

    def steps(self, parts: Sequence[Expr], room: float, around: tuple[str, ...]) -> Iterator[Block]:
        """Yield the blocks of a sequence; what follows a branch is framed, as each arm goes on."""
        for at, part in enumerate(parts):
            if self.boxes > _MOST:
                yield self.leaf([f"… {len(parts) - at} more"], Then(tuple(parts[at:])))
                return
            yield self.draw(part, room, around)
            rest = tuple(parts[at + 1 :])
            if rest and _is_branch(part, self.definitions):
                after = rest[0] if len(rest) == 1 else Then(rest)
                body = self.draw(after, max(room, _LEAST) - 4 * PAD, (*around, ""))
                yield self.framed("each branch", body, after, "label")
                return

    def several(
        self, parts: Sequence[Expr], mark: str, why: str, room: float, around: tuple[str, ...]
    ) -> Block:
        """Return the block of the parts of an operator, with its sign."""
        shown = parts if len(parts) <= _SIDE_BY_SIDE else parts[: _SIDE_BY_SIDE - 1]
        inside = (*around, "")
        blocks = [self.draw(part, room - 100, inside) for part in shown]
        if len(shown) < len(parts):
            more = Join(tuple(parts[len(shown) :]))
            blocks.append(self.leaf([f"… {len(more.parts):,} more"], more))
        return side_by_side(blocks, mark, why)

    def route(self, node: Route, room: float, around: tuple[str, ...]) -> Block:
        """Return the block of a route, with an arm for each key."""
        arms = [(f'"{arm.key}"', arm.body) for arm in node.arms]
        if node.default is not None:
            arms.append(("default", node.default))
        tags = [_cut(name, 24) for name, _ in arms]
        blocks = [self.draw(part, room - 100 - columns(max(tags, key=columns)) * 8, around)
                  for _, part in arms]  # fmt: skip
        body = side_by_side(blocks, "", "route: one of the arms", tags, "one")
        return self.framed(label(node), body, node)

    def combinator(self, node: Expr, room: float, around: tuple[str, ...]) -> Block:
        """Return the block of another combinator."""
        parts = parts_of(node)
        if len(parts) == 1:
            return self.framed(label(node), self.draw(parts[0], room, around), node)
        blocks = [self.draw(part, room - 120, around) for part in parts]
        tags = [f"{at}." for at in range(1, len(parts) + 1)]
        why = ""
        if isinstance(node, Combinator):
            name = name_of(node)
            why = f"{name}: {COMBINATORS[name].what}"
        return self.framed(label(node), side_by_side(blocks, "", why, tags, "one"), node)


def _lines(node: Stage | Function) -> list[str]:
    if isinstance(node, Function):
        return [label(node)]
    head = node.name if node.count == 1 else f"{node.name} ×{node.count}"
    model = [] if node.model is None else [node.model]
    heat = [] if node.temperature is None else [f"T={node.temperature:g}"]
    below = ["  ".join([*model, *heat]), ", ".join(options_of(node.options))]
    return [head, *filter(None, below)]


def _is_branch(node: Expr, definitions: Mapping[str, Expr]) -> bool:
    """Return whether a part ends in results that stay apart."""
    seen: set[str] = set()
    while True:
        match node:
            case Branch():
                return True
            case Named(_, body):
                node = body
            case Then(parts):
                node = parts[-1]
            case Ref(name) if name in definitions and name not in seen:
                seen.add(name)
                node = definitions[name]
            case _:
                return False


def _title(node: Expr) -> str:
    """Return the notation of a part, for the pointer."""
    written = unparse(node)
    flat = "".join(char if char.isprintable() or char == "\n" else "·" for char in written)
    return flat if len(flat) <= _TITLE else flat[: _TITLE - 1] + "…"


def _cut(line: str, most: int = _LONGEST) -> str:
    """Return a text on one line, as wide as there is room for."""
    flat = "".join(char if char.isprintable() else "·" for char in line)
    if columns(flat) <= most:
        return flat
    kept, used = "", 0
    for char in flat:
        used += columns(char)
        if used >= most:
            break
        kept += char
    return kept + "…"
