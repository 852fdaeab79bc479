"""The file of defaults says what the program does, and why."""

import re
import tomllib
from dataclasses import fields

import pytest

from app.foundation.settings import ROOT, SECRETS, Settings, load_settings

FILE = ROOT / "config" / "defaults.toml"
OUTSIDE = {field.name.upper(): field for field in fields(Settings) if field.name != "demo"}


@pytest.fixture(scope="module")
def text():
    return FILE.read_text(encoding="utf-8")


def test_every_setting_stands_there_once_and_nothing_else(text):
    named = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+) = ", text, re.MULTILINE)
    assert sorted(named) == sorted(OUTSIDE)


def test_the_values_are_the_programs_own_defaults(text, tmp_path):
    (tmp_path / FILE.name).write_text(text, encoding="utf-8")
    set_there = tomllib.loads(text)
    empty = tomllib.loads("\n".join(re.findall(r"^# ([A-Z][A-Z0-9_]+ = .*)$", text, re.MULTILINE)))
    assert set(empty.values()) == {""}
    assert load_settings({}, tmp_path) == Settings()
    assert set(empty) >= SECRETS
    assert not SECRETS & set(set_there)


def test_every_setting_has_its_reason_before_it(text):
    blocks = [block.strip() for block in text.split("\n\n")]
    for block in blocks:
        lines = block.splitlines()
        if any(re.match(r"(# )?[A-Z][A-Z0-9_]+ = ", line) for line in lines):
            assert re.match(r"# [A-Z0-9a-z]", lines[0]), block
            assert not re.match(r"# [A-Z][A-Z0-9_]+ = ", lines[0]), block


def test_the_settings_for_development_can_be_read(tmp_path):
    (tmp_path / "local.toml").write_bytes((ROOT / "config" / "development.toml").read_bytes())
    settings = load_settings({}, tmp_path)
    assert settings.smtp_url.startswith("smtp://127.0.0.1")
    assert settings.workers == 1
