"""Diagnostics for syntax errors.

The parser reports an unexpected token or character, and the tokens that it expected. Rules for
common mistakes are tried in order; then comes the general message.
"""

from __future__ import annotations

import re

from attrs import evolve
from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import visible
from chainlang.diagnostics.source import Source, Span
from chainlang.notation.characters import FOREIGN, foreign, in_field, instead, strange
from chainlang.notation.habits import habit
from chainlang.notation.scan import PAIRS, ending, unclosed

_OPERATORS = {"SHIFT", "AMP", "BAR"}
_OPERANDS = {"NAME", "COUNTED", "REF", "FUNCTION", "LPAR"}
_DECLARES = {"USE", "MODEL", "SERVER", "INPUT", "TYPE", "OP"}
_PART = "REF"  # expected only where a part of a chain can start
_AFTER = "AMP"  # expected only where one has ended


def diagnose(error: UnexpectedInput, source: Source) -> Diagnostic:
    """Return the diagnostic for a text that the grammar does not accept."""
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        found = _character(source, at, set(error.allowed or ()))
    elif isinstance(error, UnexpectedToken):
        at = error.token.start_pos or 0
        found = _token(source, error.token, set(error.expected))
    else:
        return Diagnostic("syntax", "invalid syntax", Span(source, 0, 0))
    meant = habit(source.text, at)
    return found if meant is None else evolve(found, hint=meant)


def _character(source: Source, at: int, expected: set[str]) -> Diagnostic:
    text = source.text
    char = text[at : at + 1]
    where = Span(source, at, at + 1)
    if char in "\"'":
        return _quote(source, at, expected)
    if char == ":":
        return _colon(source, at)
    if char in ")]}":
        return Diagnostic("unclosed", f"unmatched '{char}'", where, "delete it")
    if char in ("$", "@"):
        what = "a definition" if char == "$" else "a Python function"
        return Diagnostic(
            "syntax", f"expected the name of {what} after '{char}', without a space", where
        )
    other = foreign(source, at)
    if other and char == ";" and "COMMA" in expected and _AFTER not in expected:
        other = evolve(other, hint="write a comma")
    if not other or char in "!%;":  # which the name of a model may contain
        return in_field(source, at) or other or strange(where)
    return other


def _quote(source: Source, at: int, expected: set[str]) -> Diagnostic:
    text = source.text
    quotes = '"""' if text.startswith('"""', at) else text[at]
    closed = re.compile(
        r'"""(?:\\(?:.|\n)|[^\\])*?"""|"(?!"")(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'"
    ).match(text, at)
    if closed is None:
        end = text.find("\n", at)
        until = "text" if len(quotes) == 3 else "line"
        return Diagnostic(
            "unclosed",
            f"this string is not closed before the end of the {until}",
            Span(source, at, len(text) if end < 0 or len(quotes) == 3 else end),
            f"close it with {quotes}",
        )
    return _text_operand(Span(source, at, closed.end()), expected)


def _text_operand(where: Span, expected: set[str]) -> Diagnostic:
    if _PART in expected:
        hint = "inside a notation, stages are written without quotes"
        if re.match(r"\s*=", where.source.text[where.end :]):
            hint = "a label is written without quotes"
        return Diagnostic("syntax", "expected a stage, found a string", where, hint)
    message = f"unexpected string{instead(expected, where.source)}"
    engine = None
    if ending(r"\bmodel\s+\w+\s*=\s*", where.source.text[: where.start]):
        engine = f"write the engine too, as in vllm({where.text})"
    return Diagnostic("syntax", message, where, engine)


def _colon(source: Source, at: int) -> Diagnostic:
    before, after = source.text[:at].rstrip(), source.text[at + 1 :]
    where = Span(source, at, at + 1)
    count = ending(r"(?<![\w.])[0-9]+", before)
    name = ending(r"([$@])\w+", before)
    if name:
        where_set = "where it is defined" if name[1] == "$" else "in the bound chain or function"
        return Diagnostic(
            "syntax",
            f"'{name[0]}' takes no fields",
            where,
            f"count, model and temperature are set {where_set}; 3 * {name[0]} runs it three times",
        )
    part = re.match(r"\s*([$@]\w*|\()", after)
    if count and part:
        hint = f"to repeat a part, write {count[0]} * {part[1]}"
        return Diagnostic("syntax", "expected a stage type after a count and ':'", where, hint)
    if count and re.match(r"[A-Za-z_]", after) and len(before) == at:
        where = Span(source, count.start(), at + len(re.match(r":\w*", source.text[at:])[0]))  # type: ignore[index]
        return Diagnostic(
            "syntax", "unexpected stage in a list", where, "a list holds texts and numbers"
        )
    if count:
        return Diagnostic(
            "syntax",
            "unexpected space between a count and its stage type",
            where,
            f"write {count[0]}:E",
        )
    return Diagnostic(
        "syntax",
        "unexpected ':'",
        where,
        "a stage is count:type:model:temperature, as in 3:E:tiny:0.7",
    )


def _token(source: Source, token: Token, expected: set[str]) -> Diagnostic:
    if token.type == "$END":
        return _end(source, expected)
    start = token.start_pos or 0
    where = Span(source, start, token.end_pos or start)
    before = source.text[:start].rstrip()
    kind = "NAME" if token.type in _DECLARES else token.type
    if kind in ("RPAR", "RSQB", "RBRACE"):
        return _closing(source, token, where, expected)
    if kind == "STRING":
        return _text_operand(where, expected)
    if kind in ("STAR", "COMMA", "QUESTION", "REF", "FUNCTION") and start == len(before):
        within = re.match(r"[^\s)}\]]", source.text[where.end :]) or kind == "QUESTION"
        quoted = in_field(source, start) if within else None
        if quoted:
            return quoted
    if kind in _OPERATORS | {"STAR"}:
        return _operator(token, where, before)
    if kind == "LABEL":
        return _label(source, token, where, expected)
    if kind in ("FIELD", "COLON") and not expected & {"LBRACE"}:
        return _colon(source, start)
    return (
        _mistaken(source, where, before, expected, kind)
        or _declared(source, where, expected, kind)
        or _missing(where, before, expected, kind)
        or Diagnostic(
            "syntax", f"unexpected '{visible(str(token))}'{instead(expected, source)}", where
        )
    )


def _mistaken(
    source: Source, where: Span, before: str, expected: set[str], kind: str
) -> Diagnostic | None:
    """Return the diagnostic for a habit from another language, or a common mistake in this one."""
    text = where.text
    pair = source.text[where.start : where.start + 2]
    if pair in FOREIGN:
        span = Span(source, where.start, where.start + 2)
        hint = "write -> before the type" if "ARROW" in expected else FOREIGN[pair]
        return Diagnostic("syntax", f"unexpected '{pair}'", span, hint)
    if text in ("and", "or") and _AFTER in expected:
        hint = "write & (join)" if text == "and" else "write | (branch)"
        return Diagnostic("syntax", f"unknown operator '{text}'", where, hint)
    if before.endswith(":") and kind in ("NAME", "INT", "NUMBER", "COUNTED"):
        return Diagnostic(
            "syntax",
            "unexpected space before a field",
            Span(source, len(before), where.start),
            "write a stage in one word, as in 3:E:tiny:0.7, and options as name=value",
        )
    digits = ending(r"[0-9]+", source.text[: where.start])
    if digits and "STAR" in expected:
        whole = re.compile(r"[\w.]*").match(source.text, digits.start())
        assert whole is not None  # it has the digits
        span = Span(source, digits.start(), whole.end())
        return Diagnostic(
            "syntax",
            f"'{visible(whole[0])}' is not a whole number",
            span,
            "a count is written in digits, as in 3:E or 3 * (E >> M)",
        )
    if kind in ("LBRACE", "LSQB") and _PART in expected:
        hint = "group parts with ( ), and write >> & | between them"
        if ending(r"(?:^|\n)[ \t]*input\s*=", before):
            hint = "write input { ... }, without '='"
        return Diagnostic("syntax", f"unexpected '{text}': expected a stage", where, hint)
    if kind == "LSQB" and "RSQB" in expected:
        hint = "a list holds texts and numbers"
        return Diagnostic("syntax", "unexpected list in a list", where, hint)
    if kind in ("NAME", "INT") and {"STRING", "RBRACE"} <= expected:
        id_too = f', or "#{text}" for the token with that id' if kind == "INT" else ""
        hint = f'write "{text}": ...{id_too}'
        return Diagnostic("syntax", "expected a key in quotes", where, hint)
    if kind == "EQUALS" or text == "=":
        return _equals(source, where, before, expected)
    return None


def _declared(source: Source, where: Span, expected: set[str], kind: str) -> Diagnostic | None:
    """Return the diagnostic for a declaration or setting in the wrong form."""
    text = visible(where.text)
    here = f"unexpected '{text}'{instead(expected, source)}"
    if expected == {"STRING"} and kind == "NAME":
        whole = re.compile(r"[\w./@+~:-]+").match(source.text, where.start)
        assert whole is not None  # it has the name
        return Diagnostic("syntax", here, where, f'quote it: "{visible(whole[0])}"')
    if kind == "NAME" and "COMMA" in expected and _AFTER not in expected:
        return Diagnostic("syntax", here, where, "fields are separated by commas")
    if kind in _OPERANDS and "USE" in expected and _AFTER not in expected:
        if re.match(r"\s*:?=|:\s", source.text[where.end :]):
            return Diagnostic("syntax", here, where, f"write {text} = ...")
        if text in ("import", "def", "from", "class"):
            return Diagnostic("syntax", here, where, "a chain file is data: it holds no Python")
        message = "expected a definition, found a part of a chain"
        return Diagnostic("syntax", message, where, f"name it: main = {text} ...")
    if kind == "NAME" and "LABEL" in expected and _AFTER not in expected:
        return Diagnostic("syntax", here, where, f"write {text} = ...")
    if kind == "COMMA" and "LABEL" in expected and _AFTER not in expected:
        return Diagnostic("syntax", here, where, "settings are separated by spaces or new lines")
    if kind in ("INT", "NUMBER") and "RANGE" in expected:
        return Diagnostic("syntax", here, where, "bounds are written 1..5, 1.. or ..5")
    if kind == "LPAR" and ending(r"\benv\s*", source.text[: where.start]):
        hint = "only api_key and base_url of a model come from the environment"
        return Diagnostic("syntax", "unexpected env(...)", where, hint)
    return None


def _missing(where: Span, before: str, expected: set[str], kind: str) -> Diagnostic | None:
    """Return the diagnostic for a missing operator or separator between two parts."""
    text = visible(where.text)
    if kind in ("INT", "NUMBER") and _PART in expected:
        return Diagnostic(
            "syntax",
            f"unexpected number {text}: expected a stage",
            where,
            "write the count of a stage as 3:E, that of a part as 3 * (E >> M)",
        )
    if _AFTER not in expected:
        return None
    operators = "write >> (sequence), & (join) or | (branch) between two parts"
    name = ending(r"\$\w+", before)
    if kind == "LPAR" and name:
        hint = "a definition has no parameters: write the options in the definition itself"
        return Diagnostic("syntax", f"'{name[0]}' takes no arguments", where, hint)
    if kind in _OPERANDS:
        return Diagnostic("syntax", f"missing operator before '{text}'", where, operators)
    if kind == "COMMA":
        message = f"unexpected ','{instead(expected, where.source)}"
        return Diagnostic("syntax", message, where, operators)
    return None


def _equals(source: Source, where: Span, before: str, expected: set[str]) -> Diagnostic:
    label = ending(r"([$@]?)([A-Za-z_]\w*)", before)
    if label and label[1]:
        span = Span(source, label.start(), where.start)
        hint = f"write {label[2]} = ..."
        return Diagnostic("syntax", f"unexpected '{label[1]}' before a label", span, hint)
    if label:
        named = Span(source, label.start(), where.end)
        return _label(source, Token("LABEL", label[0]), named, expected | {_PART})
    hint = "`name = part` names a part, `name=value` gives an option"
    if expected == {"COLON"}:
        hint = "a table is written with ':', as in {\"key\": chain}"
    return Diagnostic("syntax", f"unexpected '='{instead(expected, source)}", where, hint)


def _closing(source: Source, token: Token, where: Span, expected: set[str]) -> Diagnostic:
    opened = unclosed(source.text, where.start)
    if opened is None:
        return Diagnostic("unclosed", f"unmatched '{token}'", where, "delete it")
    if PAIRS[opened.text] != str(token):
        return Diagnostic(
            "unclosed",
            f"'{token}' does not match the '{opened.text}' that is open",
            where,
            f"write '{PAIRS[opened.text]}'",
        )
    before = source.text[: where.start].rstrip()
    if before.endswith(opened.text) and _PART in expected:
        return Diagnostic(
            "empty", "empty parentheses: expected a chain", Span(source, opened.start, where.end)
        )
    if ending(r"(>>|[&|*])", before):
        at = Span(source, where.start, where.end)
        return Diagnostic("syntax", f"missing operand before '{token}'", at)
    label = ending(r"([A-Za-z_]\w*)[ \t]*=", before)
    if label:
        return Diagnostic("syntax", f"missing value after '{label[1]} ='", where)
    return Diagnostic("syntax", f"unexpected '{token}'{instead(expected, source)}", where)


def _operator(token: Token, where: Span, before: str) -> Diagnostic:
    text = str(token)
    doubled = text * 2
    if before == "" or before.endswith(("(", "=", "{", ",")):
        return Diagnostic(
            "syntax",
            f"missing operand before '{text}'",
            where,
            "an operator stands between two parts",
        )
    if doubled in FOREIGN and before.endswith(text) and where.start == len(before):
        both = Span(where.source, where.start - 1, where.end)
        return Diagnostic("syntax", f"unknown operator '{doubled}'", both, FOREIGN[doubled])
    if ending(r"(>>|[&|*])", before):
        return Diagnostic("syntax", f"missing operand before '{text}'", where)
    if text == "*":
        return Diagnostic(
            "syntax",
            "expected a count before '*'",
            where,
            "'*' repeats the part after it: write 3 * (E >> M)",
        )
    return Diagnostic("syntax", f"unexpected '{text}'", where)


def _label(source: Source, token: Token, where: Span, expected: set[str]) -> Diagnostic:
    name = token.rstrip("= \t")
    if source.text[: where.start].rstrip().endswith((">>", "*")):
        return Diagnostic(
            "syntax",
            "unexpected label inside a sequence",
            where,
            f"put the part in parentheses: a >> ({name} = b) >> c",
        )
    if _PART in expected:
        message = "unexpected label at the top of a definition or an argument"
        if source.text[: where.start].rstrip().endswith("="):
            message = "unexpected label after '='"
        return Diagnostic("syntax", message, where, f"put it in parentheses: ({name} = ...)")
    if _AFTER in expected:
        return Diagnostic(
            "syntax",
            f"missing operator before '{name} ='",
            where,
            "in one expression, parts are separated by >> & |; definitions belong in a file",
        )
    message = f"unexpected '{name} ='{instead(expected, source)}"
    return Diagnostic("syntax", message, where)


def _end(source: Source, expected: set[str]) -> Diagnostic:
    text = source.text
    end = len(text.rstrip())
    opened = unclosed(text, len(text))
    if opened is not None:
        return Diagnostic(
            "unclosed",
            f"this '{opened.text}' is never closed",
            Span(source, opened.start, opened.end),
            f"close it with '{PAIRS[opened.text]}'",
        )
    where = Span(source, end, end)
    operator = ending(r"(>>|[&|*])", text[:end])
    if operator:
        return Diagnostic("syntax", f"missing operand after '{operator[0]}'", where)
    if not text.strip():
        return Diagnostic(
            "empty", "empty text: expected a chain", where, "the shortest chain is one stage: E"
        )
    label = ending(r"([A-Za-z_]\w*)[ \t]*=", text[:end])
    if label:
        return Diagnostic("syntax", f"missing value after '{label[1]} ='", where)
    number = ending(r"[0-9]+", text[:end])
    if "STAR" in expected and number:
        return Diagnostic(
            "syntax",
            "expected a stage type after the count",
            Span(source, number.start(), end),
            "write the count of a stage as 3:E, that of a part as 3 * (E >> M)",
        )
    hint = None
    if re.match(r"\s*op\b", text):
        hint = 'an op ends with its settings: { user = "..." }'
    return Diagnostic("syntax", f"unexpected end{instead(expected, source)}", where, hint)
