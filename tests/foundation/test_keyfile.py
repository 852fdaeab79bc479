"""The keys of one machine."""

import os
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

import app
from app.foundation.keyfile import keys_of, make_state_dir, path_of, read
from app.foundation.secretbox import MasterKey
from app.foundation.settings import BadSetting, Settings

ROOT = Path(app.__file__).parents[1]
_MAKE = """
import sys
from pathlib import Path
from app.foundation.chance import SystemChance
from app.foundation.keyfile import keys_of
from app.foundation.settings import Settings
sys.stdin.readline()
(key,) = keys_of(Settings(state_dir=Path(sys.argv[1])), SystemChance())
print(key.name, key.material.hex())
"""


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path / "state")


def test_the_first_start_makes_a_key_that_nobody_else_may_read(settings, chance):
    (key,) = keys_of(settings, chance)
    assert len(key.material) == 32
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(path_of(settings).stat().st_mode) == 0o600
    assert [path.name for path in settings.state_dir.iterdir()] == ["keys"]


def test_the_mode_does_not_depend_on_the_umask(settings, chance):
    before = os.umask(0o000)
    try:
        keys_of(settings, chance)
    finally:
        os.umask(before)
    assert stat.S_IMODE(settings.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(path_of(settings).stat().st_mode) == 0o600


def test_later_starts_find_the_same_key(settings, chance):
    assert keys_of(settings, chance) == keys_of(settings, chance)


def test_keys_of_the_settings_go_first_and_make_no_file(tmp_path, chance):
    given = (MasterKey("given", chance.octets(32)),)
    settings = Settings(state_dir=tmp_path / "state", secret_keys=given)
    assert keys_of(settings, chance) == given
    assert not settings.state_dir.exists()


def test_two_starts_at_once_make_one_key(tmp_path):
    command = [sys.executable, "-c", _MAKE, str(tmp_path / "state")]
    starts = [
        subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(6)
    ]
    for start in starts:
        assert start.stdin is not None
        start.stdin.write("go\n")
        start.stdin.flush()
    said = {start.communicate(timeout=60)[0] for start in starts}
    assert len(said) == 1
    assert said != {""}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o602])
def test_a_file_that_others_may_read_or_write_is_refused(settings, chance, mode):
    keys_of(settings, chance)
    path_of(settings).chmod(mode)
    with pytest.raises(BadSetting, match="chmod 600"):
        keys_of(settings, chance)


def test_a_link_in_place_of_the_file_is_refused(settings, chance, tmp_path):
    keys_of(settings, chance)
    path_of(settings).rename(tmp_path / "elsewhere")
    path_of(settings).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSetting):
        keys_of(settings, chance)


def test_a_dangling_link_is_refused_and_not_followed(settings, chance, tmp_path):
    make_state_dir(settings.state_dir)
    path_of(settings).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSetting):
        keys_of(settings, chance)
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_place_of_the_file_is_refused_without_waiting(settings, chance):
    make_state_dir(settings.state_dir)
    os.mkfifo(path_of(settings), 0o600)
    with pytest.raises(BadSetting, match="is not a file"):
        keys_of(settings, chance)


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"nonsense", b"name:short", b"name:!!!!", b"\xff\xfe\x00", b"a" * 100_000]
)
def test_a_file_without_proper_keys_is_refused_and_not_repeated(settings, chance, content):
    make_state_dir(settings.state_dir)
    path_of(settings).write_bytes(content)
    path_of(settings).chmod(0o600)
    with pytest.raises(BadSetting) as refused:
        keys_of(settings, chance)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_file_may_hold_several_keys_the_active_one_first(settings, chance):
    (old,) = keys_of(settings, chance)
    path = path_of(settings)
    path.write_text(f"new:{b64encode(chance.octets(32)).decode()}\r\n{path.read_text()}")
    assert [key.name for key in read(path)] == ["new", old.name]


def test_a_start_that_was_killed_half_way_does_not_stop_the_next(settings, chance):
    make_state_dir(settings.state_dir)
    (settings.state_dir / "keys.new").write_text("half a ke")
    (key,) = keys_of(settings, chance)
    assert len(key.material) == 32
    assert not (settings.state_dir / "keys.new").exists()


def test_a_directory_that_others_may_write_to_is_refused(settings, chance):
    make_state_dir(settings.state_dir)
    settings.state_dir.chmod(0o770)
    with pytest.raises(BadSetting, match="chmod go-w"):
        keys_of(settings, chance)


def test_a_file_in_place_of_the_directory_is_refused(settings, chance):
    settings.state_dir.write_text("")
    with pytest.raises(BadSetting, match="STATE_DIR"):
        keys_of(settings, chance)
