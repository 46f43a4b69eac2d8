"""Marks: what stands for a value in the texts of a traced function, until they become templates.

A mark holds all printable ASCII characters and white space, so that a text method which would have
changed the value changes the mark: it is then found to be damaged, and the text is refused.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from itertools import count

from attrs import define, field

from chainlang.tracer.refusal import refuse
from chainlang.tracer.values import Labels, Value

_OPEN, _CLOSE = "\ue0a7", "\ue0a8"
_SHUFFLED = "".join(string.printable[index * 37 % 100] for index in range(100))
"""All printable characters, in an order in which no word stands."""
_WORD = "aTracedValue"
"""Word in each mark that escapes and changes of case leave alone."""
_INSIDE = _WORD.join(["", _SHUFFLED, _SHUFFLED, _SHUFFLED, ""])
_NUMBERS = count()
"""Numbers of marks, which no two traces share."""
_MARK = re.compile(f"({_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE})")
_WHOLE = re.compile(f"{_OPEN} \n \n[0-9]+ {re.escape(_INSIDE)} {_CLOSE}")
_REPR = re.compile(r"<traced [^>]*>")
_BRACES = re.compile(r"\{(?=[{%#]|\Z)")


@define
class Marks:
    """The values in the texts of one trace."""

    values: dict[str, Value] = field(factory=dict)
    """Values by their marks."""

    def of(self, value: Value) -> str:
        """Return the mark of a value, for a text."""
        mark = f"{_OPEN} \n \n{next(_NUMBERS)} {_INSIDE} {_CLOSE}"
        self.values[mark] = value
        return mark

    def are_in(self, text: str) -> bool:
        """Return whether a text has a mark, or a part of one."""
        return _OPEN in text or _CLOSE in text or _WORD.lower() in text.lower()

    def values_in(self, text: str) -> Iterator[Value]:
        """Yield the values in a text. Raises what `template` does."""
        for piece in self._pieces(text):
            if isinstance(piece, Value):
                yield piece

    def template(self, text: str, labels: Labels) -> str:
        """Return a text as a template that reads the values in it.

        Braces of the text's own stay text. Refuses a text that was cut or changed after a value was
        put into it, or that has the repr of a value.
        """
        return "".join(
            f"{{{{ {piece._written(labels)} }}}}" if isinstance(piece, Value) else _plain(piece)
            for piece in self._pieces(text)
        )

    def _pieces(self, text: str) -> Iterator[Value | str]:
        for piece in _MARK.split(text):
            if piece in self.values:
                yield self.values[piece]
                continue
            if _WHOLE.fullmatch(piece):
                refuse(
                    "this text has a value of another trace",
                    "pass it to the function as an argument",
                )
            if self.are_in(piece):
                refuse(
                    "this text was cut or changed after a value was put into it,"
                    " and the value is not known while the function is traced",
                    'put values into the text at the end: f"{x}"\n'
                    'a template changes them: op("f", user="{{ text | upper }}")(text=x)',
                )
            if found := _REPR.search(piece):
                refuse(
                    f"this text has the repr of a value, {found[0]}",
                    'write f"{x}" without !r, and no list or dict of values',
                )
            if piece:
                yield piece


def _plain(text: str) -> str:
    """Return a text as a template that renders it.

    >>> _plain("{{ x }} and {y}")
    "{{ '{' }}{ x }} and {y}"
    """
    return _BRACES.sub("{{ '{' }}", text)
