"""What a new password must be: the rules on their own, as tables and as properties."""

import random
import string
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.factors.password import rules
from app.factors.password.model import Broken, Form, Rule, RuleKey
from app.factors.password.rules import Unfit, context_words, explain, is_derived, judge, normalise, passwordrules
from app.factors.password.service import strength
from app.records.organizations.model import PasswordPolicy

DEFAULT = PasswordPolicy()
GOOD = "correct horse battery staple"
WORDS = context_words(
    user_id="jane.doe42",
    names=("Jänę", "Doe-Smith"),
    emails=("jane@mail.example.org",),
    services=("Keyturn", "Acme Bank AG"),
)


def nothing_blocked(_: str) -> bool:
    return False


def strong(_: str) -> int:
    return 4


def broken(
    candidate: str, confirm: str | None = None, *, blocked: Callable[[str], bool] = nothing_blocked
) -> list[RuleKey]:
    found = judge(DEFAULT, candidate, candidate if confirm is None else confirm, WORDS, blocked, strong)
    return [one.rule for one in found]


# ---- one form


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("cafe\u0301 au lait ici", "caf\u00e9 au lait ici"),
        ("\u212bngstr\u00f6m", "\u00c5ngstr\u00f6m"),  # the Angstrom sign is a spelling of the letter
        ("no\u00a0break\u2003wide\u3000far", "no break wide far"),
        ("\u1100\u1161\u11a8", "\uac01"),
    ],
)
def test_the_same_text_typed_on_another_device_is_the_same_password(typed, same):
    assert normalise(typed) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Password", "password"),
        ("\uff21\uff22\uff23", "ABC"),  # full width: NFKC would make them one
        ("\ufb01sh", "fish"),
        ("stra\u00dfe", "strasse"),
        (" p", "p"),
        ("p ", "p"),
        ("a  b", "a b"),
        ("one\u200btwo", "onetwo"),
        ("\u0430dmin", "admin"),
    ],
)
def test_nothing_else_is_changed(one, other):
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("legal", ["Jack of \u2666s", "\u03c0\u00df\u00e5", "foo bar", "\U0001f3c6" * 15, "\U000e0fff"])
def test_whatever_can_be_shown_or_may_be_assigned_one_day_is_kept(legal):
    assert normalise(legal) == legal


@pytest.mark.parametrize(
    "bad", ["\ud800", "a\udfffb", "one\0two", "my cat is a \tby", "line\nfeed", "\x7f", "\x85\u00e9"]
)
def test_lone_surrogates_and_control_characters_are_refused(bad):
    with pytest.raises(Unfit) as refused:
        normalise(bad)
    assert refused.value.code == "bad_characters"
    assert rules.octets(Form.NFC1, bad) is None


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing_and_always_gives_utf_8(typed):
    try:
        once = normalise(typed)
    except Unfit:
        assert any(unicodedata.category(character) in {"Cc", "Cs"} for character in typed)
        return
    assert normalise(once) == once
    assert once.encode().decode() == once


def test_the_length_is_looked_at_before_the_text():
    """CVE-2026-3276: NFC of a long run of combining marks takes older Pythons half a minute."""
    attack = "a" + "\u0301\u0327" * 65_536
    start = time.process_time()

    with pytest.raises(Unfit) as refused:
        normalise(attack)
    assert rules.octets(Form.NFC1, attack) is None
    assert rules.octets(Form.TYPED, attack) is None
    assert broken(attack) == [RuleKey.MAX_LENGTH]
    assert broken(GOOD, attack) == [RuleKey.CONFIRM]
    assert time.process_time() - start < 0.1
    assert refused.value.code == "too_long"


def test_a_raw_length_of_1024_is_still_looked_at():
    assert normalise("a" + "\u0301\u0327" * 511)
    with pytest.raises(Unfit):
        normalise("x" * 1025)


def test_an_imported_hash_is_compared_with_what_was_typed_and_nothing_else():
    assert rules.octets(Form.TYPED, "cafe\u0301\t") == "cafe\u0301\t".encode()
    assert rules.octets(Form.TYPED, "\ud800") is None


# ---- length


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("", [RuleKey.MIN_LENGTH]),
        ("z" * 11, [RuleKey.MIN_LENGTH]),
        ("z" * 12, []),
        ("z" * 64, []),
        ("z" * 256, []),
        ("z" * 257, [RuleKey.MAX_LENGTH]),
        ("z" * 1025, [RuleKey.MAX_LENGTH]),
        ("\U0001f3c6" * 11, [RuleKey.MIN_LENGTH]),
        ("\U0001f3c6" * 12, []),
        ("e\u0301" * 11, [RuleKey.MIN_LENGTH]),
        ("e\u0301" * 12, []),
        ("e\u0301" * 256, []),
        ("\u0958" * 128, []),  # NFC writes it as two code points
        ("\u0958" * 129, [RuleKey.MAX_LENGTH]),
        ("pass phrase with spaces", []),
        (" " * 12, []),
    ],
)
def test_length_is_counted_in_code_points_of_the_normalised_text(candidate, expected):
    assert broken(candidate) == expected


def test_a_broken_rule_names_its_limit():
    policy = PasswordPolicy(min_length=15, max_length=64)

    assert judge(policy, "short", "short", (), nothing_blocked, strong) == (Broken(RuleKey.MIN_LENGTH, {"count": 15}),)
    assert judge(policy, "x" * 65, "x" * 65, (), nothing_blocked, strong) == (
        Broken(RuleKey.MAX_LENGTH, {"count": 64}),
    )


@pytest.mark.parametrize(
    "candidate",
    [
        "all lower case letters",
        "ALL CAPITALS TYPED IN",
        "8310572946137",
        "\u00fcber\u00e4hnlicherweise",
        "~~~~~~~^^^^^^^",
    ],
)
def test_no_kind_of_character_is_demanded(candidate):
    assert broken(candidate) == []


# ---- common passwords


def test_the_whole_candidate_is_asked_for_normalised():
    asked: list[str] = []

    def ask(password: str) -> bool:
        asked.append(password)
        return True

    assert broken("cafe\u0301\u00a0au lait", blocked=ask) == [RuleKey.COMMON]
    assert asked == ["caf\u00e9 au lait"]


# ---- words of the context


@pytest.mark.parametrize(
    "candidate",
    [
        "jane.doe42",
        "Jane.Doe42!!",
        "JANEDOE20261122",
        "jane doe smith",
        "J4n3-D03-Sm1th",
        "J@ne.D0e.2026!",
        "j\u00e1n\u00e9 d\u00f6e 2026",
        "\uff2a\uff21\uff2e\uff25 doe 12345",
        "keyturnkeyturn",
        "K3y7urn-2026!!",
        "!!!acme bank!!!",
        "AcmeBankAG2026",
        "Acme20261122",
        "jane@mail.example",
        "mail.example.jane",
        "  janesmith  ",
    ],
)
def test_names_user_id_mail_and_service_and_their_derivatives_are_refused(candidate):
    assert is_derived(candidate, WORDS)
    assert RuleKey.CONTEXT in broken(candidate)


@pytest.mark.parametrize(
    "candidate",
    [
        GOOD,
        "my name is jane doe",
        "the keyturn of the screw",
        "jane likes green cheese",
        "acmebankrobbery",
        "janedoex99!!",
        "jane948120573316",  # a word to less than a third
        "4815162342108",
        "............",
        "",
    ],
)
def test_nothing_is_banned_inside_a_longer_password(candidate):
    assert not is_derived(candidate, WORDS)
    assert RuleKey.CONTEXT not in broken(candidate)


def test_words_of_one_and_two_letters_are_no_words():
    assert context_words(user_id="li", names=("A", "Bo"), emails=("x@y.de",), services=("UI",)) == ()
    assert not is_derived("bobobobobobo", context_words(user_id="bo"))


def test_a_name_of_two_characters_is_a_word_where_names_are_that_short():
    words = context_words(user_id="x", names=("\u738b\u4f1f",))

    assert is_derived("\u738b\u4f1f\u738b\u4f1f2026!", words)
    assert not is_derived("\u738b\u4f1f20261122!!", words)  # to less than a third


def test_a_user_id_of_digits_is_a_word():
    words = context_words(user_id="10045678")

    assert is_derived("10045678!!!!", words)
    assert not is_derived("10045679!!!!", words)


def test_an_address_without_a_dot_counts_too():
    assert is_derived("operator1234", context_words(user_id="x", emails=("operator@localhost",)))


def test_the_words_are_few_and_the_work_is_bounded():
    many = context_words(user_id="x", services=[f"organization number {i}" for i in range(10_000)])
    start = time.process_time()
    is_derived("\ufdfa" * 256, many)

    assert len(many) <= 64
    assert time.process_time() - start < 0.1


# ---- all at once


def test_all_broken_rules_are_named_at_once():
    found = judge(DEFAULT, "Keyturn1", "something else", WORDS, lambda _: True, strong)

    assert [one.rule for one in found] == [
        RuleKey.MIN_LENGTH,
        RuleKey.COMMON,
        RuleKey.CONTEXT,
        RuleKey.CONFIRM,
    ]


def test_both_fields_are_compared_as_passwords_and_not_as_text():
    assert broken("cafe\u0301 au lait ici", "caf\u00e9\u00a0au lait ici") == []
    assert broken(GOOD, GOOD + " ") == [RuleKey.CONFIRM]
    assert broken(GOOD, GOOD.title()) == [RuleKey.CONFIRM]
    assert broken(GOOD, "") == [RuleKey.CONFIRM]
    assert broken(GOOD, "\ud800") == [RuleKey.CONFIRM]
    assert broken("x" * 1025, "x" * 1025) == [RuleKey.MAX_LENGTH]
    assert broken("x" * 1025, "x" * 1026) == [RuleKey.MAX_LENGTH, RuleKey.CONFIRM]


# ---- one object behind page and verdict

policies = st.builds(
    PasswordPolicy,
    min_length=st.integers(8, 64),
    max_length=st.integers(64, 256),
    history=st.integers(0, 24),
    classes=st.integers(0, 4),
    min_strength=st.integers(0, 4),
)
typed = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["", "Keyturn2026!", "jane.doe42", "password", GOOD, "x" * 257, "x" * 1025]),
    st.text(string.printable, min_size=5, max_size=80),
)


def test_the_page_lists_every_rule_of_the_policy_with_its_figures():
    assert explain(DEFAULT, WORDS) == (
        Rule(RuleKey.MIN_LENGTH, {"count": 12}, live=True),
        Rule(RuleKey.MAX_LENGTH, {"count": 256}, live=True),
        Rule(RuleKey.COMMON),
        Rule(RuleKey.CONTEXT),
        Rule(RuleKey.CURRENT),
        Rule(RuleKey.HISTORY, {"count": 5}),
        Rule(RuleKey.CONFIRM, live=True),
    )
    asking = explain(PasswordPolicy(classes=3, min_strength=2), WORDS)
    assert Rule(RuleKey.CLASSES, {"count": 3}, live=True) in asking
    assert Rule(RuleKey.STRENGTH, {"score": 2}) in asking
    without = explain(PasswordPolicy(history=0), ())
    assert {RuleKey.CONTEXT, RuleKey.HISTORY}.isdisjoint(rule.key for rule in without)


@given(policies, typed, typed, st.booleans(), st.booleans(), st.integers(0, 4))
def test_each_broken_rule_is_one_of_those_explained_with_the_same_figures(
    policy, candidate, other, same, common, score
):
    try:
        found = judge(policy, candidate, candidate if same else other, WORDS, lambda _: common, lambda _: score)
    except Unfit as unfit:
        assert unfit.code == "bad_characters"  # noqa: PT017 - a refusal of its own, with a sentence of its own
        return
    listed = [(rule.key, rule.params) for rule in explain(policy, WORDS)]
    places = [listed.index((one.rule, one.params)) for one in found]
    assert places == sorted(set(places))


@settings(max_examples=300)
@given(policies, typed, st.booleans(), st.integers(0, 4))
def test_a_candidate_that_satisfies_every_explained_rule_is_accepted_and_no_other(policy, candidate, common, score):
    """Each rule judged here anew, by what its sentence says."""
    try:
        text = unicodedata.normalize("NFC", "".join(" " if c.isspace() and c > "\x7f" else c for c in candidate))
        text.encode()
    except UnicodeEncodeError:
        return
    if len(candidate) > 1024 or any(unicodedata.category(character) == "Cc" for character in candidate):
        return
    fits = len(text) <= policy.max_length
    kinds = (str.islower, str.isupper, str.isdecimal)
    plain = [c for c in text if c.isascii()]
    found = sum(any(kind(c) for c in plain) for kind in kinds) + any(not c.isalnum() for c in plain)
    if len(plain) < len(text) and policy.classes > 1:
        return  # of other scripts a table says more: the next test
    says = {
        RuleKey.MIN_LENGTH: len(text) >= policy.min_length,
        RuleKey.MAX_LENGTH: fits,
        RuleKey.CLASSES: found >= policy.classes or not fits,
        RuleKey.STRENGTH: score >= policy.min_strength or not fits,
        RuleKey.COMMON: not common or len(text) > policy.max_length,
        RuleKey.CONTEXT: text not in {"Keyturn2026!", "jane.doe42"},
        RuleKey.CURRENT: True,
        RuleKey.HISTORY: True,
        RuleKey.CONFIRM: True,
    }
    accepted = all(says[rule.key] for rule in explain(policy, WORDS))

    assert (judge(policy, candidate, candidate, WORDS, lambda _: common, lambda _: score) == ()) == accepted


@pytest.mark.parametrize(
    ("candidate", "count"),
    [
        ("staple", 1),
        ("Staple", 2),
        ("Staple7", 3),
        ("Staple 7", 4),
        ("стапль", 1),
        ("Стапль٧", 3),
        ("订书钉", 1),
        ("ß\U0001f3c6", 2),
        ("", 0),
    ],
)
def test_kinds_of_characters_are_those_of_every_script(candidate, count):
    assert rules.classes(candidate) == count


# ---- passwordrules

_KINDS = {
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "digit": string.digits,
    "special": "-~!@#$%^&*_+=`|(){}[:;\"'<>,.?] ",  # as Apple's documentation lists them
}


def test_the_attribute_for_password_managers_is_the_policys():
    assert passwordrules(DEFAULT) == "minlength: 12; maxlength: 256; allowed: ascii-printable;"
    assert passwordrules(PasswordPolicy(15, 64)) == "minlength: 15; maxlength: 64; allowed: ascii-printable;"


@given(policies, st.data())
def test_what_a_password_manager_generates_by_the_attribute_is_accepted(policy, data):
    said = [part.strip().split(": ") for part in passwordrules(policy).rstrip(";").split(";")]
    required = [_KINDS[value] for name, value in said if name == "required"]
    parts = dict(part for part in said if part[0] != "required")
    assert parts.pop("allowed") == "ascii-printable"
    size = data.draw(st.integers(int(parts.pop("minlength")), int(parts.pop("maxlength"))))
    assert not parts
    printable = [chr(code) for code in range(0x20, 0x7F)]
    left = size - len(required)
    chosen = [data.draw(st.sampled_from(kind)) for kind in required]
    chosen += data.draw(st.lists(st.sampled_from(printable), min_size=left, max_size=left))
    generated = "".join(data.draw(st.permutations(chosen)))

    assert judge(policy, generated, generated, WORDS, nothing_blocked, strong) == ()


@pytest.mark.parametrize("min_strength", [1, 2, 3, 4])
def test_what_a_password_manager_draws_at_random_by_the_attribute_is_strong_enough(min_strength):
    policy = PasswordPolicy(8, min_strength=min_strength)
    least = int(passwordrules(policy).partition("minlength: ")[2].partition(";")[0])
    draw = random.Random(4)
    for _ in range(500):
        generated = "".join(draw.choices(string.ascii_letters + string.digits + string.punctuation, k=least))
        assert strength(generated, ()).score >= min_strength


def test_nothing_is_required_of_a_password_manager_that_the_policy_does_not_ask_for():
    assert "required" not in passwordrules(PasswordPolicy(classes=1))
    assert passwordrules(PasswordPolicy(classes=3)) == (
        "minlength: 12; maxlength: 256; required: lower; required: upper; required: digit; allowed: ascii-printable;"
    )
