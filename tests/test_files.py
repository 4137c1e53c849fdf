"""Hashes of files, never taken for those of another content; and the lock that not every system has."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from benchmark import files
from benchmark.errors import UserError


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    real = files.sha256
    monkeypatch.setattr(files, "sha256", lambda path: read.append(path) or real(path))  # type: ignore[func-returns-value]
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"one")
    assert files.hash_files([picture, picture]) == [hashlib.sha256(b"one").hexdigest()] * 2
    before = len(read)
    files.hash_files([picture])
    assert len(read) == before
    picture.write_bytes(b"three")
    assert files.hash_files([picture]) == [hashlib.sha256(b"three").hexdigest()]


def test_a_content_of_the_same_size_that_keeps_the_date_is_noticed(tmp_path: Path) -> None:
    picture, other = tmp_path / "a.jpg", tmp_path / "b.jpg"
    picture.write_bytes(b"one")
    (first,) = files.hash_files([picture])
    times = picture.stat()
    other.write_bytes(b"two")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, picture)
    assert picture.stat().st_mtime_ns == times.st_mtime_ns
    assert files.hash_files([picture]) == [hashlib.sha256(b"two").hexdigest()] != [first]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jpg: No such file"):
        files.hash_files([tmp_path / "gone.jpg"])


def test_a_system_without_locks_is_told_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "fcntl", None)
    with pytest.raises(UserError, match="on Windows run it in WSL"), files.only_writer(tmp_path / "runs"):
        raise AssertionError("nothing may be written without a lock")
    assert not (tmp_path / "runs").exists()
