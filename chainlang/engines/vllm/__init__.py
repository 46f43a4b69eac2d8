"""An engine for vLLM in this process."""
