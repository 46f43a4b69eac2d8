"""What the mutations start from: good inputs that use all of the language, and its small pieces."""

from __future__ import annotations

import json
import warnings
from typing import Any

from chainlang import chain, load

NOTATION = (
    "E",
    "3:E:llama:0.7 >> 1:J:qwen:0",
    "1:MC::0.0",
    "3:E::0.7 >> M",
    "3:E:openai:gpt-4o:0.7 >> 2:V:llama3:8b >> J",
    "E:meta-llama/Llama-3.1-8B-Instruct:0",
    'E:"foo-v1:0":0.7',
    'E("llama", 3, 0.7, max_tokens=64)',
    '3:E:tiny:0.7(max_tokens=64, top_p=0.9, stop="\\n")',
    'E(stop=["a", \'b\', """c\nd"""], fresh=true, need=1)',
    "(fr = a & es = b) >> J",
    "(fr = 3:E >> V & es = E:b) >> J",
    "fr = E >> V | es = E:b",
    "(E | V) >> J >> (M | S)",
    "3 * (2:E >> V) & 2 * 3 * E",
    '$a >> @clean & $b | @f >> M(by="x", normalize="number")',
    "fallback(E:big, retry(E:small, times=3), timeout(E, seconds=1.5))",
    'route(by="topic", arms={"math": E:a >> M, "code": (x = E)}, default=E:c)',
    "loop(E >> V, until=\"verdict == 'correct'\", max=3)",
    'each(E, over="documents", as="document")',
    'join(fr=E("a"), es=2 * E) >> branch(E, V) & ref("panel") | function("clean")',
    "E(top_k=5, min_p=.5, presence_penalty=-1e0, frequency_penalty=+1)  # a comment",
    "E >>\n  # in between\n  (J:a & J:b)\t>> S",
    "E:m.n@v1+x~y-z:1e-1",
    "E:'it':2. >> J:\"\\u00e9\\x41\\U0001F600\":.5",
    "3:E >> (J & (V >> (M | (S & ((E))))))",
)

FILES = (
    "main = E",
    "panel = 3:E:tiny:0.7\nmain = $panel >> M",
    "# notes\na = (x = E >> V & y = E) >> J  # end\n\n\nmain =\n  $a\n  & $a\n  & E:m\n",
    """\
model small = vllm("Qwen/Qwen2.5-0.5B-Instruct", max_model_len=4096)
model big   = openai("gpt-4o-mini", base_url="http://127.0.0.1:8000/v1",
                     api_key=env("OPENAI_API_KEY"),)

input { text: str, lang: str = "en", query = "{{ text }}" }
type Review {
  sentiment: "pos" | "neg" | "neu",  # what it is
  score: int(1..5), quote: str?, tags: list[str],
}

op classify : generate -> Review {
  model = small  temperature = 0.2  max_tokens = 200
  system = "You classify product reviews."
  user   = \"""Review ({{ lang }}):
{{ text }}\"""
}

panel = 3:classify
main  = $panel >> M(by="sentiment")
""",
    """\
op a : map -> list[{ x: int(..5)?, y: float(-1.5..) }] | "no" { user = "{{ q }}" stop = ["a"] }
main = E >> a""",
    "op pick : fold { user = 'x' fresh = false need = 2 top_p = 0.5 }\nmain = E >> pick(need=1)",
    "input {}\ntype T {}\ntype U { t: T, u: list[T?] = [1, 2.5, -3, true, null] }\nmain = fake",
    'model f = fake("x")\nmain = E:f >> route(by="k", arms={"a": $b, "b": $c})\nb = E\nc = $b >> J',
    'use "common.chain"\nmain = $x',
    "a = $b & $b\nb = $c & $c\nc = E\nmain = $a",
)

PIPELINES = (
    """name: report
version: 1.0.0
description: "A report: short"
context: {timeout: 60, max_retries: 2, checkpoint_strategy: adaptive, audience: experts}
inputs:
  topic: {type: string, default: bees, choices: [bees, ants]}
  depth: int(1..5)
actions: model
steps:
  - id: plan
    action: plan
    parameters: {about: "{{ topic }} for {{ context.audience }}", n: [1, 2.5, true, ~, {a: b}]}
    condition: "{{ depth > 1 and topic != 'x' }}"
    on_failure: skip
    timeout: 30
  - id: web-search
    action: search
    dependencies: [plan]
    for_each: "{{ steps.plan.queries }}"
    item: query
    parameters: {query: "{{ query }} {{ index }}"}
    on_failure: retry
    max_retries: 1
    backoff: 0.5
  - id: improve
    until: "{{ steps.judge.output == 'good' or round > 2 }}"
    max_iterations: 3
    steps:
      - {id: write, action: generate, parameters: {prompt: "{{ steps.web-search.hits }}"}}
      - id: judge
        action: analyze
        system: Be strict.
        temperature: 0.5
        max_tokens: 99
        parameters:
          text: |
            {% if steps.write.output %}{{ steps.write.output }}{% endif %}
    outputs: {text: "{{ steps.write.output }}"}
  - {id: more, action: generate, while: round < 2, parameters: {prompt: "<{{ steps.more.output }}"}}
outputs:
  text: "{{ steps.improve.text }}"
  all: ["{{ steps.web-search.output }}", {'status': "{{ steps.plan.status }}"}]
""",
    """name: hello
steps:
  - id: step1
    action: generate
    parameters:
      prompt: "Hello, world!"
      style: <AUTO>choose: short, medium or long</AUTO>
  - id: step2
    action: transform
    parameters:
      input: "{{ steps.step1.output }}"
      transformation: uppercase
    dependencies: [step1]
""",
    """name: p
steps:
- {id: a, action: generate, parameters: {prompt: 'it''s {{ steps["b"].output | upper }}'}}
- {id: b, action: transform, on_failure: continue, parameters: {input: >-
    folded
    text, transformation: "{{ how }}"}}
""",
)
TEMPLATES = (
    "{{ query }}",
    "{% for one in candidates %}{{ loop.index }}: {{ one.answer | indent(width=1) }}{% endfor %}",
    "{% set a = query | default('x') %}{% if a == 'y' and not b is defined %}{{ a[0] }}{% endif %}",
    "{% raw %}{{ a }}{% endraw %}{# no #}{{ query | replace('a', 'b') | truncate(5) }}",
    "{{ [1, 2.5, none] | map('int') | list | tojson }}{{ {'a': query}.a ~ 2 ** 3 }}",
    "{{ namespace(a=1).a }}{% with a = query %}{{ a if a else 'b' }}{% endwith %}",
    # Once these ended `check` with a traceback, or took minutes.
    "{{ query|indent(width=1,width=2) }}",
    "{% for a in query %}" * 25 + "{{ a }}" + "{% endfor %}" * 25,
    "{% if query %}" * 150 + "a" + "{% endif %}" * 150,
    "{{ " + "(" * 150 + "query" + ")" * 150 + " }}",
    "{{ query ~ " + "9" * 5000 + " }}",
    "{{ [[1]]|map('rounds of a loop', -1000000000000000)|list }}",
    "{% for i in range(99999) %}{% set y = query|title %}{% endfor %}",
    "{{ query }}" * 300,
)
CONDITIONS = (
    "verdict == 'correct'",
    "score > 3 and not answer in ['a', 'b'] or round >= 1",
    "answer | default('x') | trim | lower == \"yes\"",
    "candidates | map(attribute='answer') | list | length > 1",
    "x.candidates[0].answer if x is defined else none",
    "1e400 > 1",
    "9" * 1900 + " > 1",
    "(" * 20 + "answer" + ")" * 20 + " == 1",
    "[" * 20 + "1" + "]" * 20,
    "('f' * 4000000)|int(0,16)",
)

_WORDS = """
    E J M S V UE MC classify x = main = a = b= $a $panel @f >> & | * ( ) [ ] { } , : ; = == -> ?
    .. 1..5 ..5 1.. -1.5..2 0 1 2 3: 3:E 0:E 00:E 10001:E 999999999:E :m :0.7 :9 :-1 :1e400
    :hot : :: :m: :"" 0.7 1e5 1e999 -0 +1 .5 5. 0x10 1_000 true false null None "" '' "a"
    'b' "\\n" "\\q" "\\u12" \\"\"\" "unclosed ' # #c use model input type op main list str int
    float bool vllm openai fake env generate map fold user system fallback(a,b) retry(E)
    route( loop( each( join( branch( ref( function( arms= by= until= class if lambda as in
    == || && ** // << <- => |> ! ~ ^ % + - . .. ... \\ ` @ $ € “ ” × → é ü 漢 😀 /* */ {{ }}
    __class__ __init__ {"a":E} [1] {} [] () (E) (x=E) n
"""
TOKENS = (
    *_WORDS.split(),
    '"""',
    "\n",
    "\n\n",
    "\t",
    "\r",
    "\r\n",
    "\0",
    "\x0b",
    "\x0c",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xa0",
    "\u00ad",
    "\u0301",
    "\u200b",
    "\u200d",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u3000",
    "\ud800",
    "\udfff",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "٣",
    "²",
    "Ⅷ",
    "ﬁ",
    "ſ",
    "İ",
    " ",
    "    ",
    "9" * 20,
    "9" * 5000,
    "a" * 300,
    "E >> " * 50,
    "(" * 60,
    ")" * 60,
    "[" * 60,
    "{" * 60,
    "2 * " * 40,
    "- " * 20,
    '"' * 9,
    "'" * 7,
)

# Names and values that a document may hold, in the right places and in the wrong ones.
JSON_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    10**4,
    10**9,
    10**30,
    0.0,
    -0.0,
    0.5,
    2.5,
    10**400,
    -(10**4000),
    1e308,
    1e-320,
    "",
    "E",
    "a b",
    "class",
    "main",
    "tiny",
    "x\0y",
    "\ud800",
    "Stage",
    "Then",
    "Nope",
    [],
    {},
    [[]],
    [1, 2],
    [None],
    {"node": "Stage", "name": "E"},
    {"node": "Ref", "name": "a"},
    {"node": "Function", "name": "f"},
    {"node": "Named", "name": "x", "body": {"node": "Stage", "name": "E"}},
    {"node": "Repeat", "count": 2, "body": {"node": "Stage", "name": "J"}},
    {"node": "Option", "name": "need", "value": 1},
    {"node": "Use", "path": "../x"},
    {"node": "TypeName", "name": "str"},
    {"node": "Default", "value": None},
    {"node": "File", "items": []},
    {"node": "Environment", "name": "HOME"},
    {"node": "Table", "entries": []},
    {"node": "Item"},
    {"node": "Node"},
    {"node": "Setting", "name": "user", "value": ["a", ["b"]]},
)
JSON_TEXTS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-0",
    "9" * 5000,
    '"\\ud800"',
    "[" * 500,
    "\ufeff",
)
JSON_KEYS = (
    "node",
    "name",
    "count",
    "model",
    "temperature",
    "options",
    "parts",
    "body",
    "value",
    "items",
    "entries",
    "span",
    "__class__",
    "",
    "low",
    "high",
    "settings",
    "fields",
    "path",
    "kind",
    "chainlang",
    "chain",
)


def documents() -> tuple[Any, ...]:
    """Return the chains of the corpus that make sense, as the values of their JSON documents."""
    from chainlang import ChainlangError

    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for read, texts in ((chain, NOTATION), (lambda text: load(text=text), FILES)):
            for text in texts:
                try:
                    found.append(json.loads(read(text).to_json()))  # type: ignore[operator]
                except ChainlangError:
                    continue
    return tuple(found)
