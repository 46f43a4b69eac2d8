"""HTML of a result: its answer, votes as bars, fields, candidates, stages, and what it cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, assert_never

from chainlang.display.page import page, preformatted, shown
from chainlang.protocol.messages import Usage
from chainlang.protocol.price import dollars
from chainlang.semantics.events import Event
from chainlang.semantics.record import Branched, Candidate, Flow, Record, TraceEntry
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.votes import plain_answer

_MOST = 50  # candidates, votes or arms that are shown
_LONG = 160  # characters of a field beyond which it is folded
_LONGEST = 4000  # characters of a text
_FOLDED = ("reasoning", "explanation")
_ELSEWHERE = ("votes", "final_answer", "answer", "confidence")
"""Fields that have a place of their own."""


def result_html(
    flow: Flow | None,
    failure: RowFailure | None,
    usage: Usage,
    events: Iterable[Event] = (),
    seconds: float | None = None,
) -> str:
    """Return the HTML of the outcome of a row."""
    whole = flow if flow is not None else failure
    parts = [] if whole is None else _flow(whole)
    return page(*parts, *_events(events), _foot(usage, seconds))


def _flow(flow: Flow) -> Iterator[str]:
    match flow:
        case Record():
            yield from _record(flow)
        case Branched(results, start):
            yield from _parts(start)
            for name, arm in results[:_MOST]:
                yield f'<div class="arm"><b>{shown(name)}</b>'
                yield from _flow(arm)
                yield "</div>"
            yield from _more(len(results))
        case RowFailure():
            yield f'<div class="bad">{preformatted(str(flow.error()))}</div>'
            yield from _trace(flow.trace)
        case _:
            assert_never(flow)


def _record(record: Record) -> Iterator[str]:
    if not record.candidates:
        yield '<div class="soft">no candidates</div>'
    else:
        first = record.candidates[0]
        yield f'<div class="answer text">{_value(first.answer)}</div>'
        yield from _votes(first.fields.get("votes"))
        yield from _fields(first)
        yield from _thoughts(first)
    if len(record.candidates) > 1:
        yield _fold(f"{len(record.candidates)} candidates", *_table(record.candidates))
    yield from _parts(record)
    yield from _trace(record.trace)


def _votes(votes: object) -> Iterator[str]:
    if not isinstance(votes, Mapping) or not votes:
        return
    most, total = max(votes.values()), sum(votes.values())
    yield "<table>"
    for key, count in sorted(votes.items(), key=lambda one: -one[1])[:_MOST]:
        bar = f'<span class="bar" style="width:{max(2, round(140 * count / most))}px"></span>'
        share = f'{count} <span class="soft">{count / total:.0%}</span>'
        yield f'<tr><td class="text">{_value(plain_answer(key))}</td><td>{bar}{share}</td></tr>'
    yield "</table>"
    yield from _more(len(votes))


def _fields(one: Candidate) -> Iterator[str]:
    """Yield the fields beside the answer; long ones, and reasons, are folded."""
    left = {
        name: value
        for name, value in one.fields.items()
        if name not in _ELSEWHERE and not (name == "synthesized_response" and value == one.answer)
    }
    if left == one.answer:  # the whole object is the answer
        return
    texts = {name: _value(value) for name, value in left.items()}
    short = [name for name in texts if name not in _FOLDED and len(texts[name]) <= _LONG]
    if short:
        yield "<table>"
        for name in short:
            yield f'<tr><td class="soft">{shown(name)}</td><td class="text">{texts[name]}</td></tr>'
        yield "</table>"
    for name, text in texts.items():
        if name not in short and text:
            yield _fold(shown(name), f'<div class="text">{text}</div>')


def _thoughts(one: Candidate) -> Iterator[str]:
    if one.reasoning:
        yield _fold("thoughts of the model", f'<div class="text">{_value(one.reasoning)}</div>')


def _table(candidates: Sequence[Candidate]) -> Iterator[str]:
    has_text = any(one.text and one.text != one.answer for one in candidates)
    yield '<table><tr><th class="number"></th><th>answer</th>'
    yield f'{"<th>reply</th>" * has_text}<th>ended by</th><th class="number">tokens</th></tr>'
    for at, one in enumerate(candidates[:_MOST]):
        yield f'<tr><td class="number soft">{at}</td><td class="text">{_value(one.answer)}'
        yield from _thoughts(one)
        yield "</td>"
        if has_text:
            yield f'<td class="text">{_value(one.text)}</td>'
        yield f'<td>{shown(one.finish)}</td><td class="number">{one.tokens or ""}</td></tr>'
    yield "</table>"
    yield from _more(len(candidates))


def _parts(record: Record) -> Iterator[str]:
    """Yield the named parts."""
    for name, candidates in list(record.history.items())[:_MOST]:
        yield _fold(f"<b>{shown(name)}</b> {_first(candidates)}", *_table(candidates))


def _trace(trace: Sequence[TraceEntry]) -> Iterator[str]:
    """Yield the candidates of all stages, folded; a single stage is the result itself."""
    if len(trace) < 2:
        return
    inner = [
        _fold(f"{shown(one.stage)} {_first(one.candidates)}", *_table(one.candidates))
        for one in trace[:_MOST]
    ]
    yield _fold(f"{len(trace)} stages", *inner, *_more(len(trace)))


def _first(candidates: Sequence[Candidate]) -> str:
    said = f"{len(candidates)} candidates" if len(candidates) != 1 else _cut(candidates[0].answer)
    return f'<span class="soft">{said}</span>'


def _cut(answer: Any, most: int = 80) -> str:
    text = " ".join(_text(answer).split())
    return shown(text if len(text) <= most else text[: most - 1] + "…")


def _events(events: Iterable[Event]) -> Iterator[str]:
    found = list(events)
    if found:
        rows = (
            f"<tr><td>{shown(one.kind)}</td><td>{_value(one.message)}</td></tr>" for one in found
        )
        title = f"{len(found)} event{'s' * (len(found) > 1)}"
        yield _fold(title, "<table>", *rows, "</table>")


def _foot(usage: Usage, seconds: float | None) -> str:
    said = [
        f"{usage.calls:,} call{'s' * (usage.calls != 1)}",
        f"{usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached)",
        f"{usage.output_tokens:,} output tokens",
    ]
    if usage.cost is not None:
        said.append(dollars(usage.cost))
    if seconds is not None:
        said.append(f"{seconds:.2f} s")
    return f'<div class="soft">{", ".join(said)}</div>'


def _fold(title: str, *inside: str) -> str:
    return "\n".join([f"<details><summary>{title}</summary>", *inside, "</details>"])


def _more(count: int) -> Iterator[str]:
    if count > _MOST:
        yield f'<div class="soft">… {count - _MOST:,} more</div>'


def _value(value: Any) -> str:
    text = _text(value)
    return shown(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _text(value: Any) -> str:
    """Return a value as text; JSON, where it is none."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # an object of the user
        return repr(value)
