"""Files on disk: hashes, atomic writes, one writer a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from benchmark.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file.

    Raises:
        UserError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}. Check that the data is complete.") from error


def hash_files(paths: Sequence[Path]) -> list[str]:
    """Return the hex SHA-256 of each file, in order. A file is read once a process, unless its size or one of its times
    has changed since.

    Raises:
        UserError: one can't be read.
    """
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(_hashed, paths))


def _hashed(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return sha256(path)  # which says what is wrong
    # The time of change is set by the kernel alone, so that no copy that keeps its dates goes unnoticed.
    return _hash_once(path, (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))


@lru_cache(maxsize=100_000)
def _hash_once(path: Path, state: tuple[int, ...]) -> str:
    return sha256(path)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, sync it and rename it: readers see the old file or the whole new one.

    Raises:
        UserError: the folder is read-only or full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise UserError(
            f"Can't write {path}: {error.strerror}. Make room, or name another folder (--runs, --cache, --out); what "
            "is already stored is kept."
        ) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


@contextmanager
def only_writer(folder: Path, flag: str = "--runs") -> Iterator[None]:
    """Hold ``folder``, which ``flag`` names, as its only writer; the kernel lets go when the process dies.

    Raises:
        UserError: another process holds it, or it can't be made.
    """
    if fcntl is None:
        raise UserError("dermcir locks its folders as Linux and macOS do; on Windows run it in WSL.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except OSError as error:
        raise UserError(
            f"Can't write to the {flag[2:]} folder {folder}: {error.strerror}. Choose another one with {flag}."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"Another run is writing to {folder}. Wait until it ends, or give this one its own folder with {flag}."
            ) from None
        except OSError as error:
            raise UserError(
                f"The file system of {folder} can't lock it ({error.strerror}). Choose a folder on a local disk with "
                f"{flag}."
            ) from error
        yield
