"""Geometry of an SVG picture: its boxes, frames and texts, in the coordinates of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as Tree

from attrs import frozen

SVG = "{http://www.w3.org/2000/svg}"
_ALLOWED = {"svg", "style", "g", "title", "rect", "text", "path", "circle"}


@frozen
class Area:
    """A rectangle, and what it is of."""

    left: float
    top: float
    right: float
    bottom: float
    of: str

    def holds(self, other: Area) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@frozen
class Drawn:
    """An area, and the frames around it, from the page to the nearest."""

    area: Area
    is_text: bool
    around: tuple[Area, ...]


def drawn(svg: str) -> list[Drawn]:
    """Return the rectangles and texts of a picture; refuse any element that is none of ours."""
    root = Tree.fromstring(svg)
    for one in root.iter():
        assert one.tag.removeprefix(SVG) in _ALLOWED, one.tag
        for name, value in one.attrib.items():
            assert name != "id", name
            assert not name.startswith("on"), name
            assert "href" not in name, name
            assert "url(" not in value, value
    page = Area(0, 0, float(root.attrib["width"]), float(root.attrib["height"]), "page")
    return list(_drawn(root, 0, 0, (page,)))


def _drawn(group: Tree.Element, x: float, y: float, around: tuple[Area, ...]) -> Iterator[Drawn]:
    if move := re.fullmatch(r"translate\((\S+) (\S+)\)", group.get("transform", "")):
        x, y = x + float(move[1]), y + float(move[2])
    inside = around
    for one in group:
        match one.tag.removeprefix(SVG):
            case "rect" if one.get("class") != "page":
                right, bottom = x + float(one.attrib["width"]), y + float(one.attrib["height"])
                area = Area(x, y, right, bottom, (group.findtext(f"{SVG}title") or "")[:60])
                yield Drawn(area, False, around)
                inside = (*inside, area)
            case "text":
                left, base = x + float(one.attrib["x"]), y + float(one.attrib["y"])
                right = left + float(one.attrib["textLength"])
                yield Drawn(Area(left, base - 10, right, base + 3, one.text or ""), True, inside)
            case "g":
                yield from _drawn(one, x, y, inside)


def faults(svg: str) -> list[str]:
    """Return what is wrong with a picture: what stands out of its frame, and what overlaps."""
    return faults_of(drawn(svg))


def faults_of(found: list[Drawn]) -> list[str]:
    """Return what is wrong with rectangles and texts, wherever they are from."""
    wrong: list[str] = []
    for one in found:
        wrong += [
            f"{one.area} is not in {frame}" for frame in one.around if not frame.holds(one.area)
        ]
    texts = [one for one in found if one.is_text]
    boxes = [one for one in found if not one.is_text]
    for at, one in enumerate(texts):
        wrong += [
            f"{one.area} on {other.area}" for other in texts[at + 1 :] if one.area.meets(other.area)
        ]
        wrong += [
            f"{one.area} in {other.area}"
            for other in boxes
            if other.area not in one.around and one.area.meets(other.area)
        ]
    for at, one in enumerate(boxes):
        wrong += [
            f"{one.area} crosses {other.area}"
            for other in boxes[at + 1 :]
            if one.area.meets(other.area)
            and one.area not in other.around
            and other.area not in one.around
        ]
    return wrong


def texts(svg: str) -> list[str]:
    """Return the texts of a picture."""
    return [one.area.of for one in drawn(svg) if one.is_text]
