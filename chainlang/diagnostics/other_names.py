"""Names of options and settings in other libraries, with their equivalents here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

OTHERS: Mapping[str, str] = {
    # options of stages, settings of ops
    "max_tokens": "max_completion_tokens max_length max_new_tokens max_output_tokens maxtokens "
    "num_predict",
    "min_tokens": "min_completion_tokens min_length min_new_tokens",
    "repetition_penalty": "no_repeat_ngram_size repeat_penalty",
    "stop": "eos stop_sequence stop_sequences stop_strings stop_words",
    "stop_token_ids": "eos_token_id stop_ids stop_tokens",
    "include_stop": "include_stop_str_in_output no_stop_trim",
    "bad_words": "bad_words_ids banned_tokens banned_words suppress_tokens",
    "logit_bias": "biases logits_bias token_bias",
    "logprobs": "n_probs num_logprobs return_logprobs top_logprobs",
    "choices": "label_probabilities label_probs",
    "top_p": "nucleus topp",
    "top_k": "topk",
    "min_p": "minp",
    "thinking_tokens": "budget_tokens max_thinking_tokens thinking_budget thinking_token_budget",
    "template_args": "chat_template_args chat_template_kwargs enable_thinking template_kwargs "
    "thinking",
    "extra": "extra_args extra_body extra_fields extra_params",
    "count": "best_of n num_return_sequences num_samples samples",
    "temperature": "temp temperatur",
    "system": "instruction instructions system_message system_prompt",
    "of": "inputs reads sources",
    "user": "prompt template user_message user_prompt",
    # options of combinators
    "times": "attempts max_attempts max_retries n_retries retries tries",
    "backoff": "delay sleep wait",
    "seconds": "duration timeout",
    "max": "iterations max_iterations max_rounds rounds",
    "until": "condition stop_when",
    "accept": "accept_if condition threshold until when",
    "on": "causes errors exceptions exceptions_to_handle on_error retry_on",
    "by": "condition field key on",
    "arms": "branches cases choices routes",
    "default": "else fallback otherwise",
    "over": "in items list",
    "item": "name var variable",
    # settings of models
    "headers": "default_headers extra_headers http_headers",
    "max_model_len": "context context_length context_window max_context max_context_length "
    "max_seq_len max_sequence_length n_ctx num_ctx",
    "base_url": "address api_base api_url endpoint host openai_api_base url",
    "api_key": "key openai_api_key token",
    "max_concurrency": "concurrency max_connections max_parallel_requests parallelism workers",
    "tensor_parallel_size": "gpus n_gpu n_gpus num_gpus tensor_parallel tp tp_size",
    "pipeline_parallel_size": "pipeline_parallel pp pp_size",
    "max_num_seqs": "batch_size max_batch_size max_running_requests",
    "max_num_batched_tokens": "chunked_prefill_size max_batched_tokens max_prefill_tokens",
    "gpu_memory_utilization": "gpu_mem gpu_memory gpu_memory_fraction mem_fraction_static "
    "memory_fraction",
    "dtype": "data_type half precision torch_dtype",
    "quantization": "load_in_4bit load_in_8bit quant quantization_method quantize",
    "reasoning": "reasoning_parser thinking_parser",
    "revision": "branch commit model_revision",
    "tokenizer": "tokenizer_name tokenizer_path",
    "chat_template": "chat_format chat_template_path prompt_template",
    "kv_cache_dtype": "cache_dtype kv_dtype",
    "enforce_eager": "disable_cuda_graph eager",
    "enable_prefix_caching": "cache_prompt enable_radix_cache prefix_caching",
    "hf_overrides": "config_overrides hf_config model_kwargs rope_scaling rope_theta",
    "speculative_config": "draft_model num_speculative_tokens speculative_model",
    "load_format": "gguf_file weights_format",
    "lora": "adapter adapter_name adapter_path adapters lora_adapter lora_modules lora_name "
    "lora_path lora_request peft peft_model",
    "max_lora_rank": "lora_r lora_rank",
    "cpu_offload_gb": "cpu_offload n_gpu_layers offload",
    "trust_remote_code": "allow_remote_code remote_code",
    # settings of runs
    "seed": "random_seed random_state rng",
    "window": "batch_size concurrency max_concurrency num_workers parallelism workers",
    "call_seconds": "timeout",
    "limit": "max_rows n_rows num_rows",
    "model": "llm model_id model_name",
    "engine": "backend client llm",
    "cache_folder": "cache_dir cache_path",
    "progress": "callback callbacks verbose",
}
"""Names here, each with its equivalents in other libraries."""

_MODEL = 'model settings stand in a file: model m = vllm("m", {}={})'
_SERVER = 'settings of a server stand in a file: model m = openai("m", {}={})'
_SENT = 'a field of a server\'s own goes into extra: E(extra={{"{}": {}}})'
_SEVERAL = "there is no beam search; a vote over several samples does as much: 5:E >> M"
_GREEDY = "a stage samples unless its temperature is 0: E::0"
_TOOLS = 'tools are an option of stages that ask a model: E(tools=["weather"])'
_IN_PYTHON = (
    'a file can\'t set it; in Python every argument of vLLM does: VllmEngine("...", {}=...)'
)
_REPLICAS = (
    "an engine in this process is one replica; start servers with vllm serve, and name their "
    'address: model m = openai("m", base_url="http://127.0.0.1:8000/v1")'
)
_DEVICE = "vLLM uses the GPU, or the CPU if its CPU build is installed; there is nothing to set"
_HUB = "where the hub's files are kept is set by HF_HOME in the environment"
_IMAGES = "prompts are texts for an engine in this process, so there is no limit to set"
_CALLED = 'the name of a model stands before the "=": model name = vllm("...")'
_LATENCY = "call_seconds is a setting of a run: qa(..., call_seconds=60)"
_PLAIN = "a reply is text without special tokens; leave it out"
_STREAM = "qa.stream(...) yields the text of a chain as it is generated; leave it out"
_PROMPT = 'a prompt belongs to an op: op("ask", user="{{ query }}")'
_RUN = "{} is a setting of a run: qa(..., {}={})"
_STAGE = "{} is an option of stages that call a model: E({}={})"
_TYPE = "the type of a reply is declared by an op: op(user=..., returns=Review)"
_COUNT = "the count of a stage is the number of samples: 3:E"
_SYSTEM = 'system is an option of stages, and a setting of an op: J(system="...")'
_LIMITED = "timeout is a combinator: timeout(E, seconds=30)"
_RETRIED = "retry is a combinator: retry(E, times=3)"
ELSEWHERE: Mapping[str, str] = {
    "cache": _RUN.format("cache", "cache", '"write"'),
    "engine": _RUN.format("engine", "engine", "..."),
    "seed": _RUN.format("seed", "seed", 3),
    "random_seed": _RUN.format("seed", "seed", 3),
    "max_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "max_new_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "max_completion_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "stop": _STAGE.format("stop", "stop", '"END"'),
    "temperature": _STAGE.format("temperature", "temperature", 0.7),
    "top_k": _STAGE.format("top_k", "top_k", 40),
    "top_p": _STAGE.format("top_p", "top_p", 0.9),
    "of": 'of= is an option of a stage or a function: (a = E) >> J(of="a")',
    "n": _COUNT,
    "num_samples": _COUNT,
    "retries": _RETRIED,
    "max_retries": _RETRIED,
    "timeout": _LIMITED,
    "system": _SYSTEM,
    "system_prompt": _SYSTEM,
    "instructions": _SYSTEM,
    "system_message": _SYSTEM,
    "best_of": _COUNT,
    "num_return_sequences": _COUNT,
    "prompt": _PROMPT,
    "template": _PROMPT,
    "user_prompt": _PROMPT,
    "do_sample": _GREEDY,
    "greedy": _GREEDY,
    "beam_width": _SEVERAL,
    "length_penalty": _SEVERAL,
    "num_beams": _SEVERAL,
    "use_beam_search": _SEVERAL,
    "function_call": _TOOLS,
    "functions": _TOOLS,
    "tool_choice": _SENT.format("tool_choice", '"required"'),
    "tools": _TOOLS,
    "stream": _STREAM,
    "streaming": _STREAM,
    "skip_special_tokens": _PLAIN,
    "batch_size": _RUN.format("window", "window", 64),
    "concurrency": _RUN.format("window", "window", 64),
    "use_cache": _RUN.format("cache", "cache", '"write"'),
    "random_state": _RUN.format("seed", "seed", 3),
    "request_timeout": _LIMITED,
    "timeout_seconds": _LIMITED,
    "max_time": _LIMITED,
    "num_retries": _RETRIED,
    "metadata": _SENT.format("metadata", '{"team": "a"}'),
    "provider": _SENT.format("provider", '{"order": ["a"]}'),
    "reasoning_effort": _SENT.format("reasoning_effort", '"low"'),
    "safety_identifier": _SENT.format("safety_identifier", '"me"'),
    "service_tier": _SENT.format("service_tier", '"flex"'),
    "store": _SENT.format("store", "true"),
    "verbosity": _SENT.format("verbosity", '"low"'),
    "dtype": _MODEL.format("dtype", '"bfloat16"'),
    "gpu_memory_utilization": _MODEL.format("gpu_memory_utilization", 0.5),
    "max_model_len": _MODEL.format("max_model_len", 4096),
    "quantization": _MODEL.format("quantization", '"awq"'),
    "tensor_parallel_size": _MODEL.format("tensor_parallel_size", 2),
    "trust_remote_code": _MODEL.format("trust_remote_code", "true"),
    "api_base": _SERVER.format("base_url", '"http://127.0.0.1:8000/v1"'),
    "base_url": _SERVER.format("base_url", '"http://127.0.0.1:8000/v1"'),
    "api_key": _SERVER.format("api_key", 'env("OPENAI_API_KEY")'),
    "allowed_token_ids": _TYPE,
    "format": _TYPE,
    "grammar": _TYPE,
    "guided_choice": _TYPE,
    "guided_json": _TYPE,
    "guided_regex": _TYPE,
    "json_mode": _TYPE,
    "structured_outputs": _TYPE,
    "json_schema": _TYPE,
    "output_type": _TYPE,
    "response_format": _TYPE,
    "response_model": _TYPE,
    "returns": _TYPE,
    "schema": _TYPE,
}
"""Hints for names that are used in the wrong place."""


OF_MODELS: Mapping[str, str] = {
    **dict.fromkeys(("data_parallel", "data_parallel_size", "dp", "dp_size"), _REPLICAS),
    **dict.fromkeys(("num_replicas", "replicas"), _REPLICAS),
    **dict.fromkeys(("device", "device_map", "use_gpu"), _DEVICE),
    **dict.fromkeys(("cache_dir", "download_dir"), _HUB),
    "swap_space": "vLLM evicts and computes again, and has no swap space; leave it out",
    "seed": _RUN.format("seed", "seed", 3),
    **dict.fromkeys(("limit_mm_per_prompt", "mm_processor_kwargs"), _IMAGES),
    **dict.fromkeys(("alias", "model_name", "name", "served_model_name"), _CALLED),
    **dict.fromkeys(("call_timeout", "request_timeout", "timeout"), _LATENCY),
    **{
        name: _IN_PYTHON.format(name)
        for name in (
            *("attention_backend", "block_size", "compilation_config", "config_format"),
            *("distributed_executor_backend", "enable_chunked_prefill", "enable_expert_parallel"),
            *("max_logprobs", "tokenizer_mode", "tokenizer_revision"),
        )
    },
}
"""Hints for names among the settings of a model that are none of it."""


def meant_by(name: str, known: Collection[str]) -> str | None:
    """Return a hint for a name of another library, or one in the wrong place; None without any.

    >>> meant_by("max_new_tokens", ["max_tokens", "stop"]), meant_by("anything", ["max_tokens"])
    ("did you mean 'max_tokens'?", None)
    >>> meant_by("seed", ["max_tokens", "need"])
    'seed is a setting of a run: qa(..., seed=3)'
    """
    name = name.lower()
    ours = [one for one, others in OTHERS.items() if one in known and name in others.split()]
    if ours:
        return "did you mean " + " or ".join(f"'{one}'" for one in ours) + "?"
    if "max_model_len" in known and name in OF_MODELS:
        return OF_MODELS[name]
    return ELSEWHERE.get(name)
