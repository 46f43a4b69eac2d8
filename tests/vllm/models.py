"""Models for tests: small, with random weights, made here in seconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer(template: str = CHATML, vocabulary: int = 400, texts: Iterable[str] = ()) -> Any:
    """Return a byte-level BPE, trained on sums and other texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sums = (f"What is {a} + {b}? The answer is {a + b}." for a in range(30) for b in range(30))
    bpe.train_from_iterator((*sums, *texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=template,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def random_llama(folder: Path, *, seed: int = 0, vocabulary: int = 400) -> Path:
    """Make a Llama of two layers that says nonsense, always the same for a seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(vocabulary=vocabulary)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        dtype="float32",
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


THINKING = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{{ {'no': '<think></think>', 'long': '<think><|long|>', 'never': '<|plain|>', "
    "'open': '<think>'}.get(thinking, '<|short|>') }}"
    "{% endif %}"
)
"""A template that says how the model thinks, by its argument `thinking`: after a few letters it
replies; ``"long"``, it thinks on and on; ``"open"``, the prompt begins the reasoning; ``"no"``, the
prompt ends it; ``"never"``, the model replies at once."""
TAGS = ("<think>", "</think>")
MARKS = ("<|short|>", "<|long|>", "<|plain|>")


def thinking_llama(folder: Path) -> Path:
    """Make a Llama that writes letters between ``<think>`` and ``</think>``, then a digit.

    Each token depends on the last one alone: the embeddings are unit vectors, the layer adds
    nothing, and the last matrix holds the probabilities.
    """
    import math

    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE({one: number for number, one in enumerate(letters)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([*SPECIAL])
    words = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[*MARKS],
        chat_template=THINKING,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    words.add_tokens([*TAGS])  # not special, as those of real models: a server keeps them in texts
    ids, size = words.get_vocab(), len(words)
    then = torch.full((size, size), -30.0)  # from each token, the logits of those after it

    def follow(before: str, after: dict[str, float]) -> None:
        for token, share in after.items():
            then[ids[before], ids[token]] = math.log(share)

    low, high = "abcdefgh", "klmnopqr"
    printable = [one for one in map(chr, range(33, 127)) if one not in low + high]
    for mark, first in (("<|short|>", "<think>"), ("<|long|>", "k"), ("<|plain|>", "7")):
        follow(mark, {first: 1.0})
    follow("<think>", dict.fromkeys(low, 1.0))
    for one in low:
        follow(one, {**dict.fromkeys(low, 1.0), "</think>": 0.7})
    for one in high:  # reasoning that never ends
        follow(one, dict.fromkeys(high, 1.0))
    follow("</think>", {"4": 0.6, "5": 0.4, **dict.fromkeys('{["', 1e-3)})
    for one in printable:
        follow(one, {"<|im_end|>": 0.9, **dict.fromkeys(printable, 0.01)})
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=320,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        dtype="float32",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name:
                weights.zero_()
        for token in range(size):
            model.model.embed_tokens.weight[token, token] = 1.0
        scale = math.sqrt(config.hidden_size)  # the last norm makes each state this long
        model.lm_head.weight[:, :size] = then.T / scale
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
