"""Addresses of PostgreSQL: checked, and shown without user and password."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

from chainlang.errors import ChainlangError, error_of
from chainlang.protocol.secret import Secret, without

EXAMPLE = "postgresql://host:5432/database"
_HINT = (
    f'write it like "{EXAMPLE}", or env("DATABASE_URL"); '
    "in a password, write / as %2F, @ as %40 and # as %23"
)
_SCHEME = re.compile(r"postgres(ql)?://")


@frozen(repr=False)
class Address:
    """The address of a database."""

    url: Secret
    name: str
    """Scheme, host, port and database, without user and password."""
    password: Secret

    @staticmethod
    def of(url: Secret) -> Address:
        """Return the address of a text. Raises `SourceError` without showing the text.

        It also does so if the package psycopg is not installed.
        """
        try:
            from psycopg import ProgrammingError
            from psycopg.conninfo import conninfo_to_dict
        except ImportError as error:
            hint = "run: pip install 'chainlang[postgres]'"
            raise error_of("file", "a store in PostgreSQL needs psycopg", hint) from error
        parts: dict[str, Any] | None = None
        if is_address(url):
            try:
                parts = conninfo_to_dict(url)
            except ProgrammingError:
                parts = None  # its message has a part of the address, maybe of the password
        if parts is None:
            raise odd_address()
        host, port = str(parts.get("host", "localhost")), parts.get("port")
        where = f"{host}:{port}" if port else host
        name = f"postgresql://{where}/{parts.get('dbname') or ''}"
        return Address(url, name, Secret(parts.get("password") or ""))

    def __repr__(self) -> str:
        return f"Address({self.name!r})"

    def without_password(self, text: str) -> str:
        """Return a text without the password and the address."""
        return without(self.password, text.replace(self.url, self.name))


def is_address(url: str) -> bool:
    """Return whether a text begins as an address, and an ``@`` stands behind a user alone.

    >>> is_address("postgresql://me:secret@host/database"), is_address("postgres://a:b/c@host/d")
    (True, False)
    """
    found = _SCHEME.match(url)
    if found is None:
        return False
    rest = url[found.end() :]
    return "@" not in rest[re.search(r"[/?#]|\Z", rest).start() :]  # type: ignore[union-attr]


def odd_address() -> ChainlangError:
    """Return the error of a text that is no address; it does not show the text."""
    return error_of("file", "store is not an address of PostgreSQL", _HINT)
