"""40 values that a real model decides, two of each kind: they fit, and are the same again.

No row is run: `tests/vllm/test_auto.py` does so on the bundled model.
"""

from __future__ import annotations

from chainlang.datatypes.json_schema import validator
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.semantics.auto_formats import declared_type
from chainlang.session.decide import as_text, decided, from_text
from chainlang.session.named_models import with_models
from chainlang.settings import MapSettings
from tests.laws import few_of, in_the_soak
from tests.running.autos import KINDS, Kind

_FEW = [one for one in KINDS if one.name in ("listed", "int")]


@few_of("kind", len(KINDS), KINDS if in_the_soak() else _FEW)
def test_values_fit_and_are_the_same_again(kind: Kind, real_engine: VllmEngine) -> None:
    program = kind.chain().program()
    for seed in range(2 if in_the_soak() else 1):
        settings = MapSettings.of({"engine": real_engine, "seed": seed})
        made, found = decided(program, settings, with_models)
        for one in found:
            wanted = declared_type(one.type)
            assert wanted is not None
            validator(wanted, {}).validate_python(one.value, strict=False)
        known = from_text(as_text(found, program), program)
        again = MapSettings.of({"seed": seed, "model": "none"})  # it would be asked
        assert decided(program, again, with_models, known) == (made, found)
        assert decided(program, settings, with_models)[1] == found
