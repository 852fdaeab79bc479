"""How an access code is written, read, and told from a saved code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.access_code import rules
from app.factors.access_code.model import LENGTH, OCTETS
from app.factors.recovery_code import rules as saved


@given(st.binary(min_size=OCTETS, max_size=OCTETS))
def test_what_is_shown_is_read_again_however_it_is_typed(octets):
    code = rules.written(octets)
    shown = rules.shown(code)
    for typed in (code, shown, shown.lower(), shown.replace("-", " "), f"  {shown}\n", code.replace("1", "l")):
        assert rules.typed_code(typed) == code


@given(st.binary(min_size=OCTETS, max_size=OCTETS), st.integers(0, 59))
def test_sixty_bits_are_used_each_of_them(octets, bit):
    flipped = (int.from_bytes(octets, "big") ^ (1 << bit)).to_bytes(OCTETS, "big")
    assert rules.written(octets) != rules.written(flipped)
    assert len(rules.written(octets)) == LENGTH


@given(st.binary(min_size=10, max_size=10))
def test_a_saved_code_is_never_taken_for_one(octets):
    assert rules.typed_code(saved.shown(saved.written(octets))) is None


@given(st.binary(min_size=OCTETS, max_size=OCTETS))
def test_it_is_never_taken_for_a_saved_code(octets):
    assert saved.typed_code(rules.shown(rules.written(octets))) is None


@pytest.mark.parametrize("typed", ["", "x", "0" * 11, "0" * 13, "U" * 12, "é" * 12, "0" * 65, "\uff10" * 12])
def test_what_is_none_is_none(typed):
    assert rules.typed_code(typed) is None
