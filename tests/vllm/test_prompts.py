"""Token ids are built so that no text is ever read as a special token."""

from __future__ import annotations

import json
from datetime import date
from typing import Any, Literal

import pytest
from hypothesis import strategies as st

from chainlang.engines.vllm.chat_template import PromptError
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import Message
from tests.laws import law
from tests.vllm.models import CHATML, SPECIAL, tokenizer

Role = Literal["system", "user", "assistant"]
TOKENIZER = tokenizer()
PROMPTS = Prompts(TOKENIZER)
JSON_PROMPTS = Prompts(
    tokenizer(texts=[f'{{"reasoning": "{n} is", "answer": [{n}, true]}}' for n in range(500)])
)
MARKS = set(TOKENIZER.convert_tokens_to_ids(list(SPECIAL)))

# Text with special tokens in it, whole and in parts, and anything else that is text.
nasty = st.lists(
    st.sampled_from([*SPECIAL, "<|im_", "end|>", "<|", "{{ x }}", "\x00", "\n"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
).map("".join)


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


@law(nasty, share=2)
def test_no_text_has_a_special_token_and_none_is_changed(text: str) -> None:
    ids = PROMPTS.text_ids(text)
    assert MARKS.isdisjoint(ids)
    assert TOKENIZER.decode(ids) == text


@law(
    st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), nasty), min_size=1),
    share=4,
)
def test_special_tokens_are_those_of_the_template(said: list[tuple[Role, str]]) -> None:
    ids = PROMPTS.token_ids([Message(role, text) for role, text in said])
    start, end = TOKENIZER.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert [one for one in ids if one in MARKS] == [start, end] * len(said) + [start]
    body = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in said)
    assert TOKENIZER.decode(ids) == body + "<|im_start|>assistant\n"


@pytest.mark.parametrize("text", ["What is 17 + 25?", "a", "The answer is 9.\n"])
def test_ordinary_text_has_the_tokens_that_the_model_was_trained_on(text: str) -> None:
    messages = [{"role": "user", "content": text}]
    whole = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert PROMPTS.token_ids(user(text)) == TOKENIZER.encode(whole, add_special_tokens=False)


def test_a_conversation_has_the_tokens_of_the_chat_template() -> None:
    said = ["system", "user", "assistant", "assistant", "user"]
    messages = [{"role": role, "content": f"{number} + 25"} for number, role in enumerate(said)]
    whole = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = [Message(one["role"], one["content"]) for one in messages]
    assert PROMPTS.token_ids(prompt) == TOKENIZER.encode(whole, add_special_tokens=False)


def test_roles_that_a_template_refuses_are_named() -> None:
    strict = (
        "{% if messages[0].role != 'user' %}{{ raise_exception('begin with user') }}{% endif %}"
    )
    prompts = Prompts(tokenizer(strict + CHATML))
    assert prompts.refusal(("user", "assistant", "user")) is None
    with pytest.raises(PromptError, match="refuses the messages: begin with user"):
        prompts.token_ids([Message("assistant", "a"), Message("user", "b")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\ud800b", "the user message is not text: character 2 is a lone surrogate, U+D800"),
        ("\udfff", "the user message is not text: character 1 is a lone surrogate, U+DFFF"),
    ],
)
def test_a_lone_surrogate_is_named(text: str, message: str) -> None:
    with pytest.raises(PromptError) as error:
        PROMPTS.token_ids(user(text))
    assert str(error.value) == message


def test_a_text_can_not_steer_the_template() -> None:
    template = "{% if 'secret' in messages[0]['content'] %}leaked{% endif %}" + CHATML
    prompts = Prompts(tokenizer(template))
    assert TOKENIZER.decode(prompts.token_ids(user("secret"))).startswith("<|im_start|>")


@pytest.mark.parametrize(
    ("content", "printed"),
    [
        ("message['content'] | trim", "a\n b"),
        ("message['content'].strip()", "a\n b"),
        ("message['content'].lstrip()", "a\n b \n"),
        ("message['content'].rstrip()", "\n  a\n b"),
    ],
)
def test_what_a_template_strips_is_stripped(content: str, printed: str) -> None:
    words = tokenizer(CHATML.replace("message['content']", content))
    prompts = Prompts(words)
    assert prompts.refusal(("system", "user")) is None
    text = "\n  a\n b \n"
    ids = prompts.token_ids([Message("system", text), *user(text)])
    said = [{"role": role, "content": text} for role in ("system", "user")]
    whole = words.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert TOKENIZER.decode(ids) == whole
    assert f"<|im_start|>user\n{printed}<|im_end|>" in whole


TEXTS = ("What is 17 + 25?", "a", "The answer is 9.\n", " b", "\n\n c \n", "1", "ß—é", "\t")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("around", ["{}", "[INST] {} [/INST]", "{}\n\n", " {} ", "W{}s", "1{}2"])
def test_token_ids_are_those_of_the_chat_template(text: str, around: str) -> None:
    content = around.replace("{}", "' + message['content'] + '")
    words = tokenizer(CHATML.replace("message['content']", f"'{content}'"))
    prompts = Prompts(words)
    assert prompts.refusal(("user",)) is None
    said = [{"role": role, "content": text} for role in ("system", "user", "assistant", "user")]
    ids = prompts.token_ids([Message(one["role"], one["content"]) for one in said])  # type: ignore[arg-type]
    whole = words.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert ids == words.encode(whole, add_special_tokens=False)


@pytest.mark.parametrize("scheme", ["always", "first", "never"])
def test_token_ids_are_those_of_the_template_where_a_space_is_a_part_of_a_word(scheme: str) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=["<unk>", "<s>", "[INST]", "[/INST]"],
        unk_token="<unk>",
        initial_alphabet=[chr(code) for code in range(33, 127)],
        show_progress=False,
    )
    unigram.train_from_iterator((f"What is {n} + {n}? is it" for n in range(90)), trainer)
    template = "<s>{% for one in messages %}[INST] {{ one['content'] }} [/INST]{% endfor %}"
    words = PreTrainedTokenizerFast(
        tokenizer_object=unigram, chat_template=template, unk_token="<unk>", bos_token="<s>"
    )
    prompts = Prompts(words)
    assert prompts.refusal(("system", "user")) is None
    for text in ("What is 1 + 1?", "is it", " is", "it <s> it"):
        ids = prompts.token_ids(user(text))
        whole = f"<s>[INST] {text} [/INST]"
        if "<s>" not in text:
            assert ids == words.encode(whole, add_special_tokens=False)
        assert ids.count(words.bos_token_id) == 1


LEFT_OUT = "the model's chat template leaves out the user message"
CHANGED = "the model's chat template changes the text of the user message"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("message['content'] | upper", CHANGED),
        ("message['content'] | e", CHANGED),
        ("message['content'] | tojson", CHANGED),
        ("message['content'] | replace('\\n', ' ')", CHANGED),
        ("message['content'].split('\\n\\n')[0]", CHANGED),
        ("message['content'] | title", CHANGED),
        ("'a'", LEFT_OUT),
        ("message['content'] | length | string", LEFT_OUT),
    ],
)  # fmt: skip
def test_a_template_that_changes_a_text_is_refused(content: str, why: str) -> None:
    prompts = Prompts(tokenizer(CHATML.replace("message['content']", content)))
    assert prompts.refusal(("user",)) == why


def test_a_template_that_drops_a_message_is_refused() -> None:
    prompts = Prompts(tokenizer(CHATML.replace("in messages", "in messages[1:]")))
    why = "the model's chat template leaves out the system message"
    assert prompts.refusal(("system", "user")) == why
    with pytest.raises(PromptError) as error:
        prompts.token_ids([Message("system", "Be brief."), *user("a")])
    assert str(error.value) == why


def test_a_template_that_refuses_a_role_is_refused_where_it_is_needed() -> None:
    system = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    prompts = Prompts(tokenizer(system + CHATML))
    assert prompts.refusal(("user",)) is None
    why = "the model's chat template refuses the messages: no system"
    assert prompts.refusal(("system", "user")) == why


def test_a_template_that_raises_is_quoted() -> None:
    prompts = Prompts(tokenizer("{{ raise_exception('no system messages') }}"))
    with pytest.raises(PromptError) as error:
        prompts.token_ids(user("a"))
    assert str(error.value) == "the model's chat template refuses the messages: no system messages"


DATED = (
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
)


@pytest.mark.parametrize(
    "template",
    [
        DATED + "{{ date_string }}" + CHATML,
        "{{ strftime_now('%A') }}" + CHATML,
        CHATML.replace("message['role']", "strftime_now('%Y-%m-%d')"),
    ],
)
def test_a_template_with_a_date_has_that_of_the_run(template: str) -> None:
    prompts = Prompts(tokenizer(template))
    assert prompts.reads_date
    assert prompts.refusal(("system", "user")) is None
    one, same, other = (
        prompts.token_ids(user("a"), day) for day in ("2026-11-30", "2026-11-30", "2027-12-01")
    )
    assert one == same != other
    assert prompts.token_ids(user("a")) == prompts.token_ids(user("a"), date.today().isoformat())


@pytest.mark.parametrize("template", [CHATML, DATED + CHATML, "{# strftime_now #}" + CHATML])
def test_a_template_that_prints_no_date_has_none(template: str) -> None:
    prompts = Prompts(tokenizer(template))
    assert not prompts.reads_date
    assert prompts.token_ids(user("a"), "2026-11-30") == PROMPTS.token_ids(user("a"))


BYTES = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}


class Rebuilt:
    """A tokenizer with its description changed."""

    def __init__(self, **changes: Any) -> None:
        from tokenizers import Tokenizer

        described = json.loads(TOKENIZER.backend_tokenizer.to_str())
        self.backend_tokenizer = Tokenizer.from_str(json.dumps({**described, **changes}))
        self.apply_chat_template = TOKENIZER.apply_chat_template
        self.all_special_ids = TOKENIZER.all_special_ids
        self.unk_token_id = None
        self.eos_token_id = TOKENIZER.eos_token_id


def test_a_tokenizer_puts_its_space_before_the_template_and_not_before_a_text() -> None:
    spaced = Rebuilt(pre_tokenizer={**BYTES, "add_prefix_space": True})
    whole = "<|im_start|>user\nis it<|im_end|>\n<|im_start|>assistant\n"
    wanted = spaced.backend_tokenizer.encode(whole, add_special_tokens=False).ids
    assert Prompts(spaced).token_ids(user("is it")) == wanted
    assert Prompts(spaced).text_ids("is") == PROMPTS.text_ids("is")


def test_markup_that_is_not_called_special_is_text_too() -> None:
    described = json.loads(TOKENIZER.backend_tokenizer.to_str())
    think = {**described["added_tokens"][0], "id": 400, "content": "</think>", "special": False}
    prompts = Prompts(Rebuilt(added_tokens=[*described["added_tokens"], think]))
    assert 400 not in prompts.text_ids("a</think>b")


def test_a_special_token_among_the_ordinary_pieces_is_spelled_out() -> None:
    pieces = [["<unk>", 0.0], ["<s>", 0.0], *([one, -5.0] for one in "<s>ab")]
    unigram = {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False}
    start = {"id": 1, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False}
    added = [{**start, "normalized": False, "special": True}]
    odd = Rebuilt(model=unigram, added_tokens=added, pre_tokenizer=None, decoder=None)
    odd.all_special_ids, odd.unk_token_id = [0, 1], 0
    assert Prompts(odd).text_ids("a<s>b") == [5, 2, 3, 4, 6]


@law(nasty, share=2)
def test_a_prompt_has_at_least_the_tokens_that_its_length_says(text: str) -> None:
    assert PROMPTS.min_tokens(user(text * 20)) <= len(PROMPTS.text_ids(text * 20))
    assert PROMPTS.min_tokens(user("x" * 1_000_000)) > 10_000


def test_where_a_tokenizer_drops_text_its_length_says_nothing() -> None:
    for changes in (
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {"type": "WhitespaceSplit"}},
    ):
        assert Prompts(Rebuilt(**changes)).min_tokens(user("x" * 1_000_000)) == 0


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda one: st.lists(one, max_size=2) | st.dictionaries(names, one, max_size=2),
    max_leaves=3,
)


@law(names | st.sampled_from(["reasoning", "answer"]), json_values, share=2)
def test_a_reply_that_is_begun_has_the_tokens_of_the_whole(name: str, made: Any) -> None:
    text = f"{{{json.dumps(name, ensure_ascii=False)}: "
    for prompts in (PROMPTS, JSON_PROMPTS):
        ids, given = prompts.beginning(text)
        assert prompts.text_ids(text[:given]) == list(ids)
        whole = prompts.text_ids(text + json.dumps(made, ensure_ascii=False))
        assert whole[: len(ids)] == list(ids)


def test_a_token_that_may_be_part_of_a_longer_one_is_not_given() -> None:
    assert JSON_PROMPTS.beginning('{"reasoning": ')[1] == len('{"reasoning":')
    assert PROMPTS.beginning("{a: ")[1] == len("{a:")
    assert PROMPTS.beginning("Wha") == ((), 0)
    assert PROMPTS.beginning("") == ((), 0)
