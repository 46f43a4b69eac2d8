"""Write the TextMate grammar, or pack the VS Code extension: `python editors/build.py [FOLDER]`.

Without a folder the grammar is written to `editors/textmate`; with one, the extension is packed
into it as a `.vsix` file, which needs no Node.js.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from chainlang import __version__
from chainlang.notation.highlight import Class, Rule, State, rules

HERE = Path(__file__).parent
GRAMMAR = HERE / "textmate" / "chainlang.tmLanguage.json"
SCOPES: Mapping[Class, str] = {
    "comment": "comment.line.number-sign",
    "count": "constant.numeric.integer.count",
    "error": "invalid.illegal",
    "function": "entity.name.function",
    "keyword": "keyword.control",
    "label": "variable.parameter",
    "model": "entity.name.namespace",
    "name": "entity.name.type",
    "number": "constant.numeric",
    "operator": "keyword.operator",
    "punctuation": "punctuation",
    "reference": "variable.other",
    "string": "string.quoted",
    "temperature": "constant.numeric.float.temperature",
}
"""The TextMate scope of each class, without the suffix `.chainlang`."""
_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">\
<Default Extension="json" ContentType="application/json"/>\
<Default Extension="js" ContentType="application/javascript"/>\
<Default Extension="md" ContentType="text/markdown"/>\
<Default Extension="vsixmanifest" ContentType="text/xml"/></Types>
"""
_MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
<Metadata><Identity Language="en-US" Id={name} Version={version} Publisher={publisher}/>
<DisplayName>{display}</DisplayName><Description>{description}</Description>
<Categories>Programming Languages</Categories>
<Properties><Property Id="Microsoft.VisualStudio.Code.Engine" Value={engine}/></Properties>
</Metadata>
<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
<Dependencies/>
<Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json"\
 Addressable="true"/></Assets>
</PackageManifest>
"""


def textmate() -> dict[str, Any]:
    """Return the TextMate grammar of the notation."""
    found = rules()
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "chainlang",
        "scopeName": "source.chainlang",
        "fileTypes": ["chain"],
        "patterns": [{"include": "#chain"}],
        "repository": {state: {"patterns": _patterns(state, found)} for state in found},
    }


def _patterns(state: State, found: Mapping[State, tuple[Rule, ...]]) -> list[dict[str, Any]]:
    patterns: list[dict[str, Any]] = []
    for rule in found[state]:
        if rule.leave or set(rule.classes) == {"space"}:
            continue  # it stands with the rule that enters the state; a space has no scope
        if rule.enter is None:
            patterns.append({"match": rule.pattern, "captures": _captures(rule)})
            continue
        end = next(one for one in found[rule.enter] if one.leave)
        patterns.append(
            {
                "begin": rule.pattern,
                "beginCaptures": _captures(rule),
                "end": end.pattern,
                "endCaptures": _captures(end),
                "patterns": [{"include": f"#{rule.enter}"}],
            }
        )
    return patterns


def _captures(rule: Rule) -> dict[str, dict[str, str]]:
    return {
        str(group): {"name": f"{SCOPES[kind]}.chainlang"}
        for group, kind in enumerate(rule.classes, 1)
        if kind != "space"
    }


def grammar_json() -> str:
    """Return the text of the TextMate grammar."""
    return json.dumps(textmate(), indent=2) + "\n"


def pack(folder: Path) -> Path:
    """Pack the VS Code extension into a folder; return the path of the file."""
    package = json.loads((HERE / "vscode" / "package.json").read_text(encoding="utf-8"))
    package["version"] = __version__
    manifest = _MANIFEST.format(
        name=quoteattr(package["name"]),
        version=quoteattr(__version__),
        publisher=quoteattr(package["publisher"]),
        display=package["displayName"],
        description=package["description"],
        engine=quoteattr(package["engines"]["vscode"]),
    )
    files = {
        "[Content_Types].xml": _TYPES,
        "extension.vsixmanifest": manifest,
        "extension/package.json": json.dumps(package, indent=2),
        "extension/chainlang.tmLanguage.json": grammar_json(),
    }
    for name in ("README.md", "extension.js", "client.js", "language-configuration.json"):
        files[f"extension/{name}"] = (HERE / "vscode" / name).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"chainlang-{__version__}.vsix"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # of no date: equal texts, equal bytes
    return target


if __name__ == "__main__":
    GRAMMAR.write_text(grammar_json(), encoding="utf-8")
    if sys.argv[1:]:
        print(pack(Path(sys.argv[1])))
