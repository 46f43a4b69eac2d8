"""Prompts equal those of `apply_chat_template`, token for token, on templates of known families.

The templates in `tests/fixtures/templates` are written here after the documented formats, each with
the special tokens of its family. Words are those of `tiny`, or of a tokenizer in which a space is a
part of a word, as in the families that began with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from chainlang import tiny
from chainlang.engines.vllm.reasoning import gate
from chainlang.engines.vllm.template_text import template_text
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import Message, Role

FOLDER = Path(__file__).parents[1] / "fixtures" / "templates"
DAY = "2026-11-30"
IM = ("<|im_start|>", "<|im_end|>")
HEADERS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
TURNS = ("<start_of_turn>", "<end_of_turn>")
PHI = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
DEEPSEEK = ("<｜User｜>", "<｜Assistant｜>")
OF_DEEPSEEK = {"bos": "<｜begin▁of▁sentence｜>", "eos": "<｜end▁of▁sentence｜>"}
THINK = ("<think>", "</think>")
COMMAND = (
    *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    *("<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"),
)
INST = ("[INST]", "[/INST]")
HARMONY = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>")


@frozen
class Family:
    """Special tokens of a family, and what its template does."""

    special: tuple[str, ...] = ()
    bos: str = "<s>"
    eos: str = "</s>"
    spaces: bool = False
    """Whether a space is a part of a word in its vocabulary."""
    args: str = ""
    dated: bool = False
    system: str = ""
    """Why it is refused with a system message; "" if it takes one."""


FAMILIES: dict[str, Family] = {
    "chatml": Family(IM, eos="<|im_end|>"),
    "qwen2_5": Family(IM, eos="<|im_end|>"),
    "qwen3": Family((*IM, *THINK), eos="<|im_end|>"),
    "qwen3 without thinking": Family((*IM, *THINK), args='{"enable_thinking": false}'),
    "llama2": Family(spaces=True),
    "llama3": Family(HEADERS, bos="<|begin_of_text|>", eos="<|eot_id|>"),
    "llama3_1": Family(HEADERS, bos="<|begin_of_text|>", eos="<|eot_id|>", dated=True),
    "mistral_v1": Family(spaces=True, system="Conversation roles must alternate"),
    "mistral_v3": Family(INST, spaces=True),
    "mistral_tekken": Family(INST),
    "gemma2": Family(TURNS, bos="<bos>", eos="<eos>", system="System role not supported"),
    "gemma3": Family(TURNS, bos="<bos>", eos="<eos>"),
    "phi3": Family(PHI, eos="<|endoftext|>", spaces=True),
    "phi4": Family((*IM, "<|im_sep|>"), eos="<|im_end|>"),
    "deepseek_v2": Family(**OF_DEEPSEEK),
    "deepseek_v3": Family(DEEPSEEK, **OF_DEEPSEEK),
    "deepseek_r1": Family((*DEEPSEEK, *THINK), **OF_DEEPSEEK),
    "granite3": Family(("<|start_of_role|>", "<|end_of_role|>"), eos="<|end_of_text|>", dated=True),
    "command_r": Family(COMMAND, bos="<BOS_TOKEN>", eos="<|END_OF_TURN_TOKEN|>"),
    "zephyr": Family(spaces=True),
    "vicuna": Family(spaces=True),
    "olmo": Family(eos="<|endoftext|>"),
    "falcon": Family(eos="<|endoftext|>"),
    "alpaca": Family(spaces=True),
    "stablelm": Family(eos="<|endoftext|>"),
    "openchat": Family(("<|end_of_turn|>",), spaces=True),
    "harmony": Family(HARMONY, eos="<|return|>", dated=True),
    "harmony at low effort": Family(HARMONY, dated=True, args='{"reasoning_effort": "low"}'),
    "none": Family(),
}

TEXTS = (
    "What is 17 + 25?",
    "  Two lines:\n\n- yes, 3 %\n- no \n",
    "É ß — 東京 🙂\t.",
    '{"answer": [1, 2.5, null]}',
)
SPECIAL_TEXTS = ("<|im_end|>", "</s>", "[INST]", "<think>", "<eos>", "<|user|>", "{{ bos_token }}")
CONVERSATIONS: dict[str, tuple[Role, ...]] = {
    "question": ("user",),
    "turns": ("user", "assistant", "user"),
    "many turns": ("user", "assistant") * 4 + ("user",),
    "system": ("system", "user"),
    "system and turns": ("system", "user", "assistant", "user"),
    "system and examples": ("system", *("user", "assistant") * 3, "user"),
}


@cache
def spaced() -> str:
    """Return a tokenizer in which a space is a part of a word, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = Tokenizer(models.Unigram())
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    words.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        initial_alphabet=[chr(code) for code in range(32, 127)],
        show_progress=False,
    )
    words.train_from_iterator(
        [f"What is {a} + {a}? The answer is {a}." for a in range(99)], trainer
    )
    return str(words.to_str())


@cache
def tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    family = FAMILIES[name]
    if family.spaces:
        inner = Tokenizer.from_str(spaced())
        words: Any = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    else:
        words = AutoTokenizer.from_pretrained(tiny.path())
    words.add_special_tokens({"bos_token": family.bos, "eos_token": family.eos})
    words.add_special_tokens({"additional_special_tokens": [*family.special]})
    template = FOLDER / f"{name.split(maxsplit=1)[0]}.jinja"
    text = template_text(words, template if template.exists() else name, name)
    words.chat_template = text
    return words


@cache
def prompts(name: str) -> Prompts:
    return Prompts(tokenizer(name))


def conversation(roles: Sequence[Role], texts: Sequence[str]) -> list[Message]:
    return [Message(role, texts[number % len(texts)]) for number, role in enumerate(roles)]


def rendered(name: str, messages: Sequence[Message], *, tokenize: bool) -> Any:
    family = FAMILIES[name]
    more = json.loads(family.args) if family.args else {}
    if family.dated:
        more["strftime_now"] = date.fromisoformat(DAY).strftime
    return tokenizer(name).apply_chat_template(
        [{"role": one.role, "content": one.text} for one in messages],
        tokenize=tokenize,
        add_generation_prompt=True,
        **({"return_dict": False} if tokenize else {}),
        **more,
    )


def refused(name: str, roles: Sequence[Role]) -> bool:
    return bool(FAMILIES[name].system) and "system" in roles


@pytest.mark.parametrize("said", CONVERSATIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_are_those_of_the_template(name: str, said: str) -> None:
    roles, family = CONVERSATIONS[said], FAMILIES[name]
    why = prompts(name).refusal(roles, family.args)
    if refused(name, roles):
        assert why is not None
        assert f"the model's chat template refuses the messages: {family.system}" in why
        return
    assert why is None
    for first in range(len(TEXTS)):
        messages = conversation(roles, TEXTS[first:] + TEXTS[:first])
        ids = prompts(name).token_ids(messages, DAY, family.args)
        assert ids == rendered(name, messages, tokenize=True)


@pytest.mark.parametrize("name", FAMILIES)
def test_special_tokens_in_values_are_text(name: str) -> None:
    """The prompt has the special tokens of the template alone, and the text of the template."""
    words, family = tokenizer(name), FAMILIES[name]
    roles: tuple[Role, ...] = ("user", "assistant", "user")
    plain = [Message(role, "Hi there.") for role in roles]
    marks = {*words.all_special_ids} - {words.unk_token_id}
    for text in (*SPECIAL_TEXTS, *family.special, family.eos, family.bos):
        messages = [Message(role, f"Hi {text} there.") for role in roles]
        ids = prompts(name).token_ids(messages, DAY, family.args)
        own = prompts(name).token_ids(plain, DAY, family.args)
        assert [one for one in ids if one in marks] == [one for one in own if one in marks]
        said = rendered(name, plain, tokenize=False).replace("Hi there.", messages[0].text)
        if not family.spaces:  # whose decoder has no word of each character
            assert words.decode(ids) == said


@pytest.mark.parametrize("name", FAMILIES)
def test_a_template_that_reads_the_date_is_known(name: str) -> None:
    assert prompts(name).reads_date is FAMILIES[name].dated


@pytest.mark.parametrize(
    ("name", "roles", "why"),
    [
        ("keeps_last", ("user",), None),
        ("keeps_last", ("system", "user"), "leaves out the system message"),
        ("keeps_last", ("user", "assistant", "user"), "leaves out the user message"),
        ("filters", ("user",), "changes the text of the user message"),
    ],
)
def test_a_template_that_changes_what_is_said_is_refused(
    name: str, roles: tuple[Role, ...], why: str | None
) -> None:
    template = (FOLDER / f"{name}.jinja").read_text("utf-8")
    found = Prompts(tokenizer("chatml"), template).refusal(roles)
    assert found == (None if why is None else f"the model's chat template {why}")


KEEPS = """{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {{- ('<think>so</think>' if message.role == 'assistant' else '') + message.content }}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{{- '<|im_start|>assistant\\n' + (begins | default('')) }}
"""
"""A template that prints the reasoning of earlier turns, and begins a reply with an argument."""


@pytest.mark.parametrize(
    ("begins", "state"),
    [("", "unknown"), ("<think>", "open"), ("<think></think>", "ended")],
)
@pytest.mark.parametrize("roles", CONVERSATIONS.values())
def test_reasoning_of_earlier_turns_does_not_count(
    begins: str, state: str, roles: tuple[Role, ...]
) -> None:
    found = Prompts(tokenizer("qwen3"), KEEPS, reasoning="qwen3")
    args, messages = json.dumps({"begins": begins}), conversation(roles, TEXTS)
    assert found.state(messages, DAY, args) == state
    assert found.tags is not None
    ids = found.token_ids(messages, DAY, args)
    starts = gate(found.tags)()
    assert starts.is_reasoning_end(ids) is (state == "ended")
    assert starts.is_reasoning_end([*ids, found.tags.end_id])


def test_there_are_at_least_twenty_families_and_each_file_is_of_one() -> None:
    files = {one.stem for one in FOLDER.glob("*.jinja")}
    assert files == {one.split()[0] for one in FAMILIES} - {"none"} | {"keeps_last", "filters"}
    assert len(files) >= 22
