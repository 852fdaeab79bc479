"""Settings: config/*.toml, then KEYTURN_… from the environment, then KEYTURN_…_FILE for secrets in files.

An unknown or impossible setting stops the start with one clear line. The reason for each default stands in
config/defaults.toml. Read by hand and not by a library: the reader is small, and a cold start may cost at
most one second of CPU (docs/decisions).
"""

import base64
import binascii
import ipaddress
import os
import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.foundation.secretbox import MASTER, MasterKey

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "KEYTURN_"
SECRETS = frozenset(
    {
        "SECRET_KEYS",
        "SMTP_URL",
        "DATABASE_URL",
        "REDIS_URL",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_API_KEY_SECRET",
        "METRICS_TOKEN",
    }
)


_OECD_AND_EEA = (
    "AT AU BE BG CA CH CL CO CR CY CZ DE DK EE ES FI FR GB GR HR HU IE IL IS IT JP KR LI LT LU LV MT MX NL NO NZ PL PT "
    "RO SE SI SK TR US"
)
EVERYWHERE = "ALL"


class BadSetting(Exception):
    """One line that names the setting and says what it should be."""


def _secret(default: str = "") -> Any:
    return field(default=default, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked. Upper-case names in TOML and the environment, lower-case here."""

    public_url: str = "http://127.0.0.1:8470"
    bind: str = "127.0.0.1:8470"
    state_dir: Path = Path("var")
    database_url: str = _secret()  # empty: SQLite in STATE_DIR
    redis_url: str = _secret()  # empty: the embedded store on a Unix socket
    secret_keys: tuple[MasterKey, ...] = field(default=(), repr=False)  # empty: STATE_DIR/keys
    workers: int = 2
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    metrics_token: str = _secret()
    smtp_url: str = _secret()
    mail_from: str = ""
    twilio_account_sid: str = ""
    twilio_auth_token: str = _secret()
    twilio_api_key_sid: str = ""
    twilio_api_key_secret: str = _secret()
    twilio_from: str = ""
    twilio_api_base: str = "https://api.twilio.com"
    limit_starts_per_address: int = 60
    limit_tries_per_address: int = 300
    limit_messages_per_hour: int = 1_000
    limit_stranger_failures_per_day: int = 3_000
    limit_api_per_client: int = 6_000
    limit_api_sign_ins_per_client: int = 300
    limit_sms_per_day: int = 2_000
    limit_sms_per_organization: int = 1_000
    limit_sms_per_prefix: int = 100
    limit_sms_notices_per_day: int = 2_000
    sms_countries: frozenset[str] = frozenset(re.findall(r"[A-Z]+", _OECD_AND_EEA))  # {"ALL"}: everywhere
    sms_verified_floor: int = 20  # percent
    sms_verified_sample: int = 50
    sms_currency: str = "USD"
    sms_price: Decimal = Decimal("0.08")
    sms_prices: Mapping[str, Decimal] = field(default_factory=dict)  # by country
    brand_name: str = "Keyturn"
    brand_colour: str = "#1f4e8c"
    support_phone: str = ""
    support_email: str = ""
    support_hours: str = ""
    support_openings: tuple[tuple[int, str, str], ...] = ()  # weekday (0 is Monday), from, to
    support_time_zone: str = "UTC"
    security_contact: str = ""
    default_language: str = "en"
    argon2_memory_kib: int = 19_456
    argon2_passes: int = 2
    hashing_slots: int = 0  # 0: the cores, shared among the workers
    log_level: str = "INFO"
    soap_namespace: str = "https://www.assuresign.net/Services/DocumentNOW/Users"
    audit_keep_days: int = 400
    audit_seals_to: str = ""  # a path
    audit_seals_mail_to: str = ""  # an address
    audit_seals_mail_hours: int = 24
    demo: bool = False  # set by `keyturn demo` alone; no file or variable may

    @property
    def secure(self) -> bool:
        """True where the public address is https; cookies then are Secure and have the __Host- prefix."""
        return self.public_url.startswith("https://")

    @property
    def host(self) -> str:
        """The public host name without the port, as the last line of an SMS names it."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def netloc(self) -> str:
        """The public host with its port where it is not the usual one, as a Host header carries it."""
        parts = urlsplit(self.public_url)
        usual = ":443" if parts.scheme == "https" else ":80"
        return parts.netloc.lower().removesuffix(usual)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite:///{self.state_dir / 'keyturn.sqlite'}"


_NOT_FROM_OUTSIDE = frozenset({"demo"})


def load_settings(environ: Mapping[str, str] | None = None, config: Path | None = None, **overrides: Any) -> Settings:
    """Read and check all settings. Raises BadSetting with one clear line.

    ``overrides`` are values that the caller decides (a test, the demo), already of the right type.
    """
    environ = os.environ if environ is None else environ
    raw: dict[str, tuple[Any, str]] = {}
    folder = config if config is not None else Path(environ.get("KEYTURN_CONFIG", ROOT / "config"))
    for path in _toml_files(folder):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise BadSetting(f"{path}: {error}") from None
        for name, value in table.items():
            raw[name] = (value, f"{path.name}: {name}")
    given = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
    for name, value in given.items():
        if name != "CONFIG":
            _take(raw, name, value, given)
    known = {f.name.upper(): f.name for f in fields(Settings) if f.name not in _NOT_FROM_OUTSIDE}
    values: dict[str, Any] = {}
    for name, (value, where) in raw.items():
        if name not in known:
            raise BadSetting(f"{where}: there is no such setting")
        values[known[name]] = _read(known[name], value, where)
    settings = Settings(**{**values, **overrides})
    _check(settings)
    return settings


def _toml_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadSetting(f"{folder}: there is no such folder (KEYTURN_CONFIG)")
    first = folder / "defaults.toml"
    others = sorted(p for p in folder.glob("*.toml") if p != first and p.name != "development.toml")
    return ([first] if first.exists() else []) + others


def _take(raw: dict[str, tuple[Any, str]], name: str, value: str, given: Collection[str]) -> None:
    where = f"{PREFIX}{name}"
    if name.endswith("_FILE"):
        name = name.removesuffix("_FILE")
        if name not in SECRETS:
            raise BadSetting(f"{where}: only secrets are read from files")
        if name in given:
            raise BadSetting(f"{where}: {PREFIX}{name} is set too, and only one of them can count")
        try:
            value = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"{where}: {error}") from None
    raw[name] = (value, where)


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}", str(value)):
            raise ValueError("must be a whole number")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be from {low} to {high}")
        return number

    return read


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - every reader speaks by ValueError
    # line ends would split headers, and bytes of the environment that are not UTF-8 come as lone surrogates
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in value):
        raise ValueError("must not hold control characters or broken UTF-8")
    return value.strip()


def _matching(pattern: str, what: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = _text(value)
        if text and not re.fullmatch(pattern, text):
            raise ValueError(f"must be {what}")
        return text

    return read


def _needed(reader: Callable[[Any], str]) -> Callable[[Any], str]:
    """Set but empty, as compose files do it, means nothing for a setting that has to have a value."""

    def read(value: Any) -> str:
        text = reader(value)
        if not text:
            raise ValueError("must not be empty")
        return text

    return read


def _folder(value: Any) -> Path:
    text = _needed(_text)(value)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("starts with the home of a user who is not there") from None


def parse_keys(value: Any) -> tuple[MasterKey, ...]:
    """``name:base64[,name:base64…]``, the active key first; each at least 32 bytes of randomness."""
    keys = []
    lines = value.splitlines() if isinstance(value, str) else [value]
    for part in (part for line in lines for part in _text(line).split(",")):
        if not part.strip():
            continue
        name, colon, body = part.strip().partition(":")
        # without a colon it is a bare secret, which no message may repeat
        if not colon or not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name):
            raise ValueError("must be name:base64, separated by commas")
        try:
            material = base64.b64decode(body, validate=True)
        except binascii.Error:
            raise ValueError(f"key {name!r} is not base64") from None
        if len(material) < MASTER:
            raise ValueError(f"key {name!r} is shorter than {MASTER} bytes")
        if len(set(material)) < 12:
            raise ValueError(f"key {name!r} is not random")
        keys.append(MasterKey(name, material))
    if len({key.name for key in keys}) != len(keys):
        raise ValueError("two keys have one name")
    return tuple(keys)


def _networks(value: Any) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    parts = value if isinstance(value, list) else _text(value).replace(",", " ").split()
    try:
        return tuple(ipaddress.ip_network(str(part)) for part in parts)
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8") from None


def _countries(value: Any) -> frozenset[str]:
    parts = value if isinstance(value, list) else _text(value).replace(",", " ").split()
    codes = frozenset(str(part).upper() for part in parts)
    if codes == {EVERYWHERE}:
        return codes
    if not codes:
        raise ValueError("must not be empty; without TWILIO_… no SMS is sent at all")
    if not all(re.fullmatch(r"[A-Z]{2}", code) for code in codes):
        raise ValueError("must be countries by ISO 3166 such as DE, AT, or ALL")
    return codes


def _price(value: Any) -> Decimal:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,6})?", text):
        raise ValueError("must be a price from 0 to 99.999999, such as 0.075")
    return Decimal(text)


def _prices(value: Any) -> dict[str, Decimal]:
    if isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = [part.partition("=")[::2] for part in _text(value).replace(",", " ").split()]
    if not all(re.fullmatch(r"[A-Z]{2}", str(country)) for country, _ in pairs):
        raise ValueError("must be prices by country such as DE=0.075 US=0.0083")
    return {str(country): _price(price) for country, price in pairs}


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = "|".join(_DAYS)
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_OPENINGS = re.compile(rf"({_DAY})(?:-({_DAY}))?((?: {_CLOCK}-(?:{_CLOCK}|24:00))+)")


def _openings(value: Any) -> tuple[tuple[int, str, str], ...]:
    """``Mon-Fri 08:00-12:00 13:00-17:00, Sat 09:00-12:00``."""
    found: list[tuple[int, str, str]] = []
    for part in filter(None, map(str.strip, _text(value).split(","))):
        match = _OPENINGS.fullmatch(part)
        first, last = (_DAYS.index(match[1]), _DAYS.index(match[2] or match[1])) if match else (1, 0)
        hours = [hour.split("-") for hour in match[3].split()] if match else []
        if last < first or any(begins >= ends for begins, ends in hours):
            raise ValueError("must be days and hours such as Mon-Fri 08:00-17:00, Sat 09:00-12:00")
        found += [(day, begins, ends) for day in range(first, last + 1) for begins, ends in hours]
    return tuple(found)


def _time_zone(value: Any) -> str:
    text = _needed(_text)(value)
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as Europe/Berlin") from None


_READERS: dict[str, Callable[[Any], Any]] = {
    "state_dir": _folder,
    "secret_keys": parse_keys,
    "trusted_proxies": _networks,
    "workers": _whole(1, 64),
    "limit_starts_per_address": _whole(1, 100_000),
    "limit_tries_per_address": _whole(1, 100_000),
    "limit_messages_per_hour": _whole(1, 1_000_000),
    "limit_stranger_failures_per_day": _whole(1, 3_000),
    "limit_api_per_client": _whole(1, 1_000_000),
    "limit_api_sign_ins_per_client": _whole(1, 100_000),
    "limit_sms_per_day": _whole(1, 20_000),
    "limit_sms_per_organization": _whole(1, 20_000),
    "limit_sms_per_prefix": _whole(1, 10_000),
    "limit_sms_notices_per_day": _whole(1, 20_000),
    "sms_countries": _countries,
    "sms_verified_floor": _whole(0, 90),
    "sms_verified_sample": _whole(5, 1_000),
    "sms_currency": _needed(_matching(r"[A-Z]{3}", "a currency by ISO 4217 such as USD")),
    "sms_price": _price,
    "sms_prices": _prices,
    "argon2_memory_kib": _whole(7_168, 4_194_304),
    "argon2_passes": _whole(1, 100),
    "hashing_slots": _whole(0, 64),
    # it stands in the media type of a SOAP 1.2 request, of which no more than 256 characters are read
    "soap_namespace": _needed(
        _matching(
            r"[A-Za-z][A-Za-z0-9+.-]{0,15}:[A-Za-z0-9._~:/?#@!$&()*+,;=%-]{1,112}", "a URI of at most 128 characters"
        )
    ),
    "audit_keep_days": _whole(30, 36_500),
    "audit_seals_mail_to": _matching(
        r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", "one address such as it@example.org"
    ),
    "audit_seals_mail_hours": _whole(1, 744),
    "bind": _needed(_matching(r"(\[[0-9a-fA-F:]+\]|[^\s:\[\]]+):[0-9]{1,5}", "HOST:PORT")),
    "brand_name": _needed(_text),
    "support_openings": _openings,
    "support_time_zone": _time_zone,
    "brand_colour": _needed(_matching(r"#[0-9a-fA-F]{6}", "a colour such as #1f4e8c")),
    "default_language": _needed(_matching(r"en|de", "en or de")),
    "log_level": _needed(_matching(r"DEBUG|INFO|WARNING|ERROR", "DEBUG, INFO, WARNING or ERROR")),
    # what an HTTP header can carry back to us
    "metrics_token": _matching(r"[!-~]+", "visible ASCII characters"),
    # RFC 9116 sec. 2.5.3
    "security_contact": _matching(r"(mailto:|tel:|https://)[!-~]+", "a URI such as mailto:security@example.org"),
    "twilio_account_sid": _matching(r"AC[0-9a-f]{32}", "AC and 32 hexadecimal digits"),
    "twilio_api_key_sid": _matching(r"SK[0-9a-f]{32}", "SK and 32 hexadecimal digits"),
    "twilio_from": _matching(
        r"\+[1-9][0-9]{6,14}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{1,11}", "a number, a Messaging Service SID or a sender name"
    ),
}


def _read(name: str, value: Any, where: str) -> Any:
    reader: Callable[[Any], Any] = _READERS.get(name, _text)
    try:
        return reader(value)
    except ValueError as error:
        raise BadSetting(f"{where}: {error}") from None


# OWASP Password Storage: Argon2id with p=1 must not be weaker than one of these (KiB, passes)
OWASP_SETS = ((47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5))


def _check(settings: Settings) -> None:
    _check_origin(settings.public_url)
    if settings.smtp_url:
        _check_url("SMTP_URL", settings.smtp_url, {"smtps", "smtp+starttls"}, {"smtp"})
    _check_url("TWILIO_API_BASE", settings.twilio_api_base, {"https"}, {"http"})
    _check_stores(settings)
    if not any(settings.argon2_memory_kib >= m and settings.argon2_passes >= t for m, t in OWASP_SETS):
        raise BadSetting(
            "ARGON2_MEMORY_KIB, ARGON2_PASSES: weaker than every set that OWASP allows, such as 19456 KiB and 2 passes"
        )
    if int(settings.bind.rpartition(":")[2]) > 65_535:
        raise BadSetting("BIND: there is no such port")
    twilio = (settings.twilio_account_sid, settings.twilio_from)
    signer = (settings.twilio_api_key_sid and settings.twilio_api_key_secret) or settings.twilio_auth_token
    if any(twilio) and not (all(twilio) and signer):
        raise BadSetting(
            "TWILIO_…: needs TWILIO_ACCOUNT_SID, TWILIO_FROM and either TWILIO_API_KEY_SID with "
            "TWILIO_API_KEY_SECRET or TWILIO_AUTH_TOKEN"
        )
    if settings.smtp_url and "@" not in settings.mail_from:
        raise BadSetting("MAIL_FROM: needs an address when SMTP_URL is set")
    if settings.audit_seals_mail_to and not settings.smtp_url:
        raise BadSetting("AUDIT_SEALS_MAIL_TO: needs SMTP_URL")
    if contrast(settings.brand_colour, "#ffffff") < 4.5:
        raise BadSetting("BRAND_COLOUR: its contrast against white is below 4.5:1")


def _check_origin(url: str) -> None:
    _check_url("PUBLIC_URL", url, {"https"}, {"http"})
    origin = urlsplit(url)
    if origin.path not in {"", "/"} or origin.query or origin.fragment or "@" in origin.netloc:
        raise BadSetting("PUBLIC_URL: must be an origin without a path, such as https://keyturn.example.org")
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", origin.netloc):
        raise BadSetting("PUBLIC_URL: its host must be spelled as browsers send it, such as xn--mller-kva.example")


def _check_stores(settings: Settings) -> None:
    if settings.database_url and not settings.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise BadSetting("DATABASE_URL: must start with sqlite:/// or postgresql+psycopg://")
    if settings.database_url in {"sqlite:///", "sqlite:///:memory:"}:
        raise BadSetting("DATABASE_URL: a database in memory forgets everything; name a file")
    if settings.redis_url and not settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise BadSetting("REDIS_URL: must start with redis://, rediss:// or unix://")


def _check_url(name: str, value: str, always: set[str], on_loopback: set[str]) -> None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadSetting(f"{name}: is not an address") from None
    schemes = " or ".join(sorted(always))
    if parts.scheme in always and host:
        return
    if parts.scheme in on_loopback and host:
        if is_loopback(host):
            return
        raise BadSetting(f"{name}: {parts.scheme} is accepted for loopback addresses only; use {schemes}")
    raise BadSetting(f"{name}: must start with {schemes}://")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by address or as `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
