"""Parser, printer and formatter of the notation. Only this package uses lark."""

from chainlang.notation.parse import Parsed, parse, parse_file, source
from chainlang.notation.unparse import unparse, unparse_file

__all__ = ["Parsed", "parse", "parse_file", "source", "unparse", "unparse_file"]
