"""How the commands read what they are given: a chain, as a notation or a file, and settings."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.api.parse import chain
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangWarning, raise_errors

CACHE = "what earlier runs drew: off, read, write or refresh (default: off)"
"""What the option of that name says of itself."""
MEMORY = 'what the models that are loaded may hold together, as "8 GiB" (default: all of it)'
"""Likewise."""


def read_chain(text: str) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a notation, or of a file, with its warnings; raise its errors."""
    if text.endswith(".chain"):  # no other name: a file called `E` must not change what E means
        file, found = examine(Path(text))
        raise_errors(found)
        return Chain(*main_of(file)), list(found)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]


def add_passes(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that bear on what is done for a chain."""
    parser.add_argument(
        "--outputs",
        metavar="NAMES",
        help="what of the results is looked at: answer, candidates, trace, history or names of "
        "parts, with commas (default: all of it)",
    )
    parser.add_argument(
        "--passes",
        metavar="NAMES",
        help="which passes of the optimizer to apply, with commas; '' for none; default, which is "
        "the default, for all that change no result",
    )


def settings(options: argparse.Namespace, *names: str) -> dict[str, str]:
    """Return the settings among these that were given; the others come from where they are set."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}
