"""Pictures of chains: each is as it was, nothing overlaps, and no name breaks out."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from chainlang import M, chain, load
from chainlang.display.svg import WIDTH, svg
from chainlang.evaluation import family
from chainlang.ir.nodes import Expr, Named, Ref, Route, Stage
from chainlang.ir.visit import walk
from tests.display.chains import chains
from tests.display.geometry import drawn, faults, texts
from tests.hostile import HOSTILE

PICTURES = Path(__file__).parents[1] / "fixtures" / "pictures"
CHAINS = chains()


def test_there_are_forty_pictures() -> None:
    assert len(CHAINS) == 40
    assert {path.stem for path in PICTURES.glob("*.svg")} == CHAINS.keys()


@pytest.mark.parametrize("name", CHAINS)
def test_a_picture_is_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    path, actual = PICTURES / f"{name}.svg", CHAINS[name].svg() + "\n"
    if request.config.getoption("--update"):
        path.write_text(actual, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == actual


@pytest.mark.parametrize("name", CHAINS)
def test_nothing_stands_out_or_overlaps(name: str) -> None:
    picture = CHAINS[name].svg()
    assert drawn(picture)
    assert faults(picture) == []


@pytest.mark.parametrize("name", CHAINS)
def test_every_name_is_there(name: str) -> None:
    found = texts(CHAINS[name].svg())
    nodes = list(walk(CHAINS[name].body))
    wanted = {f"{one.name} =" for one in nodes if isinstance(one, Named)}
    wanted |= {f"${one.name}" for one in nodes if isinstance(one, Ref)}
    wanted |= {f'"{arm.key}"' for one in nodes if isinstance(one, Route) for arm in one.arms}
    assert wanted <= set(found)
    stages = [one.name for one in nodes if isinstance(one, Stage)]
    heads = [text.split(" ×")[0] for text in found]
    assert all(heads.count(name) >= stages.count(name) for name in stages)


def test_the_check_of_overlaps_finds_some() -> None:
    picture = chain("(fr = E & V) >> J").svg()
    assert faults(re.sub(r'height="28"', 'height="280"', picture))
    assert faults(re.sub(r'textLength="7.2"', 'textLength="720"', picture))


def test_definitions_are_expanded_where_they_are_used() -> None:
    found = texts(CHAINS["file_twice"].svg())
    assert found.count("$panel") == 2
    assert found.count("mood ×3") == 2
    assert texts(CHAINS["file"].svg()).count("mood ×3") == 1


def test_a_long_chain_goes_on_below() -> None:
    areas = [one.area for one in drawn(CHAINS["stages_30"].svg())]
    assert max(area.right for area in areas) < WIDTH + 100
    assert len({area.top for area in areas if area.of.startswith("V:")}) > 2


def _hostile(generator: random.Random) -> str:
    """Return a name made of markup, control characters and directions."""
    pieces = [
        *HOSTILE.values(),
        '"><script>alert(1)</script>',
        "</text></svg><img src=x onerror=alert(1)>",
        "<![CDATA[",
        "]]>",
        "<!--",
        "-->",
        "&lt;&#60;&amp",
        "\u202e\u2066",
        "\ud800",
        "\x00\x07",
        "</style><style>*{display:none}",
        "xlink:href='javascript:1'",
        "url(#a)",
        "名前" * 9,
        "é\u0301" * 9,
    ]
    return "".join(generator.choices(pieces, k=generator.randint(1, 4)))


def test_no_name_breaks_out() -> None:
    generator = random.Random(7)
    for _ in range(200):
        name = _hostile(generator)
        nodes: list[Expr] = [Stage("E", 1, name), Stage(name), Named(name, Stage("E")), Ref(name)]
        for node in nodes:
            picture = svg(node)
            assert faults(picture) == []
            assert "<script" not in picture
            assert "<img" not in picture
            picture.encode()


def test_a_picture_stays_small_however_much_it_stands_for() -> None:
    doubled = "\n".join(f"p{at + 1} = $p{at} & $p{at}" for at in range(12))
    large = load(text=f"p0 = E\n{doubled}\nmain = $p12 >> M")
    assert len(large.svg()) < 500_000
    wide = chain(" & ".join(["E"] * 200)) >> M
    assert "… 177 more" in texts(wide.svg())
    assert faults(wide.svg()) == []
    long = chain(" >> ".join(["E"] + ["V"] * 900))
    assert any(text.endswith("more") for text in texts(long.svg()))


# ---------------------------------------------------------------- families


FAMILIES = {
    "{1, 3}:E:{a, b}:{0.5, 0.7}(max_tokens={8, 16}) >> M": [
        "E ×{1, 3}",
        "{a, b}  T={0.5, 0.7}",
        "M",
    ],
    "3:E >> {M, J:big, V >> J}": ["E ×3", "one of", "M", "J", "V", "J"],
    "{E, E >> V} >> M": ["E", "one of", "nothing", "V", "M"],
    "E:a & {E:b, E:c}": ["E", "a", "&", "E", "{b, c}"],
    "x = {E, J}": ["x =", "one of", "E", "J"],
    "a = E | b = {E:b, 2:E:b:0.5 & E}": ["a =", "|", "b =", "one of", "E ×2", "&"],
    'fallback({E, J}, E) >> {M, M(by="x")}': ["one of", "M", 'by={default, "x"}'],
}


@pytest.mark.parametrize("text", FAMILIES)
def test_a_family_is_one_picture(text: str) -> None:
    picture = family(text).svg()
    assert faults(picture) == []
    found = texts(picture)
    for word in FAMILIES[text]:
        found.remove(word)


def test_a_family_of_many_chains_fits_a_picture() -> None:
    made = family("{1, 2, 3, 4}:E:{a, b, c} >> {2, 3}:V:{a, b}:0.5 >> {M, J, S, J:a, J:b}")
    assert len(made) == 240
    assert made.svg().count("<rect") < 16
    assert "image/svg+xml" in made._repr_mimebundle_()
