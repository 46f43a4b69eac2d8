"""Train the bundled model: a Llama of a million parameters, on a CPU, in ten minutes.

    python examples/train_tiny.py [FOLDER]

Needs torch, transformers and chainlang; nothing is downloaded. The same seed, thread count and
versions give the same weights. What it learns is in tiny_task.py.
"""

# ruff: noqa: S311  # seeded draws are what is wanted here

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from tiny_task import Example, Question, answered, examples, questions
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FOLDER = Path(__file__).resolve().parents[1] / "chainlang" / "tiny"
VOCABULARY = 640
CONTEXT = 1024
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TOKENS_PER_STEP = 1024
PLAIN = 100_000  # examples, a third of the steps
IGNORED = -100


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE in which every digit is a token of its own."""
    words = Regex(r"\d| ?[A-Za-z_]+| ?[^A-Za-z_\d\s]+ ?|\s+")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = islice(examples(Random(seed)), 3000)
    text = (f"user\n{one.prompt}\nassistant\n{one.reply}" for one in sample)
    tokenizer.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a small Llama with random weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 200.0},  # prompts are short
        initializer_range=0.08,  # about 1/sqrt(width); with 0.02 learning starts far later
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    return LlamaForCausalLM(config)


def dialogue(user: str) -> str:
    """Return a prompt as the chat template lays it out."""
    return f"{START}user\n{user}{END}\n{START}assistant\n"


def batches(
    tokenizer: PreTrainedTokenizerFast, rng: Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token ids and labels; examples of like length share a batch, only replies count."""
    stream = examples(rng, PLAIN)
    while True:
        rows = sorted((_encoded(tokenizer, one) for one in islice(stream, 8192)), key=_length)
        cuts, start = [], 0
        while start < len(rows):
            end = start
            while end < len(rows) and _length(rows[end]) * (end + 1 - start) <= TOKENS_PER_STEP:
                end += 1
            cuts.append(rows[start:end])
            start = end
        rng.shuffle(cuts)
        for cut in cuts:
            longest = _length(cut[-1])
            ids = torch.full((len(cut), longest), tokenizer.pad_token_id)
            labels = torch.full((len(cut), longest), IGNORED)
            for row, (asked, replied) in enumerate(cut):
                whole = torch.tensor(asked + replied)
                ids[row, : len(whole)] = whole
                labels[row, len(asked) : len(whole)] = whole[len(asked) :]
            yield ids, labels


def _encoded(tokenizer: PreTrainedTokenizerFast, one: Example) -> tuple[list[int], list[int]]:
    asked = tokenizer(dialogue(one.prompt))["input_ids"]
    return asked, tokenizer(one.reply + END)["input_ids"]


def _length(row: tuple[list[int], list[int]]) -> int:
    return len(row[0]) + len(row[1])


def rate(step: int, steps: int) -> float:
    """Return the part of the highest learning rate: a short climb, then down along a cosine."""
    return min(1.0, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def optimizers(model: LlamaForCausalLM) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return what steps the weights, each with its highest rate: Muon for matrices, else AdamW.

    Muon needs about half the steps of AdamW here.
    """
    named = list(model.named_parameters())
    inner = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    outer = [weight for name, weight in named if weight.ndim != 2 or "embed" in name]
    return [
        (torch.optim.Muon(inner, weight_decay=0.01), 0.02),
        (torch.optim.AdamW(outer, betas=(0.9, 0.98), weight_decay=0.0), 2e-3),
    ]


@torch.no_grad()
def chance(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, asked: list[Question]
) -> float:
    """Return how often a sample at temperature 0.7 is right: the mean chance of right answers."""
    total = 0.0
    for question in asked:
        prompted, replied = _encoded(tokenizer, answered(question))
        logits = model(input_ids=torch.tensor([prompted + replied])).logits[0] / 0.7
        said = logits[len(prompted) - 1 : -1].log_softmax(-1)
        total += said.gather(1, torch.tensor(replied)[:, None]).sum().exp().item()
    return total / len(asked)


def main() -> None:
    """Train, say how it goes, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    tokenizer = train_tokenizer(args.seed)
    model = new_model(tokenizer)
    size = sum(weight.numel() for weight in model.parameters())
    print(f"{size:,} parameters, {len(tokenizer)} tokens", flush=True)

    steppers = optimizers(model)
    checked = list(islice(questions(Random(args.seed + 1), "validation"), 300))
    started = time.monotonic()
    stream = batches(tokenizer, Random(args.seed + 2))
    for step, (ids, labels) in enumerate(islice(stream, args.steps), start=1):
        loss = model(input_ids=ids, labels=labels).loss
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, highest in steppers:
            for group in optimizer.param_groups:
                group["lr"] = highest * rate(step, args.steps)
            optimizer.step()
        if step % 500 == 0 or step == args.steps:
            spent, right = time.monotonic() - started, chance(model, tokenizer, checked)
            print(f"step {step}, {spent:.0f} s: right {right:.1%}, validation part", flush=True)
    args.folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(args.folder)
    tokenizer.save_pretrained(args.folder)


if __name__ == "__main__":
    main()
