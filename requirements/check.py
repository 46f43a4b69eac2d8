"""Whether chainlang, or with `vllm` vLLM for the CPU, can be set up here: an error if it can't."""

import platform
import sys

here = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
if not (3, 11) <= sys.version_info < (3, 14):
    sys.exit(f"{here}: chainlang needs Python 3.11 to 3.13; choose one: make PYTHON=python3.11")
if "vllm" in sys.argv and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
    sys.exit(
        f"{here}: vLLM for the CPU is built for Linux on x86-64 only.\n"
        "The language and the engine for servers run anywhere: make quick"
    )
