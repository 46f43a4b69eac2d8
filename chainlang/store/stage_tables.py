"""Tables of the stages of a chain: their names, and columns for the origin of a candidate.

A stage has a table with its name; further stages of this name are numbered in the order of the
normal form: ``E``, ``E.2``, ``E.3``. The numbers are for reading only, and no sample depends on
them. Stages of two arms of a `route` have one place, and differ in the key of the arm;
an op that names its own part there has one table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from attrs import field, frozen

from chainlang.ir.nodes import Each, Loop, Retry
from chainlang.plan.steps import Call, Count, Generate, Leaf, Repeat, Step
from chainlang.plan.visit import inner, named
from chainlang.semantics.combinators import MARKS, ONCE
from chainlang.semantics.record import Candidate, TraceEntry
from chainlang.semantics.seeds import Place
from chainlang.store.candidate_lines import NONE, Further
from chainlang.store.folder_names import folder_name

Numbers: TypeAlias = dict[str, int | None]
_COLUMNS: Mapping[str, str] = {
    MARKS[Each]: "item",
    MARKS[Loop]: "round",
    MARKS[Retry]: "attempt",
}
"""Column of the number after each mark in a place."""
_MOST = 4096  # places whose columns are kept


@frozen
class StageTable:
    """The table of a stage: its folder, and the place that the plan has for the stage."""

    folder: str
    stage: str
    place: Place
    """Place in the plan, with stars."""
    runs: tuple[range, ...]
    """Numbers of the repetitions around it, one for each ``&*``."""
    arms: tuple[str, ...] = ()
    """Keys of the arms of routes around it."""
    is_retried: bool = False
    """Whether failed samples of the stage are retried one by one."""

    def numbers(self, place: Place) -> Numbers | None:
        """Return the columns of a place, the first number being 0; None for another stage's place.

        A column is None if no combinator around the stage has such numbers; of several of a kind,
        it is the number of the innermost.
        """
        found: Numbers = dict.fromkeys(_COLUMNS.values())
        runs, rest = iter(self.runs), [*place]
        for part in self.place:
            first = rest[0] if rest else ""
            sign, star = part[:-1], part.endswith("*")
            if star and sign == "&":
                if _number(first, sign) not in next(runs):
                    return None
            elif star:
                number = _number(first, sign)
                found[_COLUMNS[sign[0]]] = 0 if number is None else number
                if number is None:
                    continue
            elif first != part:
                return None
            del rest[0]
        return None if rest else found


@frozen
class StageTables:
    """The tables of all stages of a plan, and the ops whose own part is such a table."""

    tables: tuple[StageTable, ...] = ()
    own: Mapping[str, str] = field(factory=dict)
    """Folder of each op that names its own part: the table of the part is that of the stage."""
    _known: dict[tuple[str, Place, tuple[str, ...]], StageTable] = field(
        factory=dict, init=False, eq=False
    )
    _columns: dict[tuple[str, Place, tuple[str, ...], Place], tuple[str, Further]] = field(
        factory=dict, init=False, eq=False
    )
    """Folder and columns of candidates by stage, place, arms, and the place of the candidate."""

    @classmethod
    def of(cls, root: Step) -> StageTables:
        """Return the tables of a plan, before any pass.

        >>> from chainlang import chain
        >>> from chainlang.plan.lower import lower
        >>> found = StageTables.of(lower(chain("(E & 2 * E & E) >> M").body).root)
        >>> [(one.folder, one.place) for one in found.tables]
        [('E', ('0', '&0')), ('E.2', ('0', '&*')), ('E.3', ('0', '&3')), ('M', ('1',))]
        """
        names = {one.name for one in named(root) if one.own}
        taken = {"flattened", "answers"}
        found: dict[tuple[str, Place, tuple[range, ...], tuple[str, ...]], StageTable] = {}
        seen: dict[str, int] = {}
        for leaf, runs in _leaves(root, ()):
            stage = _name(leaf)
            arms = () if stage in names else leaf.arms
            if (key := (stage, leaf.place, runs, arms)) in found:
                continue
            seen[stage] = number = seen.get(stage, 0) + 1
            folder = _folder(stage, number, taken)
            taken.add(folder)
            is_retried = not isinstance(leaf, Count) and leaf.tries != ONCE
            found[key] = StageTable(folder, stage, leaf.place, runs, arms, is_retried)
        own = {one.stage: one.folder for one in found.values() if one.stage in names}
        return cls(tuple(found.values()), own)

    @property
    def folders(self) -> set[str]:
        """The folders of all tables."""
        return {one.folder for one in self.tables}

    def columns(self, entry: TraceEntry) -> tuple[str, list[Further]]:
        """Return the folder of a completed stage, and further columns of each candidate."""
        stage, place, arms = entry.stage, entry.place, entry.arms
        found: list[Further] = []
        folder, further, last = "", NONE, None
        for one in entry.candidates:
            if one.place is not last:  # the samples of one prompt share it
                last = one.place
                key = (stage, place, arms, last)
                known = self._columns.get(key)
                if known is None:
                    if len(self._columns) >= _MOST:
                        self._columns.clear()
                    known = self._columns[key] = self._of(entry, one)
                folder, further = known
            found.append(further)
        return folder, found

    def _of(self, entry: TraceEntry, one: Candidate) -> tuple[str, Further]:
        table = self._table(entry)
        numbers = table.numbers(entry.place)
        assert numbers is not None
        own = _attempt(entry.place, one) if table.is_retried else numbers["attempt"]
        place = list(one.place or entry.place)
        return table.folder, Further.of({"place": place, **numbers, "attempt": own})

    def _table(self, entry: TraceEntry) -> StageTable:
        place = tuple(part for part in entry.place if part[0] not in _COLUMNS)
        key = (entry.stage, place, entry.arms)
        found = self._known.get(key)
        if found is None:
            fits = [
                one
                for one in self.tables
                if one.stage == entry.stage and one.numbers(entry.place) is not None
            ]
            # A pass may have taken the only arm that runs in place of its route.
            of_arms = (one for one in fits if one.arms == entry.arms)
            found = self._known[key] = next(of_arms, fits[0])
        return found


def _leaves(step: Step, runs: tuple[range, ...]) -> Iterator[tuple[Leaf, tuple[range, ...]]]:
    if isinstance(step, Leaf):
        yield step, runs
    if isinstance(step, Repeat):
        runs = (*runs, range(step.first, step.first + step.count))
    for one in inner(step):
        yield from _leaves(one, runs)


def _name(leaf: Leaf) -> str:
    match leaf:
        case Generate(stage):
            return stage.name
        case Call(function):
            return f"@{function.name}"
        case Count():
            return "M"


def _folder(stage: str, number: int, taken: set[str]) -> str:
    sign, name = ("@", stage[1:]) if stage.startswith("@") else ("", stage)
    suffix = f".{number}" if number > 1 else ""
    lowered = {one.lower() for one in taken}
    found = sign + folder_name(name, ()) + suffix
    while found.lower() in lowered:
        found += "~"
    return found


def _number(part: str, sign: str) -> int | None:
    """Return the number after a sign; None for another part."""
    digits = part.removeprefix(sign)
    return int(digits) if digits != part and digits.isdecimal() else None


def _attempt(place: Place, candidate: Candidate) -> int:
    """Return the number of the attempt of a sample that was retried by itself."""
    sign = MARKS[Retry]
    for part in candidate.place[len(place) :]:
        if part.startswith(sign):
            return int(part.lstrip(sign))
    return 0
