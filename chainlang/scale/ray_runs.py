"""Runs into a folder on a cluster of Ray: an actor for each shard, and one folder made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainlang.api.chain import Chain
from chainlang.errors import ERRORS, ChainlangError, error_of
from chainlang.interrupts import check
from chainlang.ir.declarations import Model
from chainlang.scale.merge import merge
from chainlang.scale.portable import opened, portable
from chainlang.scale.shard_runs import shard_folders
from chainlang.session.check_shard import check_rates, check_shard
from chainlang.session.decide import decided_in, exemplified, is_open
from chainlang.session.named_models import with_models
from chainlang.session.summary import Summary
from chainlang.settings import RunSettings, Shard

_RESTARTS = 100
"""Number of times that an actor is started again, before its shard counts as failed."""
_OF_MERGE = ("format", "part_rows", "escape_formulas")
_ONCE = ("overwrite", "retry_failed", "changed")
"""Settings that the first attempt of a shard has carried out."""
_WHAT = "a run on Ray"
_NOT_HERE = ("on_row", "shard", "store", "analyze")


def run_on_ray(chain: Chain, rows: Any, out: Path, settings: RunSettings) -> Summary:
    """Run a chain over rows into a folder, in the actors of a cluster; return the summary.

    Each actor runs one shard of the rows with engines of its own. One that dies is started again,
    and goes on from the journal of its shard. All machines share the disk with the folder. The same
    call resumes the run, with the number of shards that the folder has.

    Raises `SettingError` for settings that do not travel, `SourceError` for rows that do not, and
    what ends a shard after the others are done.
    """
    try:
        import ray
    except ImportError as error:
        message = "a run on Ray needs the package ray"
        raise error_of("setting", message, "run: pip install 'chainlang[ray]'") from error
    program = chain.program()
    of_shard = settings.model_copy(update={"format": "jsonl", "shard": Shard(1, 2)})
    named = with_models(exemplified(program), settings)
    check_shard(named, of_shard, _WHAT)
    check_rates(named, settings, _WHAT)
    if is_open(program):
        decided_in(program, of_shard, with_models, out)  # refused here, unless the folder has them
    document = portable(chain, _of_shards(settings), without=_NOT_HERE)
    source, folder = _source(rows), Path(os.path.abspath(out))  # noqa: PTH100  # no link is followed
    started_here = not ray.is_initialized()
    if started_here:
        ray.init(log_to_driver=False)
    try:
        resources = ray.cluster_resources()
        gpus = _gpus(chain, resources)
        work = (document, ray.put(source), str(folder))
        _run_shards(ray, _shards(folder, settings, resources, gpus), work, gpus=gpus)
    finally:
        if started_here:
            ray.shutdown()
    found = {name: getattr(settings, name) for name in _OF_MERGE}
    return merge(folder, **found, overwrite=settings.overwrite, changed=settings.changed)


def _of_shards(settings: RunSettings) -> RunSettings:
    """Return the settings of a shard, whose tables are JSON lines until they are merged."""
    defaults = {name: RunSettings.model_fields[name].default for name in (*_OF_MERGE, "ray_actors")}
    return settings.model_copy(update=defaults)


def _source(rows: Any) -> str:
    """Return rows as JSON: paths, or the rows themselves."""
    several = rows if isinstance(rows, list | tuple) else [rows]
    if (several and all(isinstance(one, os.PathLike) for one in several)) or isinstance(rows, str):
        return json.dumps({"paths": [os.path.abspath(one) for one in several]})  # noqa: PTH100
    try:
        if not isinstance(rows, list | tuple):
            raise TypeError
        return json.dumps({"rows": rows}, allow_nan=False)
    except (TypeError, ValueError):
        what = "rows that are no file, and no list of texts and JSON objects, do not travel"
        hint = "write them into a file on the shared disk, or use as_ray with map_batches"
        raise error_of("file", what, hint) from None


def _shards(
    folder: Path, settings: RunSettings, resources: Mapping[str, float], gpus: float
) -> int:
    """Return the number of shards: of the folder, of the settings, or of the GPUs or nodes."""
    found = {shard.of for one in shard_folders(folder) if (shard := Shard.named(one.name))}
    wanted = settings.ray_actors
    if len(found) == 1 and wanted in (None, *found):
        return found.pop()
    if found:
        there = " and ".join(map(str, sorted(found)))
        what = f"{folder}: the run in this folder has {there} shards"
        hint = "leave out ray_actors to resume it, or name another folder"
        raise error_of("file", what, hint)
    nodes = sum(name.startswith("node:") and "_" not in name for name in resources)
    return wanted or int(resources.get("GPU", 0) // max(1, gpus)) or max(1, nodes)


def _gpus(chain: Chain, resources: Mapping[str, float]) -> float:
    """Return the number of GPUs of an actor, for the largest model of the chain; 0 without any."""
    if not resources.get("GPU"):
        return 0.0
    sizes = [1]
    for one in chain.items:
        if isinstance(one, Model):
            found = {setting.name: setting.value for setting in one.settings}
            parts = (found.get(f"{name}_parallel_size") for name in ("tensor", "pipeline"))
            tensor, pipeline = (part if isinstance(part, int) else 1 for part in parts)
            sizes.append(tensor * pipeline)
    return float(max(sizes))


def _run_shards(ray: Any, count: int, work: tuple[Any, ...], *, gpus: float) -> None:
    """Run all shards; raise the error of the first that failed, after the others are done."""
    options = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": _RESTARTS}
    remote = ray.remote(**options, max_task_retries=_RESTARTS)(ShardActor)
    actors = {number: remote.remote() for number in range(1, count + 1)}
    tasks = {actor.run.remote(*work, number, count): number for number, actor in actors.items()}
    failed: dict[int, ChainlangError] = {}
    try:
        while tasks:
            check()  # Ctrl-C
            done, _ = ray.wait(list(tasks), timeout=0.2)
            for task in done:
                number = tasks.pop(task)
                if (error := _error(ray, task, number, count)) is not None:
                    failed[number] = error
                ray.kill(actors.pop(number))  # its engines make room for other shards
    except KeyboardInterrupt as error:
        message = f"finished samples are in the shards of {work[-1]}: call run again to resume"
        raise KeyboardInterrupt(message) from error
    finally:
        for actor in actors.values():
            ray.kill(actor)
    for number in sorted(failed):
        raise failed[number]


def _error(ray: Any, task: Any, number: int, count: int) -> ChainlangError | None:
    """Return the error of a shard; None if it is complete."""
    try:
        found = ray.get(task)
    except ray.exceptions.RayError as error:
        what = f"shard {number}/{count}: its actor failed ({type(error).__name__}): {error}"
        return error_of("stopped", what, "finished samples are saved; call run again to resume")
    if found is None:
        return None
    code, message, hint = found
    return error_of(code, f"shard {number}/{count}: {message}", hint)


class ShardActor:
    """Runs a shard in a process of its own."""

    def run(
        self, document: str, source: str, folder: str, number: int, count: int
    ) -> tuple[str, str, str | None] | None:
        """Run a shard; return code, message and hint of the error that ended it."""
        try:
            chain, settings = opened(document)
            from ray import get_runtime_context

            if get_runtime_context().was_current_actor_reconstructed:
                settings = {name: one for name, one in settings.items() if name not in _ONCE}
            found = json.loads(source)
            paths = found.get("paths")
            rows = found["rows"] if paths is None else paths if len(paths) > 1 else paths[0]
            chain.run(rows, folder, **settings, shard=(number, count))
        except ChainlangError as error:
            first = error.diagnostics[0]
            code = next((name for name, one in ERRORS.items() if type(error) is one), "stopped")
            return code, first.message, first.hint
        return None
