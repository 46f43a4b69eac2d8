"""Engine that runs vLLM in this process. Only this package imports vLLM."""
