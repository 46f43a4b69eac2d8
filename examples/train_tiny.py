"""Train the bundled model: a Llama of a million parameters, on two cores, in 25 minutes.

    python examples/train_tiny.py [FOLDER]

Needs torch, transformers and chainlang; nothing is downloaded. The same seed, number of processes
and versions give the same weights. What it learns is in tiny_task.py.
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
from tempfile import TemporaryDirectory

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from tiny_task import MAKERS, Example, examples, questions
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import distributed, multiprocessing
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FOLDER = Path(__file__).resolve().parents[1] / "chainlang" / "tiny"
VOCABULARY = 640
CONTEXT = 1024
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
THINK, THOUGHT = "<think>", "</think>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined %}{{ '<think>' if enable_thinking else '<think></think>' }}"
    "{% endif %}{% endif %}"
)
TOKENS_PER_STEP = 768
PLAIN = 24_000  # examples of each process, at first
SETTLED = 6_000  # steps after which answers are compared digit by digit
CHECKED = 60  # questions of each kind
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
        special_tokens=[PAD, START, END, THINK, THOUGHT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = islice(examples(Random(seed), compared=False), 3000)
    text = (
        turn
        for one in sample
        for turn in ("user\n", "assistant\n", *" ".join(one.turns).split(THOUGHT))
    )
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


def batches(
    tokenizer: PreTrainedTokenizerFast, stream: Iterator[Example], rng: Random
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield token ids and labels; examples of like length share a batch, only replies count."""
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
            for row, (said, learnt) in enumerate(cut):
                ids[row, : len(said)] = torch.tensor(said)
                labels[row, : len(said)] = torch.tensor(learnt)
            yield ids, labels


def _encoded(tokenizer: PreTrainedTokenizerFast, one: Example) -> tuple[list[int], list[int]]:
    """Return the tokens of a dialogue, and their labels."""
    said: list[int] = []
    labels: list[int] = []
    replies = len(one.turns) // 2
    for turn in range(replies):
        user, reply = one.turns[2 * turn : 2 * turn + 2]
        before = f"{START}user\n{user}{END}\n{START}assistant\n"
        is_last = turn == replies - 1
        if is_last and one.thinks is not None:
            before += THINK if one.thinks else THINK + THOUGHT
        given = one.given if is_last else ""
        for text, learn in (
            (before + given, False),
            (reply[len(given) :] + END, turn >= replies - one.learnt),
        ):
            ids = tokenizer(text)["input_ids"]
            said += ids
            labels += ids if learn else [IGNORED] * len(ids)
        if not is_last:
            said += tokenizer("\n")["input_ids"]
            labels += [IGNORED] * (len(said) - len(labels))
    return said, labels


def _length(row: tuple[list[int], list[int]]) -> int:
    return len(row[0])


def rate(step: int, steps: int) -> float:
    """Return the part of the highest learning rate: a short climb, then down along cosines."""
    if step > SETTLED:
        return 0.01 + 0.24 * (1 + math.cos(math.pi * (step - SETTLED) / (steps - SETTLED)))
    return min(1.0, step / 100) * (0.02 + 0.49 * (1 + math.cos(math.pi * step / 11_000)))


def optimizers(model: LlamaForCausalLM) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return what steps the weights, each with its highest rate: Muon for matrices, else AdamW.

    Muon needs about half the steps of AdamW here.
    """
    named = list(model.named_parameters())
    inner = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    outer = [weight for name, weight in named if weight.ndim != 2 or "embed" in name]
    return [
        (torch.optim.Muon(inner, weight_decay=0.01), 0.007),
        (torch.optim.AdamW(outer, betas=(0.9, 0.98), weight_decay=0.0), 2e-3),
    ]


@torch.no_grad()
def chance(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, ones: list[Example]
) -> float:
    """Return how often a sample at temperature 0.7 is as expected: the mean chance of replies."""
    total = 0.0
    for one in ones:
        said, labels = (torch.tensor([ids]) for ids in _encoded(tokenizer, one))
        logits = model(input_ids=said).logits[0, :-1] / 0.7
        chances = -torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum")
        total += chances.exp().item()
    return total / len(ones)


def train(rank: int, args: argparse.Namespace, meeting: str) -> None:
    """Train in one of several processes, which average their gradients; the first one saves."""
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=args.workers)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = train_tokenizer(args.seed)
    model = new_model(tokenizer)
    weights = list(model.parameters())
    if rank == 0:
        size = sum(weight.numel() for weight in weights)
        print(f"{size:,} parameters, {len(tokenizer)} tokens", flush=True)

    rng = Random(args.seed + 1)
    checked = {
        kind: [make(rng, one) for one in islice(questions(rng, "validation"), CHECKED)]
        for kind, make in MAKERS.items()
    }
    started = time.monotonic()
    for step in range(1, args.steps + 1):
        if step in (1, SETTLED + 1):  # Adam and Muon begin anew
            steppers = optimizers(model)
            rng = Random(args.seed + 2 + rank + (args.workers if step > SETTLED else 0))
            taught = examples(rng, PLAIN, compared=False) if step == 1 else examples(rng)
            stream = batches(tokenizer, taught, rng)
        ids, labels = next(stream)
        loss = model(input_ids=ids, labels=labels).loss
        model.zero_grad()
        loss.backward()
        grads = torch.cat([weight.grad.flatten() for weight in weights])
        distributed.all_reduce(grads)
        grads *= 1 / max(args.workers, grads.norm().item())  # their mean, of norm 1 at most
        for weight, grad in zip(weights, grads.split([w.numel() for w in weights]), strict=True):
            weight.grad = grad.view_as(weight)
        for optimizer, highest in steppers:
            for group in optimizer.param_groups:
                group["lr"] = highest * rate(step, args.steps)
            optimizer.step()
        if rank == 0 and (step % 1000 == 0 or step == args.steps):
            spent = time.monotonic() - started
            found = (
                f"{kind} {chance(model, tokenizer, ones):.1%}" for kind, ones in checked.items()
            )
            print(f"step {step}, {spent:.0f} s, loss {loss.item():.3f}:", *found, flush=True)
    if rank == 0:
        args.folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(args.folder)
        tokenizer.save_pretrained(args.folder)


def main() -> None:
    """Train, say how it goes, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--steps", type=int, default=10_400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        multiprocessing.spawn(train, (args, f"file://{folder}/meeting"), args.workers)


if __name__ == "__main__":
    main()
