"""Codes and time-steps against the published vectors, and the search beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.factors.totp import rules
from app.factors.totp.model import MOST_APPS

SECRET = b"12345678901234567890"
SPARE = [b"\x00" * 20] * MOST_APPS


@pytest.mark.parametrize(
    ("counter", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_codes_are_those_of_rfc_4226_appendix_d(counter, code):
    assert rules.hotp(SECRET, counter) == code


@pytest.mark.parametrize(
    ("now", "sha1", "sha256", "sha512"),
    [
        (59, "94287082", "46119246", "90693936"),
        (1111111109, "07081804", "68084774", "25091201"),
        (1111111111, "14050471", "67062674", "99943326"),
        (1234567890, "89005924", "91819424", "93441116"),
        (2000000000, "69279037", "90698825", "38618901"),
        (20000000000, "65353130", "77737706", "47863826"),
    ],
)
def test_codes_are_those_of_rfc_6238_appendix_b(now, sha1, sha256, sha512):
    step = rules.step_at(now)
    assert rules.hotp(SECRET, step, 8) == sha1
    assert rules.hotp(SECRET + b"123456789012", step, 8, "sha256") == sha256
    assert rules.hotp((SECRET * 4)[:64], step, 8, "sha512") == sha512


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "1234567",
        "２８７０８２",  # noqa: RUF001 - full-width digits, which pyotp would take (requirements S-01)
        "٢٨٧٠٨٢",
        "¹²³⁴⁵⁶",
        "28708a",
        "287082\x00",
        "2" * 100_000,
        "-",
        "287082\ud800",
    ],
)
def test_what_is_not_six_ascii_digits_is_no_code(text):
    assert rules.typed_code(text) is None


@pytest.mark.parametrize("text", ["287082", " 287 082 ", "287-082"])
def test_blanks_and_hyphens_in_a_code_do_not_matter(text):
    assert rules.typed_code(text) == "287082"


@pytest.mark.parametrize("offset", [-20, -3, -2, -1, 0, 1, 2, 3, 20])
def test_a_code_within_ten_minutes_is_recognised_with_its_offset(offset):
    now = 1_790_000_000
    code = rules.hotp(SECRET, rules.step_at(now) + offset)
    match = rules.recognise([("app", SECRET, 0)], SPARE, code, now)
    assert match is not None
    assert match.step == rules.step_at(now) + match.offset
    assert abs(match.offset) <= abs(offset)  # a nearer step may have the same six digits


@pytest.mark.parametrize("offset", [-21, 21, 1000])
def test_a_code_from_beyond_ten_minutes_is_wrong(offset):
    now = 1_790_000_000
    code = rules.hotp(SECRET, rules.step_at(now) + offset)
    assert rules.recognise([("app", SECRET, 0)], SPARE, code, now) is None


def test_drift_shifts_the_window_and_does_not_widen_it():
    now = 1_790_000_000
    code = rules.hotp(SECRET, rules.step_at(now) - 2)
    shifted = rules.recognise([("app", SECRET, -2)], SPARE, code, now)
    assert shifted is not None
    assert shifted.offset == 0
    beyond = rules.recognise([("app", SECRET, -2)], SPARE, rules.hotp(SECRET, rules.step_at(now)), now)
    assert beyond is not None
    assert not rules.acceptable(beyond.offset)


@given(offset=st.integers(-1000, 1000))
def test_exactly_three_offsets_are_acceptable(offset):
    assert rules.acceptable(offset) == (offset in {-1, 0, 1})


def test_a_spare_seed_never_proves_anybody():
    now = 1_790_000_000
    assert rules.recognise([], SPARE, rules.hotp(SPARE[0], rules.step_at(now)), now) is None


@pytest.mark.parametrize("offset", range(-19, 21))
def test_two_codes_in_a_row_are_found_within_ten_minutes_of_the_true_time(offset):
    now = 1_790_000_000
    step = rules.step_at(now) + offset
    assert rules.in_a_row(SECRET, rules.hotp(SECRET, step - 1), rules.hotp(SECRET, step), now) == step


@pytest.mark.parametrize(("first", "second"), [(20, 21), (-21, -20), (0, 0), (1, 0), (0, 2), (30, 31)])
def test_other_pairs_of_codes_are_not(first, second):
    now = 1_790_000_000
    present = rules.step_at(now)
    assert (
        rules.in_a_row(SECRET, rules.hotp(SECRET, present + first), rules.hotp(SECRET, present + second), now) is None
    )
