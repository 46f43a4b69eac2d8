"""The Python API: chains, stage types, combinators, `chain`, `load`, `op`."""
