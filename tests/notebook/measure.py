"""Layout of the outputs of a notebook in a browser: positions of texts, and faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from tests.display.geometry import Area, Drawn, faults_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

_MEASURE = """
() => {
    const place = one => {
        const {left, top, right, bottom} = one.getBoundingClientRect();
        return {left, top, right, bottom, of: one.textContent.slice(0, 60)};
    };
    // A rectangle is the frame of what follows it in its group, and in the groups there.
    const walk = (group, around, found) => {
        let inside = around;
        for (const one of group.children) {
            if (one.tagName === 'rect' && one.getAttribute('class') !== 'page') {
                const area = place(one);
                found.push({area, text: false, around});
                inside = [...inside, area];
            } else if (one.tagName === 'text') {
                found.push({area: place(one), text: true, around: inside});
            } else if (one.tagName === 'g') {
                walk(one, inside, found);
            }
        }
        return found;
    };
    const inline = image => {
        // A picture in an `img` has no elements here: it is drawn once more in its place.
        const [kind, data] = image.src.split(/,(.*)/s);
        const bytes = () => Uint8Array.from(atob(data), one => one.charCodeAt(0));
        const holder = document.createElement('div');
        holder.innerHTML = kind.endsWith('base64')
            ? new TextDecoder().decode(bytes()) : decodeURIComponent(data);
        image.replaceWith(holder);
        return holder.querySelector('svg');
    };
    for (const image of document.querySelectorAll('img[src^="data:image/svg"]')) inline(image);
    const pictures = [...document.querySelectorAll('svg.chainlang')].map(svg => ({
        page: place(svg), drawn: walk(svg, [place(svg)], [])
    }));
    const pages = [...document.querySelectorAll('.chainlang-page')].map(page => {
        const texts = [];
        const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode;
            const holder = node.parentElement;
            if (!node.data.trim() || holder.closest('style, svg')) continue;
            if (!holder.checkVisibility()) continue;  // in what is folded
            const range = document.createRange();
            range.selectNodeContents(node);
            for (const {left, top, right, bottom} of range.getClientRects()) {
                if (right > left) texts.push({left, top, right, bottom, of: node.data.trim()});
            }
        }
        return {page: place(page), said: page.textContent.replace(/\\s+/g, ' '), texts};
    });
    return {pictures, pages, width: document.documentElement.clientWidth};
}
"""
"""Script that returns the places of the texts and frames of all pictures and pages of results."""
_LOOSE = 1.0
"""Pixels by which a text may stand out: places are rounded, and letters lean."""


@frozen
class Seen:
    """Contents of a notebook as a browser displays them."""

    pictures: tuple[tuple[str, ...], ...]
    """Texts of each picture."""
    pages: tuple[str, ...]
    """Text of each page of a result."""
    faults: tuple[str, ...]

    @property
    def said(self) -> tuple[tuple[object, ...], ...]:
        """Pictures and pages together, which are equal in every program that shows them."""
        return self.pictures, self.pages


def seen(page: Page) -> Seen:
    """Measure what a page of the browser shows, folded as it comes and then unfolded."""
    closed = _seen(page.evaluate(_MEASURE))
    page.evaluate("() => document.querySelectorAll('details').forEach(one => { one.open = true })")
    unfolded = _seen(page.evaluate(_MEASURE))
    return evolve(closed, faults=(*closed.faults, *unfolded.faults))


def _seen(found: Any) -> Seen:
    width = found["width"]
    wrong = []
    for one in found["pictures"]:
        wrong += faults_of([_drawn(it) for it in one["drawn"]])
        wrong += _outside(one["page"], {"left": 0, "right": width})
    for one in found["pages"]:
        wrong += _outside(one["page"], {"left": 0, "right": width})
        areas = [_area(it) for it in one["texts"]]
        for at, area in enumerate(areas):
            wrong += _outside(one["texts"][at], one["page"])
            wrong += [f"{area} on {it}" for it in areas[at + 1 :] if _inner(area).meets(_inner(it))]
    texts = (
        tuple(it["area"]["of"] for it in one["drawn"] if it["text"]) for one in found["pictures"]
    )
    pages = tuple(one["said"] for one in found["pages"])
    return Seen(tuple(texts), pages, tuple(wrong))


def _drawn(found: dict[str, Any]) -> Drawn:
    frames = tuple(map(_area, found["around"]))
    area = _area(found["area"])
    return Drawn(_inner(area) if found["text"] else area, found["text"], frames)


def _area(found: dict[str, Any]) -> Area:
    return Area(*(found[name] for name in ("left", "top", "right", "bottom", "of")))


def _inner(area: Area) -> Area:
    """Return the place of letters, whose line is higher than they are."""
    third = (area.bottom - area.top) / 3
    return Area(
        area.left + _LOOSE, area.top + third, area.right - _LOOSE, area.bottom - third, area.of
    )


def _outside(area: dict[str, Any], of: dict[str, Any]) -> list[str]:
    if area["left"] >= of["left"] - _LOOSE and area["right"] <= of["right"] + _LOOSE:
        return []
    return [f"{area} is not in {of}"]
