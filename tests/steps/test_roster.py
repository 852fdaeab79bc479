"""Reading an import and judging its rows: what is taken, what is not, and that nothing takes others along."""

import csv
import io
import json
from base64 import b32encode, b64encode
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.foundation.slowhash import acceptable
from app.journeys.administration.model import NotDone
from app.journeys.administration.rules import reason
from app.records.organizations.model import Role
from app.steps.enlist import why_no_seed
from app.steps.roster import FIELDS, LINE_MAX, BadFile, BadRow, NewPerson, RawRow, judge, read, showable, shown

SEED = b32encode(b"x" * 20).decode()
PHC = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + b64encode(b"t" * 32).decode().rstrip("=")


def rows(content, name="people"):
    data = content if isinstance(content, bytes) else content.encode()
    return list(read(io.BytesIO(data), name))


def good(found):
    return [row.fields for row in found if isinstance(row, RawRow)]


def bad(found):
    return {row.line: "; ".join(map(str, row.problems)) for row in found if isinstance(row, BadRow)}


def judged(**fields):
    return judge(fields, 1, hash_fits=acceptable, seed_fits=why_no_seed)


# ---- JSON Lines


def test_json_lines_are_read_one_object_a_line():
    found = rows('{"user_id": "jane"}\r\n\n   \n{"user_id": "omar", "contacts_verified": true}')
    assert good(found) == [{"user_id": "jane"}, {"user_id": "omar", "contacts_verified": True}]
    assert [row.line for row in found] == [1, 4]


def test_null_is_a_field_that_is_not_there():
    assert good(rows('{"user_id": "jane", "email": null}')) == [{"user_id": "jane"}]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "is not JSON"),
        (b"not json at all", "is not JSON"),
        (b'{"user_id": "a"} {"user_id": "b"}', "is not JSON"),
        (b'"jane"', "is not a JSON object"),
        (b"[1, 2]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"17", "is not a JSON object"),
        (b'{"user_id": "a", "user_id": "b"}', "names a field twice"),
        (b'{"user_id": {"a": 1, "a": 2}}', "names a field twice"),
        (b'{"user_id": "J\xf6rg"}', "is not UTF-8"),
        (b'{"user_id": "\xed\xa0\x80"}', "is not UTF-8"),
        (b"[" * 50_000, "is not JSON"),
        (b'{"user_id": ' + b"9" * 5_000 + b"}", "is not JSON"),
        (b'{"user_id": "' + b"a" * LINE_MAX + b'"}', f"the line is longer than {LINE_MAX} bytes"),
        (b"\x00", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
    ],
)
def test_a_line_that_is_no_row_is_told_and_the_others_are_kept(line, why):
    found = rows(b'{"user_id": "first"}\n' + line + b'\n{"user_id": "last"}\n')
    assert good(found) == [{"user_id": "first"}, {"user_id": "last"}]
    assert bad(found) == {2: why}


def test_a_byte_order_mark_at_the_start_is_no_part_of_the_first_row():
    assert good(rows(b'\xef\xbb\xbf{"user_id": "jane"}\n')) == [{"user_id": "jane"}]
    assert good(rows(b"\xef\xbb\xbfuser_id\njane\n")) == [{"user_id": "jane"}]


def test_a_line_just_as_long_as_allowed_is_read():
    start, end = '{"user_id": "jane", "first_name": "', '"}'
    line = start + "a" * (LINE_MAX - len(start) - len(end) - 1) + end + "\n"
    assert len(line) == LINE_MAX
    assert len(good(rows(line))) == 1


# ---- CSV


def test_csv_has_its_fields_in_the_first_line():
    found = rows("user_id,first_name,contacts_verified\njane,Jane,true\nomar,,NO\nana,Ana,\n")
    assert good(found) == [
        {"user_id": "jane", "first_name": "Jane", "contacts_verified": True},
        {"user_id": "omar", "first_name": "", "contacts_verified": False},
        {"user_id": "ana", "first_name": "Ana", "contacts_verified": ""},
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_the_header_shows_which_mark_stands_between_fields(mark):
    text = 'user_id,last_name\r\njane,Doe\r\nomar,"Had,;\tdad"\r\n'.replace(",", mark, 2).replace(
        "omar,", f"omar{mark}"
    )
    found = rows(text)
    assert good(found) == [
        {"user_id": "jane", "last_name": "Doe"},
        {"user_id": "omar", "last_name": "Had,;\tdad"},
    ]


def test_quotes_are_read_as_spreadsheets_write_them():
    text = 'user_id,last_name\n"jane","O""Brien, ""Bob"""\nomar,5" tall\n"",""\n'
    assert good(rows(text)) == [
        {"user_id": "jane", "last_name": 'O"Brien, "Bob"'},
        {"user_id": "omar", "last_name": '5" tall'},
        {"user_id": "", "last_name": ""},
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("jane", "has 1 fields instead of 2"),
        ("jane,Doe,x", "has 3 fields instead of 2"),
        ('"jane"x,Doe', "is not proper CSV"),
        ('jane,"Doe"x', "is not proper CSV"),
        ('jane,"Doe" ', "is not proper CSV"),
        ("jane,Do\rce", None),
    ],
)
def test_a_line_that_is_no_csv_row_is_told_and_the_others_are_kept(line, why):
    found = rows(f"user_id,last_name\nfirst,Row\n{line}\nlast,Row\n")
    kept = [row["user_id"] for row in good(found)]
    assert [name for name in kept if name != "jane"] == ["first", "last"]
    assert bad(found) == ({3: why} if why else {})


def test_bytes_that_are_no_utf8_spoil_their_own_row_alone():
    found = rows(b"user_id,last_name\nfirst,Row\nj\xf6rg,Doe\nlast,Row\n")
    assert [row["user_id"] for row in good(found)] == ["first", "last"]
    assert bad(found) == {3: "is not UTF-8"}


def test_a_line_break_inside_quotes_makes_no_row_of_its_own():
    text = 'user_id,last_name,role\nfirst,Row,member\njane,"Doe\nevil,Row,administrator\n",member\nlast,Row,member\n'
    found = rows(text)
    assert [row["user_id"] for row in good(found)] == ["first", "last"]
    (refused,) = (row for row in found if isinstance(row, BadRow))
    assert (refused.line, refused.last_line) == (3, 5)
    assert "line break" in str(refused.problems[0])


def test_a_quote_that_is_never_closed_spoils_its_own_row_alone():
    found = rows('user_id,last_name\nfirst,Row\njane,"Doe\nomar,Haddad\nana,5"" tall\nlast,Row\n')
    assert bad(found) == {3: "a quote is never closed"}
    assert [row["user_id"] for row in good(found)] == ["first", "omar", "ana", "last"]


def test_a_stray_quote_reaches_no_further_than_the_next_one():
    found = rows('user_id,last_name\nfirst,Row\njane,"Doe\nomar,Haddad\n"ana",Silva\nlast,Row\n')
    assert [(row.line, row.last_line) for row in found if isinstance(row, BadRow)] == [(3, 5)]
    assert [row["user_id"] for row in good(found)] == ["first", "last"]


def test_a_quoted_line_break_in_an_overlong_line_makes_no_row_either():
    name = "x" * LINE_MAX
    found = rows(f'user_id,last_name\nfirst,Row\njane,"{name}\nevil,Row\n"\nlast,Row\n')
    assert [row["user_id"] for row in good(found)] == ["first", "last"]
    assert "longer" in bad(found)[3]


def test_an_overlong_line_between_quoted_ones_keeps_count():
    name = "x" * LINE_MAX
    found = rows(f'user_id,last_name\njane,"Doe\n{name}\n{name}",x\nlast,Row\njane,"{name}"\nomar,Row\n')
    assert [row["user_id"] for row in good(found)] == ["last", "omar"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("user_id,shoe_size\njane,40\n", "no field 'shoe_size'"),
        ("first_name\nJane\n", "no field user_id"),
        ("user_id,user_id\njane,jane\n", "twice"),
        ("jane,Doe\n", "no field 'jane'"),
        ('[{"user_id": "jane"}]', "JSON array"),
        ("\n\n\x1b[2J,user_id\n", "no field '?[2J'"),
        ("user_id".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\x03", "no field"),
        (b"x" * 70_000, "longer"),
        ('"user_id\n', "no field"),
    ],
)
def test_a_file_that_is_no_import_is_refused_as_a_whole(content, why):
    with pytest.raises(BadFile, match=why.replace("[", r"\[").replace("?", r"\?")):
        rows(content)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"user_id\n", b"  \n"])
def test_a_file_without_rows_has_none(content):
    assert rows(content) == []
    assert rows(content if b"user" not in content else b"", "people.jsonl") == []


def test_the_ending_of_the_name_decides_where_the_content_does_not():
    assert bad(rows("garbage\n", "people.JSONL")) == {1: "is not JSON"}
    assert good(rows('{"user_id": "jane"}\n', "people.csv")) == [{"user_id": "jane"}]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=20)


@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=8))
def test_whatever_the_csv_module_writes_is_read_back(table):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["user_id", "first_name", "last_name"])
    writer.writerows(table)
    found = rows(out.getvalue())
    assert bad(found) == {}
    assert [list(row.values()) for row in good(found)] == [
        row for row in table if any(cell.strip() for cell in row) or len(row) > 1
    ]


@given(st.lists(st.lists(st.text('a",\n\r;', max_size=6), min_size=2, max_size=2), max_size=6))
def test_whatever_is_in_quotes_never_becomes_a_row(table):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["user_id", "first_name"])
    writer.writerows(table)
    found = rows(out.getvalue())
    one_line = [row for row in table if not any("\n" in cell for cell in row)]
    assert [list(row.values()) for row in good(found)] == one_line
    assert len(found) == len(table)


@given(st.binary(max_size=400), st.sampled_from(["people", "people.csv", "people.jsonl"]))
@settings(max_examples=300)
def test_no_bytes_at_all_break_the_reading(content, name):
    for prefix in (b"", b"user_id,first_name\n", b'{"user_id": "a"}\n'):
        with suppress(BadFile):
            for row in read(io.BytesIO(prefix + content), name):
                assert row.line >= 1
                if isinstance(row, RawRow):
                    judge(row.fields, row.line, hash_fits=acceptable, seed_fits=why_no_seed)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(st.characters(), max_size=12), anything, max_size=8))
@settings(max_examples=300)
def test_no_row_at_all_breaks_the_judging_and_no_reason_repeats_a_value(fields):
    verdict = judge(fields, 7, hash_fits=acceptable, seed_fits=why_no_seed)
    if isinstance(verdict, BadRow):
        assert verdict.line == 7
        told = "; ".join(map(str, verdict.problems))
        assert told.isprintable()
        for secret in ("password", "password_hash", "totp_secret"):
            if isinstance(fields.get(secret), str) and len(fields[secret]) > 8:
                assert fields[secret] not in told
    else:
        assert isinstance(verdict, NewPerson)
        assert verdict.canonical_id


@given(st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6))
def test_json_carries_any_row_to_the_same_verdict(fields):
    text = (
        json.dumps(fields, allow_nan=False)
        if "NaN" not in json.dumps(fields) and "Infinity" not in json.dumps(fields)
        else "{}"
    )
    (row,) = rows(text, "people.jsonl")
    assert isinstance(row, RawRow) or len(text) > LINE_MAX


# ---- a row judged


def test_a_full_row_is_taken_as_it_stands():
    person = judged(
        user_id=" Jane ",
        first_name="Jane",
        last_name="Doe",
        email="jane@example.org",
        phone="+4915112345678",
        organization="acme",
        role="support",
        password="  eight in all ",
        totp_secret=SEED.lower(),
        contacts_verified=True,
    )
    assert isinstance(person, NewPerson)
    assert (person.user_id, person.canonical_id) == ("Jane", "jane")
    assert person.role is Role.SUPPORT
    assert person.password == "  eight in all "
    assert person.contacts_verified is True


def test_the_least_row_makes_a_member_of_default():
    person = judged(user_id="jane")
    assert (person.organization, person.role, person.contacts_verified) == ("default", Role.MEMBER, False)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "   "}, "user_id"),
        ({"user_id": 7}, "user_id"),
        ({"user_id": ["jane"]}, "user_id"),
        ({"user_id": "a" * 256}, "user_id"),
        ({"user_id": "ja\x00ne"}, "user_id"),
        ({"user_id": "ja\nne"}, "user_id"),
        ({"user_id": "\ud800"}, "user_id"),
        ({"user_id": "jane", "first_name": "\ud800"}, "first_name"),
        ({"user_id": "jane", "first_name": "a" * 256}, "first_name"),
        ({"user_id": "jane", "last_name": "Doe\x1b[2J"}, "last_name"),
        ({"user_id": "jane", "last_name": "\u202eeoD"}, "last_name"),
        ({"user_id": "jane", "last_name": {}}, "last_name"),
        ({"user_id": "jane", "email": "jane"}, "email"),
        ({"user_id": "jane", "email": "jane@@example.org"}, "email"),
        ({"user_id": "jane", "email": "jane@example.org\nBcc: x@example.org"}, "email"),
        ({"user_id": "jane", "email": "a" * 250 + "@example.org"}, "email"),
        ({"user_id": "jane", "email": True}, "email"),
        ({"user_id": "jane", "phone": "015112345678"}, "phone"),
        ({"user_id": "jane", "phone": "+49 151 12345678"}, "phone"),
        ({"user_id": "jane", "phone": "+0123456789"}, "phone"),
        ({"user_id": "jane", "phone": "+1234567890123456"}, "phone"),
        ({"user_id": "jane", "phone": 4915112345678}, "phone"),
        ({"user_id": "jane", "role": "root"}, "role"),
        ({"user_id": "jane", "role": 1}, "role"),
        ({"user_id": "jane", "organization": "a\tb"}, "organization"),
        ({"user_id": "jane", "contacts_verified": "true"}, "contacts_verified"),
        ({"user_id": "jane", "contacts_verified": 1}, "contacts_verified"),
        ({"user_id": "jane", "password": "seven77"}, "password"),
        ({"user_id": "jane", "password": "a" * 1025}, "password"),
        ({"user_id": "jane", "password": "eight\x00888"}, "password"),
        ({"user_id": "jane", "password": "eight888\ud800"}, "password"),
        ({"user_id": "jane", "password": 12345678}, "password"),
        ({"user_id": "jane", "password_hash": "jane"}, "password_hash"),
        ({"user_id": "jane", "password_hash": "$2b$12$" + "a" * 53}, "password_hash"),
        ({"user_id": "jane", "password_hash": PHC.replace("19456", "64")}, "password_hash"),
        ({"user_id": "jane", "password": "eight888", "password_hash": PHC}, "password_hash"),
        ({"user_id": "jane", "totp_secret": "1"}, "totp_secret"),
        ({"user_id": "jane", "totp_secret": "JBSWY3DPEHPK3PXP"}, "totp_secret"),
        ({"user_id": "jane", "totp_secret": "ÄÖÜ" * 12}, "totp_secret"),
    ],
)
def test_a_bad_field_is_named(fields, field):
    verdict = judged(**fields)
    assert isinstance(verdict, BadRow)
    assert [problem.field for problem in verdict.problems] == [field]


def test_a_hash_that_fits_is_taken():
    assert isinstance(judged(user_id="jane", password_hash=PHC), NewPerson)


def test_everything_that_is_wrong_is_told_at_once():
    verdict = judged(user_id="", email="x", phone="y", shoe_size="40")
    assert isinstance(verdict, BadRow)
    assert [problem.field for problem in verdict.problems] == ["", "user_id", "email", "phone"]
    assert "'shoe_size'" in str(verdict.problems[0])


def test_names_of_all_the_world_can_be_shown():
    for name in ("Ana Müller-Øster", "李小龍", "محمد", "Zoë 👩‍💻", "نام‌خانوادگی"):
        assert showable(name), name


def test_a_name_out_of_a_file_does_nothing_to_a_terminal():
    assert shown("\x1b[2J\u202e\ud800" + "x" * 99) == repr("?[2J??" + "x" * 34)


@pytest.mark.parametrize("typed", ["", "   ", "two\nlines", "x" * 501, "\x1b[2J"])
def test_a_reason_is_one_line(typed):
    with pytest.raises(NotDone):
        reason(typed)
    assert reason(" she called ") == "she called"
