"""Loading of `.chain` files with the files that they use, all inside the folder of the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from attrs import define, evolve, field

from chainlang import plugins
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, LimitError, SourceError, error_of
from chainlang.ir.builtins import EXAMPLES, is_rows_path
from chainlang.ir.declarations import File, Item, Model, Op, Setting, Use
from chainlang.ir.model_settings import ADAPTER, TEMPLATE, is_path
from chainlang.ir.visit import measure
from chainlang.limits import current
from chainlang.notation.parse import Parsed, UnparsedNames, read_items, source


def read_source(path: Path, span: Span | None = None) -> Source:
    """Return the text of a file. Its size is checked before it is read.

    Raises `SourceError` for a file that is missing, not a regular file or not UTF-8, and
    `LimitError` for one that is too large. `span` is the place of the `use`, for the error.
    """

    def refuse(message: str, hint: str | None = None) -> ChainlangError:
        return error_of("file", f"{path}: {message}", hint, span=span)

    try:
        if not path.is_file():
            what = "not a regular file" if path.exists() else "no such file"
            what = "is a folder" if path.is_dir() else what
            raise refuse(what)
        size = path.stat().st_size
        current().check("source_bytes", size, f"{path}: a file of {size:,} bytes", span)
        with path.open("rb") as file:  # a file that grows meanwhile is cut off
            data = file.read(current().source_bytes + 1)
        current().check("source_bytes", len(data), f"{path}: a file that grows", span)
    except OSError as error:
        raise refuse(error.strerror or "the file can't be read") from error
    except ValueError as error:  # a NUL in the path
        raise refuse("invalid path") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{data[error.start]:02x} in line {line} is not UTF-8"
        raise refuse(where, "save the file as UTF-8") from error
    return source(text, str(path))


def read_chain_file(path: Path, texts: Mapping[Path, str] | None = None) -> Parsed[File]:
    """Return the items of a file and of all files that it uses, with all diagnostics.

    `texts`: of files that are open in an editor, in place of those on disk. Raises the errors of
    the first file if it can't be read.
    """
    loader = _Loader(texts or {})
    items = loader.load(path, ())
    return Parsed(File(tuple(items), span=loader.whole), tuple(loader.found), loader.lost)


@define
class _Loader:
    texts: Mapping[Path, str]
    found: list[Diagnostic] = field(factory=list)
    seen: set[Path] = field(factory=set)
    lost: UnparsedNames = field(factory=UnparsedNames)
    whole: Span | None = None
    """Span of the first file."""
    size: int = 0
    """Number of nodes of the files read so far."""

    def load(self, path: Path, users: tuple[Path, ...], span: Span | None = None) -> list[Item]:
        """Return the items of a file, with the items of used files in place of each `use`."""
        current().check("files", len(self.seen) + 1, f"more than {current().files} files", span)
        current().check("depth", len(users) + 1, f"files used {len(users) + 1} deep", span)
        given = self.texts.get(path)
        text = read_source(path, span) if given is None else source(given, str(path))
        resolved = path.resolve()
        self.seen.add(resolved)
        parsed = read_items(text)
        self.size += measure(parsed.node)[0]
        current().check("nodes", self.size, f"files of {self.size:,} nodes together", span)
        self.found += parsed.diagnostics
        self.lost |= parsed.lost
        self.whole = self.whole or parsed.node.span
        items: list[Item] = []
        for item in parsed.node.items:
            if isinstance(item, Use):
                items += self.use(item, path, (*users, resolved))
            else:
                items.append(self.with_texts(item, path))
        return items

    def with_texts(self, item: Item, path: Path) -> Item:
        """Return an item with the text of each file that it names in place of the path."""
        match item:
            case Model():
                return self.whole_model(item, path)
            case Op():
                return self.whole_op(item, path)
        return item

    def whole_op(self, item: Op, path: Path) -> Op:
        """Return an op with its examples in place of the path of their file."""
        settings: list[Setting] = []
        for one in item.settings:
            if one.name != EXAMPLES or not is_rows_path(one.value):
                settings.append(one)
                continue
            where = part_span(one.span, "value")
            try:
                rows = read_source(inside_folder(path.parent, str(one.value), where), where)
            except ChainlangError as error:
                self.found += error.diagnostics
                kept = (it for it in item.settings if not it.name.startswith(EXAMPLES))
                return evolve(item, settings=tuple(kept))
            span = one.span or Span(rows, 0, 0)
            parts = {**dict(span.parts), "value": Span(rows, 0, len(rows.text))}
            span = evolve(span, parts=tuple(parts.items()))
            settings.append(evolve(one, value=rows.text, span=span))
        return evolve(item, settings=tuple(settings))

    def whole_model(self, item: Model, path: Path) -> Model:
        """Return a model with the text of its chat template in place of the template's path."""
        settings = []
        for one in item.settings:
            if one.name == TEMPLATE and is_path(one.value):
                where = part_span(one.span, "value")
                try:
                    target = inside_folder(path.parent, str(one.value), where)
                    text = read_source(target, where).text
                    if is_path(text):
                        hint = "a template prints the messages: {{ message['content'] }}"
                        what = f"{target} is no chat template: it has no {{ in it"
                        raise error_of("file", what, hint, span=where)
                    settings.append(evolve(one, value=text))
                    continue
                except ChainlangError as error:
                    self.found += error.diagnostics
            elif one.name == ADAPTER and isinstance(one.value, str):
                settings.append(evolve(one, value=self.adapter(one.value, one, path)))
                continue
            settings.append(one)
        return evolve(item, settings=tuple(settings))

    def adapter(self, name: str, setting: Setting, path: Path) -> str:
        """Return the folder of an adapter, or its name on the hub if there is no such folder."""
        where = part_span(setting.span, "value")
        try:
            folder = inside_folder(path.parent, name, where)
        except ChainlangError as error:
            self.found += error.diagnostics
            return name
        is_of_hub = name.count("/") == 1 and not name.startswith(".") and not folder.exists()
        return name if is_of_hub else str(folder.absolute())

    def use(self, item: Use, path: Path, users: tuple[Path, ...]) -> list[Item]:
        where = part_span(item.span, "name")
        if any(one.span == where for one in self.found):  # already diagnosed as not a path
            self.lost |= UnparsedNames(everything=True)
            return []
        try:
            if item.path.startswith(plugins.PREFIX):
                return self.plugin(item.path.removeprefix(plugins.PREFIX), where)
            target = inside_folder(path.parent, item.path, where)
            resolved = target.resolve()
            if resolved in users:
                start = users.index(resolved)
                names = " -> ".join(user.name for user in (*users[start:], target))
                message = f"these files use each other: {names}"
                hint = "a file can use others, but not one that leads back to it"
                raise error_of("cycle", message, hint, span=where)
            return [] if resolved in self.seen else self.load(target, users, where)
        except LimitError:
            raise
        except ChainlangError as error:
            self.found += error.diagnostics
            self.lost |= UnparsedNames(everything=True)
            return []

    def plugin(self, name: str, where: Span | None) -> list[Item]:
        """Return the items of a plugin's text, once."""
        found = plugins.find("ops", name)
        if found is None:
            known = plugins.names("ops")
            hint = suggest(name, known, "chainlang plugins lists those that are installed")
            raise error_of("file", f"there is no plugin {name!r} with ops", hint, span=where)
        mark = Path(f"<plugin {found.origin}>")
        if mark in self.seen:
            return []
        self.seen.add(mark)
        try:
            parsed = read_items(source(found.text(), str(mark)))
        except SourceError as error:
            raise SourceError(evolve(one, span=where) for one in error.diagnostics) from error
        self.found += parsed.diagnostics
        self.lost |= parsed.lost
        return [one for one in parsed.node.items if not isinstance(one, Use)]


def inside_folder(folder: Path, name: str, span: Span | None) -> Path:
    """Return the path of a file that another names.

    Raises `SourceError` if it is outside the folder.
    """
    pure = PurePosixPath(name)
    hint = "a file can name files beside or below it"

    def refuse(why: str) -> ChainlangError:
        return error_of("path", f"{name!r} {why}", hint, span=span)

    if pure.is_absolute() or "\\" in name or "\0" in name or (len(name) > 1 and name[1] == ":"):
        raise refuse("is not a relative path with forward slashes")
    if ".." in pure.parts:
        raise refuse("has '..' in it")
    target = folder.joinpath(*pure.parts)
    try:
        inside = target.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of symbolic links
        inside = False
    if not inside:
        raise refuse("leads out of the folder through a symbolic link")
    return target
