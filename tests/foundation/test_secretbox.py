"""Sealed values open in their own place alone, keys rotate, and nothing shows a key."""

import base64
import dataclasses
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.foundation.secretbox import MASTER, Keyring, MasterKey, Unreadable, fingerprint, same
from tests.hands import SeededChance

OLD = MasterKey("old", bytes(range(32)))
NEW = MasterKey("new", bytes(range(100, 132)))
OTHER = MasterKey("old", bytes(range(50, 82)))  # another key under a known name
PLACE = "totp_apps:1:2"


def ring(*keys: MasterKey) -> Keyring:
    return Keyring(keys or (OLD,), SeededChance())


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40), st.text(max_size=80))
def test_what_was_sealed_opens_to_the_same_bytes(plain, purpose, place):
    keys = ring()
    assert keys.open(purpose, keys.seal(purpose, plain, place), place) == plain


def test_the_same_plain_text_is_sealed_differently_each_time_and_never_shows():
    keys = ring()
    sealed = [keys.seal("outbox", b"123456 the PIN", PLACE) for _ in range(50)]
    assert len(set(sealed)) == 50
    for one in sealed:
        assert b"123456" not in one.encode()
        assert b"123456" not in base64.b64decode(one.split(".")[2])


def test_a_sealed_value_opens_in_no_other_row_and_for_no_other_purpose():
    keys = ring()
    sealed = keys.seal("totp-seed", b"seed", PLACE)
    for purpose, place in (("outbox", PLACE), ("totp-seed", "totp_apps:1:3"), ("totp-seed", "")):
        with pytest.raises(Unreadable):
            keys.open(purpose, sealed, place)


def test_any_changed_byte_is_noticed():
    keys = ring()
    sealed = keys.seal("outbox", b"to +491700000001", PLACE)
    head, body = sealed.rsplit(".", 1)
    raw = base64.b64decode(body)
    for place in range(len(raw)):
        altered = bytearray(raw)
        altered[place] ^= 1
        with pytest.raises(Unreadable):
            keys.open("outbox", f"{head}.{base64.b64encode(bytes(altered)).decode()}", PLACE)
    for cut in range(len(raw)):
        with pytest.raises(Unreadable):
            keys.open("outbox", f"{head}.{base64.b64encode(raw[:cut]).decode()}", PLACE)


@pytest.mark.parametrize(
    "rubbish", ["", ".", "..", "1.old", "1.old.", "1.old.!", "2.old.AAAA", "1.none.AAAA", "1.old.é"]
)
def test_what_was_never_sealed_is_refused_as_unreadable(rubbish):
    with pytest.raises(Unreadable):
        ring().open("outbox", rubbish, PLACE)


@settings(deadline=None)
@given(st.text(max_size=120))
def test_no_text_at_all_makes_it_fail_otherwise(text):
    with pytest.raises(Unreadable):
        ring().open("outbox", text, PLACE)


def test_keys_rotate_new_values_take_the_first_key_and_old_ones_still_open():
    sealed = ring(OLD).seal("outbox", b"before", PLACE)
    rotated = ring(NEW, OLD)
    assert rotated.active == "new"
    assert rotated.names == ("new", "old")
    assert rotated.seal("outbox", b"after", PLACE).startswith("1.new.")
    assert rotated.open("outbox", sealed, PLACE) == b"before"
    with pytest.raises(Unreadable):
        ring(NEW).open("outbox", sealed, PLACE)


def test_another_key_under_a_known_name_opens_nothing():
    with pytest.raises(Unreadable):
        ring(OTHER).open("outbox", ring(OLD).seal("outbox", b"x", PLACE), PLACE)


@pytest.mark.parametrize("keys", [[], [MasterKey("short", bytes(MASTER - 1))]])
def test_a_keyring_without_a_good_key_is_refused(keys):
    with pytest.raises(ValueError):
        Keyring(keys, SeededChance())


# ---- keyed hashes


def test_each_purpose_and_each_key_has_a_hash_of_its_own():
    keys = ring(NEW, OLD)
    hashes = {keys.mac(purpose, "jane", key=key) for purpose in ("pin", "subject", "csrf") for key in keys.names}
    assert len(hashes) == 6
    assert keys.mac("pin", "jane") == keys.mac("pin", "jane", key="new")
    with pytest.raises(Unreadable):
        keys.mac("pin", "jane", key="gone")


@settings(deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_other_parts_have_another_hash_wherever_they_are_divided(one, other):
    keys = ring()
    assert (keys.mac("pin", *one) == keys.mac("pin", *other)) == (one == other)


def test_the_derivation_is_that_of_nist_sp_800_108_with_one_block():
    purpose = b"pin"
    derived = hmac.new(
        OLD.material, b"\x00\x00\x00\x01" + b"keyturn\x00" + purpose + (256).to_bytes(4, "big"), hashlib.sha256
    ).digest()
    expected = hmac.new(derived, (4).to_bytes(4, "big") + b"jane", hashlib.sha256).hexdigest()
    assert ring().mac_hex("pin", "jane") == expected


@settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=20))
def test_every_text_that_python_can_hold_has_a_hash_and_a_comparison(text):
    assert len(ring().mac_hex("same-wrong", text)) == 64
    assert len(fingerprint(text)) == 64
    assert same(text, text)
    assert not same(text, text + "x")


def test_the_comparison_is_of_values_not_of_types():
    assert same("abc", b"abc")
    assert not same("abc", b"abd")
    assert not same("", "a")


# ---- nothing shows a key


@pytest.mark.parametrize("show", [repr, str, lambda key: str(dataclasses.replace(key)), lambda key: f"{[key]!r}"])
def test_a_master_key_does_not_show_its_material(show):
    key = MasterKey("k1", b"marked-material-marked-material-")
    assert "marked" not in show(key)
    assert "k1" in show(key)


def test_a_keyring_and_its_failures_show_no_key():
    keys = ring(MasterKey("k1", b"marked-material-marked-material-"))
    assert "marked" not in repr(keys) + repr(vars(keys))
    with pytest.raises(Unreadable) as refused:
        keys.open("outbox", "1.k2.AAAA", PLACE)
    assert "marked" not in str(refused.value)
