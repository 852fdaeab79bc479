"""What a new password must be: rules that explain themselves and judge, from one policy object.

Length, a list of common passwords and words of the context; nothing is banned inside a longer password (NIST SP
800-63B-4 sec. 3.1.1.2; ASVS 6.2.1 to 6.2.12). Kinds of characters and a strength only where an organization asks.
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from app.factors.password.model import Broken, Form, Rule, RuleKey
from app.records.organizations.model import PasswordPolicy

RAW_MAX = 1024  # code points, before normalising, which is quadratic in older Pythons (CVE-2026-3276)
LEAST = 8  # code points: no password, a temporary one included, may be shorter (NIST SP 800-63B-4 sec. 3.1.1.2)

_TEMPORARY_LEAST = 15  # code points of a temporary password from a mailed link (security rule 11)
_GROUP = 4  # characters that are read at a time
# no l and o, 1 and 0, which look alike
_READABLE = "abcdefghijkmnpqrstuvwxyz23456789"
_WORDS = 64  # of a context; bounds the work
# what ``passwordrules`` can ask for, in this order; a policy asks for some of the four, whichever they are
_CLASSES = ("lower", "upper", "digit", "special")
_CLASS_OF = {"Ll": "lower", "Lu": "upper", "Nd": "digit"}  # whatever else is special
_RANDOM = 16  # random characters have any strength that can be asked for
_SHARE = 3  # a derivative consists of context words to at least a third: "acme20261122" does


class Unfit(ValueError):
    """Nobody's password can be this. ``code`` is too_long, too_short or bad_characters."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def normalise(typed: str) -> str:
    """The one form that is judged and hashed, ``Form.NFC1``: RFC 8265 sec. 4.2, OpaqueString.

    NFC, and every other space becomes U+0020, so that the same text typed on another device is the same
    password. No trimming, no change of case or width (ASVS 6.2.8). Raises Unfit for more than 1024 code
    points, control characters and lone surrogates; whatever was not assigned yet passes, so that new emoji do.
    """
    if len(typed) > RAW_MAX:
        raise Unfit("too_long")
    if typed.isascii():
        if not typed.isprintable():
            raise Unfit("bad_characters")
        return typed
    categories = {character: unicodedata.category(character) for character in set(typed)}
    if not {"Cc", "Cs"}.isdisjoint(categories.values()):
        raise Unfit("bad_characters")
    spaced = "".join(" " if categories[character] == "Zs" else character for character in typed)
    return unicodedata.normalize("NFC", spaced)


def octets(form: Form, typed: str) -> bytes | None:
    """The bytes that were hashed under a form; None where nobody's password can be that."""
    try:
        if form is Form.NFC1:
            return normalise(typed).encode()
        return typed.encode() if len(typed) <= RAW_MAX else None
    except (Unfit, UnicodeEncodeError):
        return None


def explain(policy: PasswordPolicy, words: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that a page shows before anything is typed."""
    rules = [
        Rule(RuleKey.MIN_LENGTH, {"count": policy.min_length}, live=True),
        Rule(RuleKey.MAX_LENGTH, {"count": policy.max_length}, live=True),
    ]
    if policy.classes > 1:
        rules.append(Rule(RuleKey.CLASSES, {"count": policy.classes}, live=True))
    rules.append(Rule(RuleKey.COMMON))
    if words:
        rules.append(Rule(RuleKey.CONTEXT))
    if policy.min_strength:
        rules.append(Rule(RuleKey.STRENGTH, {"score": policy.min_strength}))
    rules.append(Rule(RuleKey.CURRENT))
    if policy.history:
        rules.append(Rule(RuleKey.HISTORY, {"count": policy.history}))
    rules.append(Rule(RuleKey.CONFIRM, live=True))
    return tuple(rules)


def judge(
    policy: PasswordPolicy,
    candidate: str,
    confirm: str,
    words: Sequence[str],
    blocked: Callable[[str], bool],
    score: Callable[[str], int],
) -> tuple[Broken, ...]:
    """All rules that a typed candidate breaks, in the order of ``explain``.

    ``words`` come from ``context_words``; ``blocked`` says whether a whole password is a common one, ``score`` how
    strong it is, from 0 to 4. The two rules about former passwords need a slow hash and are the service's. Raises
    Unfit for bad characters.
    """
    wanted = normalise(candidate) if len(candidate) <= RAW_MAX else None
    broken = []
    if wanted is not None and len(wanted) < policy.min_length:
        broken.append(Broken(RuleKey.MIN_LENGTH, {"count": policy.min_length}))
    if wanted is None or len(wanted) > policy.max_length:
        broken.append(Broken(RuleKey.MAX_LENGTH, {"count": policy.max_length}))
    else:
        if 1 < policy.classes > classes(wanted):
            broken.append(Broken(RuleKey.CLASSES, {"count": policy.classes}))
        if blocked(wanted):
            broken.append(Broken(RuleKey.COMMON))
        if is_derived(wanted, words):
            broken.append(Broken(RuleKey.CONTEXT))
        if policy.min_strength and score(wanted) < policy.min_strength:
            broken.append(Broken(RuleKey.STRENGTH, {"score": policy.min_strength}))
    if candidate != confirm and (wanted is None or wanted.encode() != octets(Form.NFC1, confirm)):
        broken.append(Broken(RuleKey.CONFIRM))
    return tuple(broken)


def passwordrules(policy: PasswordPolicy) -> str:
    """The ``passwordrules`` attribute, by which password managers generate (Apple, Password Rules)."""
    least = max(policy.min_length, _RANDOM) if policy.min_strength else policy.min_length
    required = "".join(f" required: {name};" for name in _CLASSES[: policy.classes if policy.classes > 1 else 0])
    return f"minlength: {least}; maxlength: {policy.max_length};{required} allowed: ascii-printable;"


def temporary_size(policy: PasswordPolicy) -> int:
    """How many octets ``temporary`` takes, so that it is long enough."""
    least = max(policy.min_length, _TEMPORARY_LEAST)
    return _GROUP * -(-(least + 1) // (_GROUP + 1))


def temporary(octets: bytes) -> str:
    """A password that is read off a page: five bits an octet, in groups of four, the first letter a capital."""
    text = "".join(_READABLE[octet & 31] for octet in octets).capitalize()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def classes(password: str) -> int:
    """How many of small letters, capitals, digits and other characters there are."""
    return len({_CLASS_OF.get(unicodedata.category(character), "special") for character in password})


def fold(password: str) -> str:
    """The spelling under which common passwords are listed: capitals are the first thing a guesser varies."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", password).casefold())


def context_words(
    *, user_id: str, names: Iterable[str] = (), emails: Iterable[str] = (), services: Iterable[str] = ()
) -> tuple[str, ...]:
    """What a guesser who knows the person would try: folded words of the context, each at least three letters.

    ``names`` are the person's, ``services`` the portal's and the organizations'. Of each text its parts and
    the whole; of an e-mail address what stands before the last dot of the domain.
    """
    found: dict[str, None] = {}
    texts = [user_id, *names, *(email.rpartition(".")[0] or email for email in emails), *services]
    for text in texts:
        folded = _skeleton(text[:RAW_MAX])
        runs = "".join(letter if loose.isalnum() else " " for letter, loose in folded).split()
        letters = "".join(letter if loose.isalpha() else " " for letter, loose in folded).split()
        for word in (*runs, *letters, "".join(runs)):
            if len(word) >= (3 if word.isascii() else 2):
                found[word] = None
    return tuple(found)[:_WORDS]


def is_derived(candidate: str, words: Sequence[str]) -> bool:
    """Whether a whole candidate is made of context words with digits, signs and spaces around them.

    Substitutions (``@`` for a), capitals and accents make no difference. A candidate that holds anything
    else, or words to less than a third, is no derivative: nothing is banned inside a longer password.
    """
    folded = _skeleton(candidate)
    text = "".join(letter for letter, _ in folded)
    covered: list[int] = [0] + [-1] * len(text)  # the most letters of words among the first so many characters
    for place, (_, loose) in enumerate(folded):
        if covered[place] < 0:
            continue
        if not loose.isalpha():
            covered[place + 1] = max(covered[place + 1], covered[place])
        for word in words:
            if text.startswith(word, place):
                end = place + len(word)
                covered[end] = max(covered[end], covered[place] + len(word))
    return covered[-1] > 0 and covered[-1] * _SHARE >= len(text)


_SUBSTITUTES = str.maketrans("0134567892l|!@$+(€£", "oieasgtbgziiiastcei")


def _skeleton(text: str) -> list[tuple[str, str]]:
    """Each letter with substitutions undone, beside the character it came from; accents and case are gone."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return [
        (character.translate(_SUBSTITUTES), character) for character in plain if not unicodedata.combining(character)
    ]
