"""SQLite's own door to the disk, with a point before each write, sync and cut.

A copy of the system's VFS in which three methods are ours. It is registered in the library that
Python's `sqlite3` uses, for this process, as the one that new connections get.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
from collections.abc import Callable
from typing import Any

FULL, WRITE, SYNC, TRUNCATE = 13, 778, 1034, 1546  # SQLITE_FULL, and the SQLITE_IOERR_... of each

_Pointer, _Int, _Wide = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_Open = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Pointer, _Int, ctypes.POINTER(ctypes.c_int))
_Write = ctypes.CFUNCTYPE(_Int, _Pointer, _Pointer, _Int, _Wide)
_Truncate = ctypes.CFUNCTYPE(_Int, _Pointer, _Wide)
_Sync = ctypes.CFUNCTYPE(_Int, _Pointer, _Int)


class _Vfs(ctypes.Structure):
    _fields_ = [
        ("version", _Int),
        ("file_size", _Int),
        ("longest_path", _Int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Pointer),
        ("others", _Pointer * 16),
    ]


class _Methods(ctypes.Structure):
    _fields_ = [
        ("version", _Int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        ("others", _Pointer * 13),
    ]


_kept: list[Any] = []  # what SQLite has pointers to


def install(cross: Callable[[str], object]) -> None:
    """Call `cross` before each step; an `OSError` that it raises is what becomes of the step."""
    library = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
    library.sqlite3_vfs_register.argtypes = [ctypes.POINTER(_Vfs), _Int]
    found = library.sqlite3_vfs_find(None).contents
    ours = _Vfs.from_buffer_copy(found)
    ours.name = b"with-points"
    really_open = _Open(found.open)
    tables: dict[int, _Methods] = {}

    def opened(vfs: Any, name: Any, file: Any, flags: int, told: Any) -> int:
        status = really_open(vfs, name, file, flags, told)
        methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
        address = methods[0]
        if status == 0 and address:
            if address not in tables:
                tables[address] = _with_points(address, cross)
            methods[0] = ctypes.addressof(tables[address])
        return int(status)

    opening = _Open(opened)
    ours.open = ctypes.cast(opening, _Pointer)
    _kept.extend([ours, opening, tables, found])
    assert library.sqlite3_vfs_register(ctypes.byref(ours), 1) == 0


def _with_points(address: int, cross: Callable[[str], object]) -> _Methods:
    real = _Methods.from_address(address)
    ours = _Methods.from_buffer_copy(real)
    write, truncate, sync = _Write(real.write), _Truncate(real.truncate), _Sync(real.sync)

    def passed(name: str, otherwise: int) -> int:
        try:
            cross(name)
        except OSError as error:
            return FULL if error.errno == errno.ENOSPC else otherwise
        return 0

    def writes(file: Any, data: Any, size: int, offset: int) -> int:
        status = passed("sqlite write", WRITE)
        if status:
            write(file, data, size // 2, offset)  # as a disk does that fills up, or breaks
            return status
        return int(write(file, data, size, offset))

    def truncates(file: Any, size: int) -> int:
        return passed("sqlite truncate", TRUNCATE) or int(truncate(file, size))

    def syncs(file: Any, flags: int) -> int:
        return passed("sqlite sync", SYNC) or int(sync(file, flags))

    functions = (_Write(writes), _Truncate(truncates), _Sync(syncs))
    ours.write, ours.truncate, ours.sync = (ctypes.cast(one, _Pointer) for one in functions)
    _kept.extend([ours, functions, write, truncate, sync])
    return ours
