"""Text <-> nodes. The only place that knows the parser; it knows no type of stage by name."""

from chainlang.notation.parse import Parsed, parse, parse_file, source
from chainlang.notation.unparse import unparse, unparse_file

__all__ = ["Parsed", "parse", "parse_file", "source", "unparse", "unparse_file"]
