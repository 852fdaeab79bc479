"""Phone numbers have the country that libphonenumber gives them, only quicker."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.records.delivery import rules

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = [kind for name, kind in vars(phonenumbers.PhoneNumberType).items() if name.isupper()]
examples = st.sampled_from(
    [
        phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for region in REGIONS
        for kind in KINDS
        if (example := phonenumbers.example_number_for_type(region, kind)) is not None
    ]
)


def slowly(number):
    """The country by the library alone."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return ""
    kind = phonenumbers.number_type(parsed)
    if kind in {phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST}:
        return ""
    country = phonenumbers.region_code_for_number(parsed)
    country = country or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return "" if country in {"001", phonenumbers.UNKNOWN_REGION} else country


@given(examples, st.text("0123456789", max_size=6), st.integers(2, 9))
@settings(max_examples=3_000, deadline=None)
def test_a_number_has_the_country_that_the_library_gives_it(example, digits, kept):
    number = f"{example[:kept]}{digits}{example[kept + len(digits) :]}"
    assert rules.country_of(number) == slowly(number)


@pytest.mark.parametrize(
    "number", ["", "+", "491701234567", "+0491701234567", "+49", "+" + "9" * 16, "+1", "+\u0661" * 8]
)
def test_what_is_no_number_has_the_country_that_the_library_gives_it(number):
    assert rules.country_of(number) == slowly(number)


def test_most_numbers_are_told_the_quick_way():
    assert rules._split("+491701234567") == (49, "1701234567")
    assert rules._known(49).country == "DE"
    assert rules._known(49).regions is None
    assert rules._known(1).regions is not None  # one code for many countries
    assert rules._split("+4901701234567") is None  # with a national prefix that has no place there
