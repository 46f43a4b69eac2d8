"""HTML of the summary of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.display.page import page, shown
from chainlang.protocol.messages import Usage
from chainlang.protocol.price import dollars

_NUMBERS = ("calls", "prompt_tokens", "cached_tokens", "output_tokens")


def summary_html(lines: Mapping[str, str], usages: Mapping[str, Usage]) -> str:
    """Return the HTML of named lines, those that are empty left out, and of usages by name."""
    rows = (
        f'<tr><td class="soft">{shown(name)}</td><td class="text">{shown(line)}</td></tr>'
        for name, line in lines.items()
        if line
    )
    return page("<table>", *rows, "</table>", "<table>", *_usages(usages), "</table>")


def _usages(usages: Mapping[str, Usage]) -> Iterator[str]:
    names = [name.replace("_", " ") for name in _NUMBERS]
    priced = any(one.cost is not None for one in usages.values())
    names += ["cost"] if priced else []
    heads = "".join(f'<th class="number">{name}</th>' for name in names)
    yield f"<tr><th></th>{heads}</tr>"
    for name, one in usages.items():
        counts = "".join(f'<td class="number">{getattr(one, key):,}</td>' for key in _NUMBERS)
        counts += f'<td class="number">{dollars(one.spent)}</td>' if priced else ""
        yield f"<tr><td>{shown(name)}</td>{counts}</tr>"
