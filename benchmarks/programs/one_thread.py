"""One thread for torch: threads that wait for each other measure what else the machine does."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
