"""The list of common passwords that is shipped, and the file that holds it."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.password.blocklist import MAGIC, Blocklist, pack
from app.factors.password.rules import LEAST, fold, normalise
from app.foundation.settings import ROOT
from tests.factors.password.parts import BLOCKLIST


def listed(tmp_path: Path, *passwords: str) -> Blocklist:
    path = tmp_path / "list.bin"
    path.write_bytes(pack(passwords))
    return Blocklist(path)


# ---- what is shipped


@pytest.mark.parametrize(
    "common",
    ["password", "PASSWORD1234", "qwertyuiop12", "1q2w3e4r5t6y", "passwordpassword", "AaAaAaAaAaAa", "123456789012"],
)
def test_common_passwords_are_on_it_in_any_capitals(common):
    assert BLOCKLIST.blocked(common)


@pytest.mark.parametrize(
    "unusual",
    [
        "correct horse battery staple",
        "my password is a long one",  # the word alone is on it, and bans nothing longer
        "password ",
        "q7-Wicker-Lantern-Oboe",
        "\U0001f3c6" * 12,
        "",
    ],
)
def test_others_are_not(unusual):
    assert not BLOCKLIST.blocked(unusual)


def test_a_password_that_is_not_on_it_is_hardly_ever_taken_for_one():
    """474,743 of 2**40 digests: one in 2.3 million. Fifty thousand others meet none of them."""
    assert len(BLOCKLIST) == 474_743
    assert len(BLOCKLIST) / 2**40 < 1 / 2_000_000
    # the same ones each time: of fresh random ones some would meet one in every forty-sixth run
    assert sum(BLOCKLIST.blocked(f"{number} stands on no list") for number in range(50_000)) == 0


def test_it_is_small_and_named_with_its_licence():
    path = ROOT / "config" / "blocklist.bin"
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")

    assert path.stat().st_size == 16 + 5 * len(BLOCKLIST)
    for word in ("config/blocklist.bin", "SecLists", "MIT License", "Daniel Miessler", "config/build_blocklist.py"):
        assert word in notice


# ---- the file


def test_the_first_and_the_last_entry_are_found(tmp_path):
    passwords = [f"password number {i}" for i in range(500)]
    it = listed(tmp_path, *passwords)

    assert len(it) == 500
    assert all(it.blocked(password) for password in passwords)
    assert not any(it.blocked(f"password number {i}") for i in range(500, 1_000))


def test_an_empty_list_blocks_nothing(tmp_path):
    it = listed(tmp_path)

    assert len(it) == 0
    assert not it.blocked("password")


def test_entries_are_folded_and_composed_and_the_short_and_impossible_left_out(tmp_path):
    it = listed(tmp_path, "SommerCafe\u0301", "short12", "tab\tinside", "sommercaf\u00e9", "\ud800aaaaaaaa")

    assert len(it) == 1
    assert it.blocked("SOMMERCAF\u00c9")


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "Zs")), min_size=8, max_size=20), max_size=20))
def test_whatever_is_packed_is_found(passwords):
    with tempfile.TemporaryDirectory() as folder:
        it = listed(Path(folder), *passwords)

    assert all(it.blocked(normalise(password)) for password in passwords if len(fold(normalise(password))) >= LEAST)


@pytest.mark.parametrize(
    "octets", [b"x", MAGIC, MAGIC + (1).to_bytes(8), MAGIC + (1).to_bytes(8) + b"1234", b"KTBLOCK2" + bytes(8)]
)
def test_a_file_that_is_cut_off_or_something_else_stops_the_start(tmp_path, octets):
    path = tmp_path / "list.bin"
    path.write_bytes(octets)

    with pytest.raises(ValueError, match=r"list\.bin"):
        Blocklist(path)


def test_the_tool_builds_the_file_from_a_text_file(tmp_path):
    source, target = tmp_path / "list.txt", tmp_path / "list.bin"
    source.write_bytes("Correct Horse\r\nshort\n\nnaïve café\nnot utf-8 \xff\n".encode("latin-1"))
    tool = [sys.executable, str(ROOT / "config" / "build_blocklist.py")]

    done = subprocess.run([*tool, str(source), str(target)], capture_output=True, text=True, check=True)

    assert done.stdout == f"{target}: {len(Blocklist(target))} entries, {target.stat().st_size} bytes\n"
    assert Blocklist(target).blocked("CORRECT HORSE")
    wrong = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "LIST.txt" in wrong.stderr
