"""Where an installation departs from the standards, each with its sentence (docs/deviations.md says why)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.journeys.diagnosis.model import Check, Deviation, Facts, Level
from app.records.organizations.model import Departure, Policy
from app.records.organizations.rules import ALL_DEPARTURES, EMAIL_PIN, SMS_PIN, departures

CLOCK_TOLERANCE = 5  # seconds; an app's code is right for thirty

_NIST = "NIST SP 800-63B-4"
_ASVS = "OWASP ASVS 5.0"

ALWAYS = (
    Deviation(
        "no-phishing-resistant-option",
        f"{_NIST} sec. 2.2.2",
        "AAL2 must offer a phishing-resistant authenticator; app codes, PINs and passwords are none, so this "
        "installation cannot claim AAL2.",
    ),
    Deviation(
        "totp-window",
        f"{_ASVS} 6.5.5; RFC 6238 sec. 5.2",
        "A code of an authenticator app is accepted for three time-steps (90 s, -1 to +1) instead of one of 30 s; each "
        "step counts once.",
    ),
    Deviation(
        "argon2id",
        f"{_NIST} sec. 3.1.1.2",
        "Passwords are hashed with Argon2id, as OWASP and RFC 9106 advise, and not with a scheme of SP 800-132.",
    ),
)


def _told(departure: Departure, names: Sequence[str] = ()) -> Deviation:
    used = f" Used by: {', '.join(names)}." if names else ""
    return Deviation(departure.key, departure.source, f"{departure.sentence}{used}")


_EMAIL_PIN, _SMS_PIN = _told(EMAIL_PIN), _told(SMS_PIN)
_PLAIN_HTTP = Deviation(
    "plain-http",
    f"{_ASVS} 12.2.1 and 3.3.1",
    "PUBLIC_URL is plain http (accepted for this machine alone): cookies go without Secure and the __Host- prefix.",
)
_PLAIN_SMTP = Deviation(
    "plain-smtp",
    f"{_ASVS} 12.3.1",
    "SMTP_URL is plain smtp (accepted for this machine alone): whether the mail server goes on with TLS is its affair.",
)
_PLAIN_TWILIO = Deviation(
    "plain-twilio",
    f"{_ASVS} 12.3.1",
    "TWILIO_API_BASE is plain http (accepted for this machine alone), which is meant for tests.",
)
_NO_SECURITY_CONTACT = Deviation(
    "no-security-contact",
    "RFC 9116 sec. 2.5.3",
    "SECURITY_CONTACT is empty, so /.well-known/security.txt names nobody to report a weakness to.",
)


def deviations(facts: Facts) -> tuple[Deviation, ...]:
    """Every departure of an installation, in the order of docs/deviations.md."""
    conditional = (
        (facts.email, _EMAIL_PIN),
        (facts.sms, _SMS_PIN),
        (not facts.secure, _PLAIN_HTTP),
        (facts.plain_smtp, _PLAIN_SMTP),
        (facts.plain_twilio, _PLAIN_TWILIO),
        (not facts.security_contact, _NO_SECURITY_CONTACT),
    )
    found = [*ALWAYS, *(deviation for holds, deviation in conditional if holds)]
    return (*found, *_of_policies(facts.policies))


def _of_policies(policies: Mapping[str, Policy]) -> tuple[Deviation, ...]:
    """What organizations decided against the standards, each once, with who did."""
    decided = {name: departures(policies[name]) for name in sorted(policies)}
    each = [one for one in ALL_DEPARTURES if one not in (EMAIL_PIN, SMS_PIN)]  # those two are the installation's
    users = {one: [name for name, theirs in decided.items() if one in theirs] for one in each}
    return tuple(_told(one, names) for one, names in users.items() if names)


def worst(checks: Iterable[Check]) -> Level:
    """The level of the whole."""
    levels = {check.level for check in checks}
    return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.OK)


def printable(value: Any) -> object:
    """A setting as JSON can hold it."""
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [printable(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if isinstance(value, Mapping):
        return {str(name): printable(one) for name, one in value.items()}
    return str(value)
