"""The language server: the services of `chainlang.editing` as features of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, field
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import TextDocument

from chainlang import __version__
from chainlang.cli.lsp.documents import Documents, Reading, diagnostics, everywhere, use_of
from chainlang.cli.lsp.places import Places
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.editing.complete import Kind, complete
from chainlang.editing.describe import describe
from chainlang.editing.fixes import fixes
from chainlang.editing.names import declaration, name_at, occurrences, refusal
from chainlang.errors import ChainlangError
from chainlang.notation.format import format_text
from chainlang.notation.parse import source
from chainlang.pipelines.load import is_steps

Edits: TypeAlias = dict[str, list[types.TextEdit]]
QUIET = 0.05
"""Seconds without a change, after which a text is checked."""
MOST_FILES = 500
"""Maximum number of files in which a name is replaced."""
_KINDS: Mapping[Kind, types.CompletionItemKind] = {
    "combinator": types.CompletionItemKind.Function,
    "definition": types.CompletionItemKind.Variable,
    "field": types.CompletionItemKind.Field,
    "function": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "model": types.CompletionItemKind.Module,
    "option": types.CompletionItemKind.Property,
    "stage": types.CompletionItemKind.Class,
    "type": types.CompletionItemKind.Struct,
    "value": types.CompletionItemKind.Value,
}


@define(slots=False)
class Service:
    """The open documents, and what is known of them."""

    server: LanguageServer
    documents: Documents = field(factory=Documents)
    pending: dict[str, asyncio.TimerHandle] = field(factory=dict)

    # ------------------------------------------------------------ documents

    def document(self, uri: str) -> TextDocument:
        """Return an open document."""
        return self.server.workspace.get_text_document(uri)

    def path(self, uri: str) -> Path:
        """Return the path of a document; that of a new one, which has no file yet."""
        found = to_fs_path(uri) if uri.startswith("file:") else None
        return Path(found) if found else Path.cwd() / "untitled.chain"

    def places(self, text: str, name: str) -> Places:
        """Return the positions of a text."""
        return Places(source(text, name), self.server.workspace.position_codec)

    def read(self, uri: str) -> tuple[Reading, Places, Path]:
        """Return the reading of a document, its positions and its path."""
        document, path = self.document(uri), self.path(uri)
        try:
            text = document.source or ""
        except OSError:  # it is not open, and there is no such file
            text = ""
        reading = self.documents.reading(path, document.version, text)
        return reading, self.places(text, str(path)), path

    def changed(self, uri: str) -> None:
        """Check a document, and those that use it, when nothing has changed for a moment."""
        if uri in self.pending:
            self.pending[uri].cancel()
        loop = asyncio.get_running_loop()
        self.pending[uri] = loop.call_later(QUIET, self.check, uri)

    def check(self, uri: str, *, alone: bool = False) -> None:
        """Publish the diagnostics of a document, and of those that use it."""
        self.pending.pop(uri, None)
        self.forget_ended()
        reading, places, path = self.read(uri)
        found = diagnostics(path, self.documents.texts)
        params = types.PublishDiagnosticsParams(
            uri,
            [self.diagnostic(one, reading.text, places, path) for one in found],
            self.document(uri).version,
        )
        self.server.text_document_publish_diagnostics(params)
        for user in () if alone else self.documents.users(path):
            self.check(from_fs_path(str(user)) or "", alone=True)

    def forget_ended(self) -> None:
        """Drop the futures of notifications, which pygls 2.1 keeps: about 3 kB for each edit."""
        futures = self.server.protocol._request_futures
        for one in [key for key, future in futures.items() if future.done()]:
            del futures[one]

    def closed(self, uri: str) -> None:
        """Forget a document, and what is shown of it."""
        if uri in self.pending:
            self.pending.pop(uri).cancel()
        self.documents.close(self.path(uri))
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def diagnostic(
        self, found: Diagnostic, text: str, places: Places, path: Path
    ) -> types.Diagnostic:
        """Return a diagnostic of the protocol; one of another file stands at its `use`."""
        message = found.message if found.hint is None else f"{found.message}\nhint: {found.hint}"
        related = []
        span = found.span
        if span is not None and span.source.name != str(path):
            line, _ = span.source.position(span.start)
            message = f"{span.source.name}:{line}: {message}"
            related.append(types.DiagnosticRelatedInformation(self.location(span), found.message))
            note = use_of(text, path, span.source.name)
            span = note.span if note is not None else None
        start, end = (0, 0) if span is None else (span.start, max(span.end, span.start + 1))
        offered = [] if related else list(fixes(found))
        return types.Diagnostic(
            places.range(start, end),
            message,
            severity=types.DiagnosticSeverity.Error
            if found.severity == "error"
            else types.DiagnosticSeverity.Warning,
            code=found.code,
            source="chainlang",
            related_information=related or None,
            data=[
                {"title": one.title, "text": one.text, "start": one.span.start, "end": one.span.end}
                for one in offered
            ],
        )

    def location(self, span: Span) -> types.Location:
        """Return the place of a span in its file."""
        places = self.places(span.source.text, span.source.name)
        uri = from_fs_path(str(Path(span.source.name).absolute())) or ""
        return types.Location(uri, places.range(span.start, span.end))

    def files(self, path: Path) -> list[Path]:
        """Return the chains of the folder that is open, with the file of a path."""
        root = Path(self.server.workspace.root_path or path.parent)
        others = sorted(root.rglob("*.chain"))[:MOST_FILES] if root.is_dir() else []
        return list(dict.fromkeys([path, *others]))

    # ------------------------------------------------------------ features

    def completion(self, params: types.CompletionParams) -> list[types.CompletionItem]:
        """Return what may stand at a position."""
        reading, places, _ = self.read(params.text_document.uri)
        at = places.offset(params.position)
        return [
            types.CompletionItem(
                one.text,
                kind=_KINDS[one.kind],
                detail=one.detail,
                text_edit=types.TextEdit(places.range(one.start, at), one.text),
            )
            for one in complete(places.source.text, at, reading.items)
        ]

    def hover(self, params: types.HoverParams) -> types.Hover | None:
        """Return the meaning of the word at a position."""
        reading, places, path = self.read(params.text_document.uri)
        at = places.offset(params.position)
        found = describe(places.source.text, at, reading.items, str(path))
        if found is None:
            return None
        text = types.MarkupContent(types.MarkupKind.Markdown, found.markdown)
        return types.Hover(text, places.range(found.start, found.end))

    def definition(self, params: types.DefinitionParams) -> types.Location | None:
        """Return where the name at a position is declared."""
        reading, places, path = self.read(params.text_document.uri)
        found = name_at(reading.items, str(path), places.offset(params.position))
        there = None if found is None else declaration(reading.items, found)
        return None if there is None else self.location(there.span)

    def renamable(self, params: types.PrepareRenameParams) -> types.Range | None:
        """Return the range of the name at a position, if it can have another."""
        reading, places, path = self.read(params.text_document.uri)
        found = name_at(reading.items, str(path), places.offset(params.position))
        if found is None or declaration(reading.items, found) is None:
            return None
        return places.range(found.span.start, found.span.end)

    def rename(self, params: types.RenameParams) -> types.WorkspaceEdit:
        """Return the edits that give the name at a position another one."""
        reading, places, path = self.read(params.text_document.uri)
        found = name_at(reading.items, str(path), places.offset(params.position))
        if found is None:
            raise JsonRpcInvalidParams("there is no name here that a file declares")
        why = refusal(reading.items, found, params.new_name)
        if why is not None:
            raise JsonRpcInvalidParams(why)
        there = declaration(reading.items, found)
        assert there is not None  # else it is refused
        if found.kind == "label":  # other files may have one of their own with this name
            places_of_it = [one.span for one in occurrences(reading.items, found)]
        else:
            places_of_it = everywhere(there, self.files(path), self.documents.texts)
        spans = {(one.source.name, one.start): one for one in places_of_it}
        edits: Edits = {}
        for span in spans.values():
            where = self.location(span)
            edits.setdefault(where.uri, []).append(types.TextEdit(where.range, params.new_name))
        return types.WorkspaceEdit(changes=edits)

    def formatting(self, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        """Return the edit that formats a document; None if it has a syntax error."""
        _, places, _ = self.read(params.text_document.uri)
        try:
            new = format_text(places.source)
        except ChainlangError:
            return None  # the diagnostics say why
        if new == places.source.text:
            return []
        return [types.TextEdit(places.range(0, len(places.source.text)), new)]

    def actions(self, params: types.CodeActionParams) -> list[types.CodeAction]:
        """Return the fixes of the diagnostics at a place."""
        uri = params.text_document.uri
        _, places, _ = self.read(uri)
        found = []
        for one in params.context.diagnostics:
            offered = one.data if isinstance(one.data, list) else []
            for fix in offered:
                edit = types.TextEdit(places.range(fix["start"], fix["end"]), fix["text"])
                found.append(
                    types.CodeAction(
                        fix["title"],
                        kind=types.CodeActionKind.QuickFix,
                        diagnostics=[one],
                        edit=types.WorkspaceEdit(changes={uri: [edit]}),
                        is_preferred=len(offered) == 1,
                    )
                )
        return found


def server() -> LanguageServer:
    """Return a server with all features."""
    made = LanguageServer("chainlang", __version__)
    service = Service(made)

    @made.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        service.check(params.text_document.uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        service.changed(params.text_document.uri)

    @made.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def closed(params: types.DidCloseTextDocumentParams) -> None:
        service.closed(params.text_document.uri)

    triggers = [":", "$", "(", "{", ".", "@"]
    options = types.CompletionOptions(trigger_characters=triggers)
    renaming = types.RenameOptions(prepare_provider=True)
    kinds = types.CodeActionOptions([types.CodeActionKind.QuickFix])
    features: list[tuple[str, Any, Callable[[Any], Any]]] = [
        (types.TEXT_DOCUMENT_COMPLETION, options, service.completion),
        (types.TEXT_DOCUMENT_HOVER, None, service.hover),
        (types.TEXT_DOCUMENT_DEFINITION, None, service.definition),
        (types.TEXT_DOCUMENT_PREPARE_RENAME, None, service.renamable),
        (types.TEXT_DOCUMENT_RENAME, renaming, service.rename),
        (types.TEXT_DOCUMENT_FORMATTING, None, service.formatting),
        (types.TEXT_DOCUMENT_CODE_ACTION, kinds, service.actions),
    ]
    for name, given, method in features:
        both = name == types.TEXT_DOCUMENT_CODE_ACTION
        made.feature(name, given)(_function(method, service if not both else None))
    return made


def _function(method: Callable[[Any], Any], service: Service | None) -> Callable[[Any], Any]:
    """Return a method as a function, on which pygls sets attributes.

    With `service`, it does nothing in files of steps: they have the words of YAML, which editors
    complete by the schema that `chainlang schema` prints.
    """

    def call(params: Any) -> Any:
        if service is not None and is_steps(service.path(params.text_document.uri)):
            return None
        return method(params)

    return call
