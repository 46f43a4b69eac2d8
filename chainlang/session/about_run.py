"""Description of a run into a folder, known before its first row."""

from __future__ import annotations

import hashlib
from typing import Any

from attrs import evolve

from chainlang import plugins
from chainlang.analysis.output_names import output_names
from chainlang.analysis.program import Program
from chainlang.ir.bounds import without_bounds
from chainlang.ir.declarations import Model
from chainlang.ir.json import from_json, to_json
from chainlang.ir.model_settings import ENGINES
from chainlang.optimizer.compile import planned
from chainlang.plan.render import render
from chainlang.runtime.prepared import Prepared
from chainlang.semantics.functions_file import FunctionsFile
from chainlang.semantics.outputs import EVERYTHING
from chainlang.settings import RunSettings
from chainlang.store import About
from chainlang.store.journal import Journal
from chainlang.store.stage_tables import StageTables

MARK = "mark"
"""Note of a journal with the mark of its run."""


def about_of(program: Program, settings: RunSettings, *, text: str, graph: str) -> About:
    """Return the description of a run that is known before a model is loaded."""
    compiled = planned(program, settings)
    seen = {} if settings.outputs is None else {"outputs": sorted(settings.outputs)}
    lossy = {"lossy": list(compiled.plan.lossy)} if compiled.plan.lossy else {}
    used = {"plugins": found} if (found := plugins_of(program)) else {}
    meaning = evolve(compiled.naive, outputs=EVERYTHING)
    unbounded = [to_json(without_bounds(from_json(graph))), render(meaning, bounds=False)]
    return About(
        chain=text,
        graph=graph,
        plan=render(compiled.plan),
        meaning=render(meaning),
        unbounded=hashlib.blake2b("\n".join(unbounded).encode(), digest_size=16).hexdigest(),
        outputs=compiled.plan.outputs,
        columns=output_names(program.body, program.items),
        stages=StageTables.of(compiled.naive.root),
        seed=settings.seed,
        date=None if settings.run_date is None else settings.run_date.isoformat(),
        settings={"model": settings.model, **seen, **lossy, **used},
        settings_file=settings.file,
        functions=_described(program.bound.file),
    )


def plugins_of(program: Program) -> dict[str, str]:
    """Return the package and version of each plugin that a program uses: its engines and ops."""
    found: dict[str, str] = {}
    for one in program.items:
        if isinstance(one, Model) and one.engine not in ENGINES:
            plugin = plugins.find("engines", one.engine)
            found |= {} if plugin is None else {f"engine {one.engine}": plugin.origin}
        name = "" if one.span is None else one.span.source.name
        if name.startswith("<plugin "):
            found["ops"] = name.removeprefix("<plugin ").removesuffix(">")
    return found


def marked(prepared: Prepared, journal: Journal) -> str:
    """Return the mark of a run: that of its first process, if its calls may have effects."""
    if not any(one.effects for one in prepared.plan.stages):
        return prepared.mark
    kept = journal.note(MARK)
    if kept is None:
        journal.save({MARK: prepared.mark})
    return str(kept or prepared.mark)


def _described(file: FunctionsFile | None) -> dict[str, Any]:
    """Return the description of the file that the functions of a chain are from."""
    if file is None:
        return {}
    return {"module": file.module, "path": file.path, "hash": file.hash}
