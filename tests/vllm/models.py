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
