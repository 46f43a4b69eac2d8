"""HTML around pictures and texts, for front ends that show it in place."""

from __future__ import annotations

from html import escape

STYLE = """\
.chainlang-page{font:13px system-ui,sans-serif;line-height:1.45;max-width:64em}
.chainlang-page pre,.chainlang-page code,.chainlang-page .text{font:12px ui-monospace,Menlo,\
Consolas,'DejaVu Sans Mono',monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:0;\
background:none;color:inherit}
.chainlang-page .answer{font-size:15px;font-weight:600;margin:2px 0}
.chainlang-page .soft{opacity:.65}
.chainlang-page .bad{color:#e5534b}
.chainlang-page table{border-collapse:collapse;font-size:12px;margin:4px 0}
.chainlang-page td,.chainlang-page th{text-align:left!important;vertical-align:top;\
padding:2px 10px 2px 0;\
border:0;border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent)}
.chainlang-page td.number,.chainlang-page th.number{text-align:right!important}
.chainlang-page td.text{min-width:8ch}
.chainlang-page details{margin:2px 0}
.chainlang-page summary{cursor:pointer}
.chainlang-page .bar{display:inline-block;height:9px;border-radius:2px;background:#0969da;\
margin-right:6px}
.chainlang-page .arm{border-left:3px solid color-mix(in srgb,currentColor 25%,transparent);\
padding-left:10px;margin:6px 0}"""


def page(*parts: str) -> str:
    """Return HTML of some parts, with its style."""
    return "\n".join([f"<style>{STYLE}</style>", '<div class="chainlang-page">', *parts, "</div>"])


def shown(text: str) -> str:
    """Return a text for HTML, with pictures of characters that a browser would obey or drop."""
    kept = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    return escape(kept)


def preformatted(text: str) -> str:
    """Return lines of text as they stand."""
    return f"<pre>{shown(text)}</pre>"
