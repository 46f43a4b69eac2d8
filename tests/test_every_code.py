"""Every error and every warning that can be reported occurs in some case."""

from __future__ import annotations

import re

from chainlang.diagnostics.diagnostic import LINTS
from chainlang.errors import ERRORS
from tests.cases import cases


def test_every_code_occurs_in_a_case() -> None:
    expected = "\n".join(case.expected for case in cases("**/*.cases"))
    found = set(re.findall(r"^(?:error|warning)\[([\w-]+)\]", expected, re.MULTILINE))
    # A malformed node is a bug of whoever built it.
    assert found == {*ERRORS, *LINTS} - {"malformed"}
