"""Chains whose pictures are kept, by name: the text of an expression, or of a file."""

from __future__ import annotations

import warnings

from chainlang import Chain, ChainlangWarning, load

_FILE = """
input { text: str, docs: list[str], topic: str }
op mood : generate -> { answer: "good" | "bad" } { user = "{{ text }}" }
panel = 3:mood:tiny:0.7 & mood:qwen
checked = retry($panel >> M, times=2)
"""

EXPRESSIONS = {
    "stage": "E",
    "stage_of_everything": '3:E:tiny:0.7(max_tokens=64, top_p=0.9, stop="\\n")',
    "vote": "9:E:tiny:0.7 >> M(normalize='number')",
    "judge": "3:E:llama:0.7 >> J:qwen:0",
    "verify": "3:E >> V >> M",
    "select": "3:E >> S",
    "long_model": '2:E:"organisation/a-model-with-a-name-that-goes-on-and-on-7B-Instruct":0.7 >> M',
    "wide_model": '3:E:"模型/通义千问" >> M',
    "many_options": "E(max_tokens=64, top_p=0.9, top_k=40, min_p=0.1, presence_penalty=0.5) >> M",
    "join": "(E:a & E:b & E:c) >> J",
    "join_of_sequences": "(E:a >> V & E:b) >> M",
    "join_of_joins": "((E:a & E:b) >> J & (E:c & E:d) >> S) >> J",
    "wide_join": " & ".join(f"E:m{at}" for at in range(12)),
    "branch": "E:a | E:b",
    "named_branch": "(a = E | b = 3:E >> M)",
    "branch_then": "(a = E | b = E:qwen >> V) >> J >> M",
    "branch_in_branch": "(E:a | (E:b | E:c) >> V) >> J",
    "branch_in_join": "((E:a | E:b) & E:c) >> J",
    "repeat": "3 * (E >> V) >> M",
    "repeat_of_join": "2 * (E:a & E:b) >> M",
    "label": "(fr = E >> V) >> J",
    "label_of_stage": "(fr = E & es = E:b) >> J",
    "labels_in_labels": "outer = (inner = E >> V) >> J",
    "fallback": "fallback(E:large, E:small >> V, 3:E:tiny >> M)",
    "retry": 'retry(E >> V, times=3, on="reply")',
    "timeout": "timeout(E >> V, seconds=30) >> M",
    "timeout_in_fallback": "fallback(timeout(E:large, seconds=3), E:small) >> J",
    "loop": "loop(E >> V, until=\"verdict == 'correct'\", max=3)",
    "loop_of_loop": "loop(E >> loop(V, until=\"verdict == 'x'\"), until=\"verdict == 'y'\", max=2)",
    "long_condition": "loop(E >> V, until=\"verdict == 'correct' and explanation != '' and "
    "explanation != 'none at all'\", max=3)",
    "route": 'E >> route(by="answer", arms={"math": E:a >> V, "code": E:coder}, default=J)',
    "route_of_labels": '(fr = E & E:b) >> route(by="fr.answer", arms={"yes": E, "no": V >> M})',
    "route_after_join_in_loop": 'loop((fr = E:a & E:b) >> route(by="answer", arms={"math": E >> V, '
    '"code": E:coder}, default=J), until="answer == \'x\'", max=3) >> M',
    "stages_30": " >> ".join(["E", *(f"V:model-{at}" for at in range(29))]),
    "joins_in_a_row": " >> ".join(["(E:a & E:b & E:c)"] * 8 + ["J"]),
    "long_inside_join": f"({' >> '.join(['E', *['V'] * 29])} & E) >> J",
}
FILES = {
    "file": _FILE + "main = fallback(timeout($checked, seconds=3), mood) >> J",
    "file_with_each": _FILE + 'main = each(E >> V, over="docs", item="doc") >> M',
    "file_with_everything": _FILE
    + 'main = (a = $checked & b = 2 * (E >> V)) >> route(by="topic", arms={"x": $panel >> M, '
    '"y": loop(E >> V, until="verdict == \'correct\'", max=2)}, default=J) >> J >> V >> M',
    "file_twice": _FILE + "main = ($panel & 2 * $panel) >> M",
}


def chains() -> dict[str, Chain]:
    """Return the chains by name."""
    files = {name: f"{_FILE}main = ({text})" for name, text in EXPRESSIONS.items()} | FILES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)  # the chains are drawn, and not run
        made = {name: load(text=text) for name, text in files.items()}
    return {name: Chain(one.body) if name in EXPRESSIONS else one for name, one in made.items()}
