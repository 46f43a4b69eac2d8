"""Sixty seeds of a bad server: every row is right in the end, and a seed repeats itself."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.scenario import Told, simulate
from tests.simulation.world import FAULTS, World

SEEDS, SHARE = 60, 20
SEEN: dict[int, Told] = {}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, SHARE))
def test_every_row_is_right(first: int) -> None:
    for seed in range(first, first + SHARE):
        try:
            SEEN[seed] = simulate(seed)
        except BaseException as error:
            error.add_note(f"repeat it: python -m tests.simulation 1 --first {seed}")
            raise


@pytest.mark.parametrize("seed", [1054, 2325])
def test_seeds_that_failed_once(seed: int) -> None:
    simulate(seed)  # a late reply to a call was taken for that to the call that came after it


@pytest.mark.slow
def test_it_was_a_bad_server() -> None:
    told = [SEEN.get(seed) or simulate(seed) for seed in range(SHARE)]
    faults = sum((one.world.faults for one in told), Counter[str]())
    assert faults.keys() == {*FAULTS, "away"}
    ends = sum((one.ends for one in told), Counter[str]())
    assert ends["done"] == SHARE
    assert ends["rows failed"] > 0
    assert ends["budget used up"] > 0
    assert sum(one.world.duplicates for one in told) > SHARE


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 7, 11])
def test_a_seed_repeats_itself(seed: int) -> None:
    one, other = simulate(seed).world, simulate(seed).world
    assert one.log == other.log
    assert len(one.log) > 20
    assert one.loop.time() == other.loop.time()


def test_a_row_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(0)  # what is wanted is known before the server lies
    answer = World._answer

    async def lies(world: World, body: dict[str, object]) -> object:
        response = await answer(world, body)
        if world.asked.total() > 10 and response.status_code == 200 and body["model"] == "n":
            document = response.json() if response.is_success and response.is_closed else {}
            for choice in document.get("choices", []):
                if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
                    choice["message"]["content"] = "a lie"
            import httpx2

            return httpx2.Response(200, json=document) if document else response
        return response

    monkeypatch.setattr(World, "_answer", lies)
    with pytest.raises(AssertionError, match="jsonl"):
        simulate(0)
