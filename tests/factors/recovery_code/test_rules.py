"""How saved codes are written and read, and which set counts when (T-18, security rule 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.recovery_code import rules
from app.factors.recovery_code.model import CodeSet, Use

DAY = 86_400


def a_set(
    name: str, made_at: int, usable_from: int, voided_at: int | None = None, serves_until: int | None = None
) -> CodeSet:
    return CodeSet(name, 1, "salt", "key", made_at, usable_from, voided_at, serves_until)


@given(st.binary(min_size=10, max_size=10))
def test_a_code_has_80_bits_in_sixteen_characters_that_nobody_confuses(octets):
    code = rules.written(octets)
    assert len(code) == 16
    assert not set(code) & set("ILOU")
    number = 0
    for character in code:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    assert number.to_bytes(10, "big") == octets


@given(st.binary(min_size=10, max_size=10))
def test_a_code_is_read_however_it_is_typed(octets):
    code = rules.written(octets)
    shown = rules.shown(code)
    assert [len(group) for group in shown.split("-")] == [4, 4, 4, 4]
    sloppy = code.replace("0", "o").replace("1", "l")
    for typed in (
        code,
        shown,
        shown.lower(),
        f"  {shown.replace('-', ' ')}\t",
        sloppy,
        sloppy.upper().replace("L", "i"),
    ):
        assert rules.typed_code(typed) == code


@pytest.mark.parametrize(
    "typed", ["", " ", "123456", "U" * 16, "A" * 15, "A" * 17, "A" * 12 + "\u0664" * 4, "\uff21" * 16, "A-" * 40]
)
def test_what_is_no_code_is_none(typed):
    assert rules.typed_code(typed) is None


def test_a_new_set_signs_in_at_once_and_waits_a_day_for_recovery_and_fresh_proofs():
    new = a_set("new", 1_000, 1_000 + DAY)
    assert rules.counting([new], Use.SIGN_IN, 1_000) is new
    for use in (Use.STEP_UP, Use.RECOVERY):
        assert rules.counting([new], use, 999 + DAY) is None
        assert rules.counting([new], use, 1_000 + DAY) is new


def test_the_replaced_set_serves_recovery_until_the_new_one_may_and_signs_in_no_more():
    old = a_set("old", 0, 0, voided_at=1_000, serves_until=1_000 + DAY)
    new = a_set("new", 1_000, 1_000 + DAY)
    assert rules.counting([old, new], Use.RECOVERY, 999 + DAY) is old
    assert rules.counting([old, new], Use.RECOVERY, 1_000 + DAY) is new
    assert rules.counting([old, new], Use.SIGN_IN, 1_000) is new
    assert rules.counting([old, new], Use.STEP_UP, 1_000) is None
