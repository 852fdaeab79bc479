"""User IDs have one canonical spelling, contacts show little of themselves, and both are checked before use."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.records.people.model import (
    USER_ID_MAX,
    BadUserId,
    Channel,
    Contact,
    Person,
    Status,
    canonical_user_id,
    is_email,
    is_phone,
)
from tests.hands import START

# spellings of one User ID: whoever types any of them means, finds and counts for the same person
SAME = [
    ("jane", "Jane"),
    ("jane", "JANE"),
    ("jane", " jane "),
    ("jane", "\tjane\n"),
    ("jane", "\u00a0jane\u3000"),  # blanks that copying adds
    ("jane", "\uff4a\uff41\uff4e\uff45"),  # full-width
    ("jane", "\U0001d423\U0001d41a\U0001d427\U0001d41e"),  # mathematical bold
    ("kim", "\u212aim"),  # KELVIN SIGN (GitHub 2016, Django CVE-2019-19844)
    ("strom", "\u017ftrom"),  # LATIN SMALL LETTER LONG S
    ("fiona", "ﬁona"),  # ligature
    ("café", "cafe\u0301"),  # NFC and NFD
    ("ångström", "\u212bngström"),  # ANGSTROM SIGN
    ("straße", "STRASSE"),
    ("σίσυφος", "ΣΊΣΥΦΟΣ"),  # the final sigma
    ("a b", "a\u2003b"),
    ("jane1", "jane①"),
    ("jane2", "JANE²"),
    ("ω", "\u2126"),  # OHM SIGN
    ("ᏸ", "Ᏸ"),  # Cherokee folds to capitals
]
# two people's: they look alike and are not the same
DIFFERENT = [
    ("mike", "m\u0131ke"),  # dotless i, and the accounts taken by it (GitHub 2019)
    ("izmir", "\u0130zmir"),  # dotted capital I
    ("jane", "j\u0430ne"),  # Cyrillic
    ("jane", "jane1"),
    ("jane", "j ane"),
    ("cafe", "café"),
    ("o", "0"),
    ("o'neil", "o\u2019neil"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_user_id_have_one_canonical_form(one, other):
    assert canonical_user_id(one) == canonical_user_id(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_ids_that_only_look_alike_stay_apart(one, other):
    assert canonical_user_id(one) != canonical_user_id(other)


def test_the_canonical_form_of_every_character_is_canonical_itself():
    # beyond these there is nothing but private use and what is not assigned
    for point in (*range(0x32400), *range(0xE0000, 0xE0200)):
        for text in (chr(point), f"a{chr(point)}"):
            try:
                once = canonical_user_id(text)
            except BadUserId:
                continue
            assert canonical_user_id(once) == once, hex(point)


@settings(deadline=None)
@given(st.text(max_size=300))
@example("\u00b4 \u0345\u0390")
def test_whatever_is_typed_there_is_one_canonical_form_or_a_refusal(typed):
    try:
        once = canonical_user_id(typed)
    except BadUserId as refused:
        assert str(refused) in {"empty", "too long", "characters"}  # noqa: PT017 - most texts are not refused
        return
    assert 0 < len(once) <= USER_ID_MAX
    assert canonical_user_id(once) == once
    assert unicodedata.is_normalized("NFKC", once)
    once.encode()
    assert "\0" not in once


@pytest.mark.parametrize("typed", ["", " ", "\t\n", "\u3000"])
def test_an_empty_one_is_refused(typed):
    with pytest.raises(BadUserId, match="empty"):
        canonical_user_id(typed)


@pytest.mark.parametrize(
    "inside",
    [
        "\0",
        "\n",
        "\x7f",
        "\x85",
        "\ud800",
        "\u2028",
        "\u2029",
        "\ue000",
        "\uffff",
        "\u0378",  # not assigned
        "\u200b",  # ZERO WIDTH SPACE
        "\u00ad",  # SOFT HYPHEN
        "\u202e",  # RIGHT-TO-LEFT OVERRIDE
        "\ufeff",
        "\U000e0041",  # TAG LATIN CAPITAL LETTER A
    ],
)
def test_what_cannot_be_shown_is_refused(inside):
    with pytest.raises(BadUserId, match="characters"):
        canonical_user_id(f"ja{inside}ne")


def test_up_to_255_code_points_are_taken_before_and_after_folding():
    assert len(canonical_user_id("x" * USER_ID_MAX)) == USER_ID_MAX
    for typed in ("x" * (USER_ID_MAX + 1), "ß" * 128, "ﷺ" * 15, " " * (USER_ID_MAX + 1)):
        with pytest.raises(BadUserId, match="too long"):
            canonical_user_id(typed)


# ---- people and contacts


def person(**changes) -> Person:
    values = {
        "id": 1,
        "user_id": "jane",
        "canonical_id": "jane",
        "first_name": "Jane",
        "last_name": "Doe",
        "status": Status.ACTIVE,
        "stamp": "0" * 32,
        "language": "",
        "home_organization": "x",
        "created_at": START,
    }
    return Person(**{**values, **changes})


def contact(channel: Channel, address: str, **changes) -> Contact:
    values = {
        "id": "c",
        "person_id": 1,
        "position": 0,
        "confirmed_at": START,
        "usable_from": START,
        "removed_at": None,
    }
    return Contact(channel=channel, address=address, **{**values, **changes})


@pytest.mark.parametrize(
    ("first", "last", "name"), [("Jane", "Doe", "Jane Doe"), ("", "Doe", "Doe"), ("Jane", "", "Jane"), ("", "", "jane")]
)
def test_a_person_without_a_name_is_called_by_user_id(first, last, name):
    assert person(first_name=first, last_name=last).name == name


@pytest.mark.parametrize(
    ("channel", "address", "masked"),
    [
        (Channel.SMS, "+491700000001", "••• ••• 01"),
        (Channel.SMS, "+15005550006", "••• ••• 06"),
        (Channel.EMAIL, "jane@example.org", "j•••@e•••.org"),
        (Channel.EMAIL, "j@example.co.uk", "j•••@e•••.uk"),
        (Channel.EMAIL, "jane@mailhost", "j•••@m•••"),
    ],
)
def test_a_mask_shows_two_digits_or_first_letters(channel, address, masked):
    assert contact(channel, address).masked == masked


@settings(deadline=None)
@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_a_masked_number_is_always_as_long_and_hides_all_but_two_digits(number):
    shown = contact(Channel.SMS, number).masked
    assert len(shown) == 10
    assert sum(character.isdigit() for character in shown) == 2


@settings(deadline=None)
@given(st.from_regex(r"[a-z]{2,20}@[a-z]{2,20}\.(org|example)", fullmatch=True))
def test_a_masked_mailbox_shows_nothing_but_first_letters_and_the_ending(address):
    local, _, domain = address.partition("@")
    assert contact(Channel.EMAIL, address).masked == f"{local[0]}•••@{domain[0]}•••.{domain.partition('.')[2]}"


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"confirmed_at": None}, False),
        ({"removed_at": START}, False),
        ({"usable_from": START + 1}, False),
        ({"usable_from": START}, True),
    ],
)
def test_a_contact_is_usable_when_confirmed_present_and_past_its_waiting_time(changes, usable):
    assert contact(Channel.SMS, "+491700000001", **changes).usable(START) is usable


def test_the_representation_of_a_contact_does_not_show_where_it_leads():
    assert "491700000001" not in repr(contact(Channel.SMS, "+491700000001"))
    assert "jane" not in repr(contact(Channel.EMAIL, "jane@example.org"))


@pytest.mark.parametrize("number", ["+4917000", "+15005550006", "+999999999999999"])
def test_numbers_are_those_of_e164(number):
    assert is_phone(number)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "491700000001",
        "+0491700000",
        "+49 170",
        "+491700000001\n",
        "+\uff14\uff19\uff11\uff17\uff10\uff10\uff10\uff10",
        "+12345",
        "+1234567890123456",
    ],
)
def test_no_other_number_is_taken(number):
    assert not is_phone(number)


@pytest.mark.parametrize("address", ["j@x.org", "jane.doe+x@mail.example.org", "o'neil@example.org", "a@localhost"])
def test_addresses_are_those_of_html(address):
    assert is_email(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "jane",
        "@example.org",
        "jane@",
        "jane@example..org",
        "jane@-example.org",
        "jane doe@example.org",
        "jane@example.org\nBcc: thief@example.org",
        "jane@example.org\n",
        "jane@exämple.org",
        '"jane"@example.org',
        "a" * 65 + "@example.org",
        "jane@" + "a." * 125 + "org",
        "jane@example.org,thief@example.org",
        "<jane@example.org>",
    ],
)
def test_no_other_address_is_taken(address):
    assert not is_email(address)
