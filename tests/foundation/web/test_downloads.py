"""Files of replies, and what a killed process leaves of them."""

import os
import tempfile
from pathlib import Path

import pytest

from app.foundation.web import downloads


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_file_is_ours_alone_and_gone_once_it_is_closed(folder: Path) -> None:
    with downloads.new() as file:
        (path,) = folder.iterdir()
        assert (str(path), path.stat().st_mode & 0o777) == (file.name, 0o600)
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_is_deleted_and_what_may_still_be_handed_over_is_not(folder: Path) -> None:
    names = ("keyturn-download-old", "keyturn-download-new", "another")
    for name, age in zip(names, (61, 59, 1_000), strict=True):
        (folder / name).touch()
        os.utime(folder / name, (10_000 - age, 10_000 - age))
    (folder / "keyturn-download-link").symlink_to(folder / "another")
    downloads.forget(10_000)
    assert {path.name for path in folder.iterdir()} == {*names[1:], "keyturn-download-link"}
