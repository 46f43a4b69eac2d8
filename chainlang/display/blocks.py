"""Blocks of an SVG: boxes, frames, sequences that wrap, and parts side by side.

A block has a wire in on its left and a wire out on its right. Each becomes a group of its own with
local coordinates, in pixels; texts are monospaced and held to their width, so that no font can
make them longer than their box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise

from attrs import frozen

from chainlang.diagnostics.render import columns

LETTER = 7.2  # width of a column at a font size of 12
LINE = 16
PAD = 10
GAP = 24
ROW_GAP = 14
FAN = 26
HEAD = 22
"""Height of a frame's title."""
MARK = 9
"""Radius of the mark where parts come together."""
BACK = 14
"""Height of the way back in a loop."""


@frozen
class Block:
    """A rectangle of a picture, with the blocks inside it at their places."""

    width: float
    height: float
    enter: float
    """Height at which the wire comes in, on the left edge."""
    leave: float
    """Height at which the wire goes out, on the right edge."""
    ink: tuple[str, ...] = ()
    """Elements in its own coordinates."""
    inside: tuple[tuple[float, float, Block], ...] = ()
    title: str = ""
    kind: str = ""
    tip: bool = False
    """Whether the wire in ends in the tip of an arrow."""

    def drawn(self, x: float = 0, y: float = 0) -> Iterator[str]:
        """Yield the lines of its group, at a place of the block around it."""
        kind = f' class="{self.kind}"' if self.kind else ""
        move = f' transform="translate({number(x)} {number(y)})"' if x or y else ""
        yield f"<g{kind}{move}>"
        if self.title:
            yield f"<title>{escape(self.title)}</title>"
        yield from self.ink
        for left, top, block in self.inside:
            yield from block.drawn(left, top)
        yield "</g>"


def number(value: float) -> str:
    """Return a coordinate with at most one digit after the point."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, shown: str, kind: str = "") -> str:
    """Return a text that begins at x, on the baseline y, as wide as its columns."""
    kind = f' class="{kind}"' if kind else ""
    place = f'x="{number(x)}" y="{number(y)}" textLength="{number(wide(shown))}"'
    return f'<text{kind} {place} lengthAdjust="spacingAndGlyphs">{escape(shown)}</text>'


def wide(shown: str) -> float:
    """Return the width of a text."""
    return columns(shown) * LETTER


def box(lines: Sequence[str], title: str = "", kind: str = "stage") -> Block:
    """Return a box with a heading and lines of smaller meaning below it."""
    width = max(wide(line) for line in lines) + 2 * PAD
    height = LINE * len(lines) + 12
    ink = [f'<rect width="{number(width)}" height="{height}" rx="5"/>']
    for at, line in enumerate(lines):
        ink.append(text(PAD, LINE * at + 18, line, "head" if at == 0 else "rest"))
    return Block(width, height, height / 2, height / 2, tuple(ink), (), title, kind, tip=True)


def frame(
    heading: str, body: Block, title: str = "", kind: str = "frame", *, loops: bool = False
) -> Block:
    """Return a block in a frame with a heading; one that loops has a way back below it."""
    width = max(body.width, wide(heading)) + 4 * PAD
    height = HEAD + body.height + PAD + (BACK if loops else 0)
    left = (width - body.width) / 2
    enter, leave = HEAD + body.enter, HEAD + body.leave
    right = left + body.width
    ink = [
        f'<rect width="{number(width)}" height="{number(height)}" rx="7"/>',
        text(PAD, 15, heading, "name"),
        wire(0, enter, left, tip=body.tip),
        wire(right, leave, width),
    ]
    if loops:
        low = height - BACK / 2
        way = f"M{number(width - PAD)} {number(leave)}V{number(low)}H{PAD}V{number(enter)}"
        ink.append(f'<path class="back" d="{way}{_tip(up=True)}"/>')
    inside = ((left, HEAD, body),)
    return Block(width, height, enter, leave, tuple(ink), inside, title, kind, tip=True)


def sequence(blocks: Sequence[Block], room: float) -> Block:
    """Return blocks one after another, on several lines where they are wider than the room."""
    lines: list[list[Block]] = [[]]
    used = 0.0
    for block in blocks:
        used += GAP + block.width
        if lines[-1] and used > room:
            lines.append([])
            used = GAP + block.width
        lines[-1].append(block)
    return _line(lines[0]) if len(lines) == 1 else _folded([_line(line) for line in lines])


def _line(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    x, at = 0.0, 0.0  # `at` is the height of the wire, from that of the first block
    placed: list[tuple[float, float, Block]] = []
    for block in blocks:
        placed.append((x, at - block.enter, block))
        x += block.width + GAP
        at += block.leave - block.enter
    top = min(y for _, y, _ in placed)
    height = max(y + block.height for _, y, block in placed) - top
    inside = tuple((left, y - top, block) for left, y, block in placed)
    ink = tuple(
        wire(left + block.width, y + block.leave, left + block.width + GAP, tip=after.tip)
        for (left, y, block), (_, _, after) in pairwise(inside)
    )
    return Block(x - GAP, height, -top, at - top, ink, inside, tip=blocks[0].tip)


def _folded(lines: Sequence[Block]) -> Block:
    """Return lines below each other; a wire leads from the end of each to the start of the next."""
    widest = max(line.width for line in lines)
    width = widest + 2 * GAP
    ink, inside = [wire(0, lines[0].enter, GAP, tip=lines[0].tip)], []
    top = 0.0
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        inside.append((float(GAP), top, line))
        end, bottom = GAP + line.width, top + line.height
        if after is None:
            ink.append(wire(end, top + line.leave, width))
            break
        between, below = bottom + ROW_GAP, bottom + 2 * ROW_GAP + after.enter
        way = f"M{number(end)} {number(top + line.leave)}h10V{number(between)}H10V{number(below)}"
        ink.append(f'<path d="{way}H{GAP}{_tip() if after.tip else ""}"/>')
        top = bottom + 2 * ROW_GAP
    last = lines[-1]
    return Block(width, top + last.height, lines[0].enter, top + last.leave, tuple(ink), (*inside,))


def side_by_side(
    blocks: Sequence[Block], mark: str, why: str, tags: Sequence[str] = (), kind: str = "all"
) -> Block:
    """Return blocks that read the same input, below each other, each with a tag on its wire.

    They come together in a circle with a mark, if there is one; `why` is its title.
    """
    tags = tags or [""] * len(blocks)
    lead = FAN + max(wide(tag) + PAD if tag else 0 for tag in tags)
    widest = max(block.width for block in blocks)
    tops, top = [], 0.0
    for block in blocks:
        tops.append(top)
        top += block.height + ROW_GAP
    height = max(top - ROW_GAP, 2 * MARK)
    enters = [y + block.enter for y, block in zip(tops, blocks, strict=True)]
    leaves = [y + block.leave for y, block in zip(tops, blocks, strict=True)]
    enter, leave = (enters[0] + enters[-1]) / 2, (leaves[0] + leaves[-1]) / 2
    leave = max(leave, MARK)
    right = lead + widest
    width = right + FAN + 2 * MARK
    ink: list[str] = []
    inside: list[tuple[float, float, Block]] = []
    for y, tag, begins, ends, block in zip(tops, tags, enters, leaves, blocks, strict=True):
        left = lead + (widest - block.width) / 2
        inside.append((left, y, block))
        if tag:
            ink += [_curve(0, enter, FAN - 6, begins), text(FAN - 2, begins + 4, tag, "tag")]
            ink.append(wire(FAN + wide(tag) + 2, begins, left, tip=block.tip))
        else:
            ink.append(_curve(0, enter, FAN - 6, begins))
            ink.append(wire(FAN - 6, begins, left, tip=block.tip))
        if left + block.width < right:
            ink.append(wire(left + block.width, ends, right))
        ink.append(_curve(right, ends, right + FAN + (0 if mark else MARK / 2), leave))
    ink += _mark(width - MARK, leave, mark, why)
    return Block(width, height, enter, leave, tuple(ink), tuple(inside), "", kind)


def _mark(x: float, y: float, mark: str, why: str) -> Iterable[str]:
    place = f'cx="{number(x)}" cy="{number(y)}" r="{MARK if mark else MARK / 2}"'
    yield f'<g class="mark"><title>{escape(why)}</title><circle {place}/>'
    yield (text(x - LETTER / 2, y + 4, mark) if mark else wire(x + MARK / 2, y, x + MARK)) + "</g>"


def wire(x: float, y: float, end: float, *, tip: bool = False) -> str:
    """Return a straight wire, with or without the tip of an arrow."""
    return f'<path d="M{number(x)} {number(y)}H{number(end)}{_tip() if tip else ""}"/>'


def _curve(x: float, y: float, right: float, end: float) -> str:
    if y == end:
        return wire(x, y, right)
    half = number((x + right) / 2)
    bend = f"C{half} {number(y)} {half} {number(end)} {number(right)} {number(end)}"
    return f'<path d="M{number(x)} {number(y)}{bend}"/>'


def _tip(*, up: bool = False) -> str:
    return "m-3.5 5l3.5-5l3.5 5" if up else "m-5-3.5l5 3.5l-5 3.5"
