"""Pictures of chains: methods of every operand, and what a notebook shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainlang.api import recording

if TYPE_CHECKING:
    from chainlang.ir.declarations import Item
    from chainlang.ir.nodes import Expr


class Pictures:
    """Methods that draw a chain."""

    __slots__ = ()

    def drawing(self) -> tuple[Expr, tuple[Item, ...]]:
        """Return what is drawn: the body of the chain, and its declarations."""
        raise NotImplementedError

    def __format__(self, spec: str) -> str:
        """Return what a text shows of it: its notation, but in a function that is traced none."""
        recorder = recording.current()
        return super().__format__(spec) if recorder is None else recorder.text_of(self)

    def svg(self) -> str:
        """Return an SVG picture of the chain, with its definitions expanded in place.

        It needs nothing besides itself, is light or dark as the viewer prefers, and shows the
        notation of each part under the pointer.

        >>> from chainlang import E, M
        >>> (E("tiny", 3) >> M).svg().count("<rect")
        3
        """
        from chainlang.display.svg import svg

        return svg(*self.drawing())

    def mermaid(self) -> str:
        """Return a Mermaid flowchart of the chain, for documents whose viewer draws it.

        >>> from chainlang import E, M
        >>> print((E("tiny", 3) >> M).mermaid().splitlines()[2])
          n1["E  ×3  tiny"]
        """
        from chainlang.ir.declarations import Definition, File
        from chainlang.ir.render import mermaid

        body, items = self.drawing()
        return mermaid(File((*items, Definition("main", body))) if items else body)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the picture and the text.

        Mermaid is left out: JupyterLab would choose it, and draws long chains too small to read.
        """
        return {"text/plain": repr(self), "image/svg+xml": self.svg()}
