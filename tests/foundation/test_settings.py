"""Settings: from files, the environment and secret files; what is impossible stops the start with one clear line."""

import base64
import ipaddress
import os
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.foundation.secretbox import MasterKey
from app.foundation.settings import SECRETS, BadSetting, Settings, contrast, is_loopback, load_settings, parse_keys

KEY = bytes(range(32))
KEY_TEXT = base64.b64encode(KEY).decode()
TWILIO = {
    "KEYTURN_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "KEYTURN_TWILIO_AUTH_TOKEN": "token",
    "KEYTURN_TWILIO_FROM": "+15005550006",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An empty config folder."""
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


@pytest.fixture
def load(config):
    """Load from that folder and the given variables alone."""

    def run(environ: dict[str, str] | None = None, **overrides) -> Settings:
        return load_settings(environ or {}, config, **overrides)

    return run


def refusal(load, environ: dict[str, str]) -> str:
    with pytest.raises(BadSetting) as refused:
        load(environ)
    text = str(refused.value)
    assert "\n" not in text
    return text


# ---- where they come from


def test_without_any_file_or_variable_the_defaults_hold(load):
    assert load() == Settings()


def test_the_environment_goes_before_files_and_files_before_defaults(load, config):
    (config / "defaults.toml").write_text('BRAND_NAME = "one"\nWORKERS = 3\nSUPPORT_HOURS = "9 to 5"\n')
    (config / "site.toml").write_text('BRAND_NAME = "two"\nWORKERS = 4\n')
    settings = load({"KEYTURN_BRAND_NAME": "three", "UNRELATED": "x"})
    assert (settings.brand_name, settings.workers, settings.support_hours) == ("three", 4, "9 to 5")


def test_later_files_go_before_earlier_ones_and_development_is_not_read(load, config):
    (config / "defaults.toml").write_text("WORKERS = 2\n")
    (config / "a.toml").write_text("WORKERS = 3\n")
    (config / "b.toml").write_text("WORKERS = 4\n")
    (config / "development.toml").write_text("WORKERS = 5\n")
    assert load().workers == 4


def test_the_folder_is_named_by_a_variable(tmp_path):
    (tmp_path / "any.toml").write_text("WORKERS = 7\n")
    assert load_settings({"KEYTURN_CONFIG": str(tmp_path)}).workers == 7
    with pytest.raises(BadSetting, match="KEYTURN_CONFIG"):
        load_settings({"KEYTURN_CONFIG": str(tmp_path / "nowhere")})


def test_secrets_come_from_files_too_without_their_last_line_end(load, tmp_path):
    file = tmp_path / "token"
    file.write_text("a-long-metrics-token\n")
    assert load({"KEYTURN_METRICS_TOKEN_FILE": str(file)}).metrics_token == "a-long-metrics-token"


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_may_be_in_a_file(load, tmp_path, name):
    values = {
        "SECRET_KEYS": f"k1:{KEY_TEXT}",
        "SMTP_URL": "smtps://u:p@mail.example",
        "DATABASE_URL": "sqlite:////tmp/x.sqlite",
        "REDIS_URL": "redis://localhost",
    }
    file = tmp_path / "secret"
    file.write_text(values.get(name, "something") + "\n")
    settings = load({f"KEYTURN_{name}_FILE": str(file), "KEYTURN_MAIL_FROM": "a@b.example"})
    assert getattr(settings, name.lower())


def test_only_secrets_are_read_from_files(load, tmp_path):
    assert "only secrets" in refusal(load, {"KEYTURN_BRAND_NAME_FILE": str(tmp_path)})


def test_a_file_that_cannot_be_read_is_named(load, tmp_path):
    assert "KEYTURN_SMTP_URL_FILE" in refusal(load, {"KEYTURN_SMTP_URL_FILE": str(tmp_path / "none")})
    (tmp_path / "broken").write_bytes(b"\xff\xfe secret")
    text = refusal(load, {"KEYTURN_SMTP_URL_FILE": str(tmp_path / "broken")})
    assert "secret" not in text.removeprefix("KEYTURN_SMTP_URL_FILE")


@pytest.mark.parametrize("order", [1, -1])
def test_a_secret_that_is_given_twice_is_refused_whichever_comes_first(load, tmp_path, order):
    file = tmp_path / "token"
    file.write_text("from-the-file")
    both = [("KEYTURN_METRICS_TOKEN", "from-the-variable"), ("KEYTURN_METRICS_TOKEN_FILE", str(file))][::order]
    assert "KEYTURN_METRICS_TOKEN is set too" in refusal(load, dict(both))


# ---- what stops the start


MAILED = {"KEYTURN_SMTP_URL": "smtps://mail.example", "KEYTURN_MAIL_FROM": "a@b.example"}


@pytest.mark.parametrize(
    "address", ["it", "it@", "@b.example", "a b@b.example", "a@b.example, c@d.example", "ü@b.example"]
)
def test_seals_are_mailed_to_one_address(load, address):
    assert load({**MAILED, "KEYTURN_AUDIT_SEALS_MAIL_TO": "it+log@b.example"}).audit_seals_mail_to
    assert "AUDIT_SEALS_MAIL_TO: must be one address" in refusal(
        load, {**MAILED, "KEYTURN_AUDIT_SEALS_MAIL_TO": address}
    )


def test_seals_are_mailed_only_where_mail_is_sent_at_all_and_as_often_as_makes_sense(load):
    assert "needs SMTP_URL" in refusal(load, {"KEYTURN_AUDIT_SEALS_MAIL_TO": "it@b.example"})
    for hours in ("0", "745", "never"):
        assert "AUDIT_SEALS_MAIL_HOURS" in refusal(load, {"KEYTURN_AUDIT_SEALS_MAIL_HOURS": hours})


@pytest.mark.parametrize("name", ["KEYTURN_NO_SUCH", "KEYTURN_DEMO", "KEYTURN_public_url", "KEYTURN_"])
def test_an_unknown_setting_stops_the_start_and_the_demo_is_none(load, name):
    assert "there is no such setting" in refusal(load, {name: "1"})


def test_an_unknown_setting_in_a_file_names_the_file(load, config):
    (config / "site.toml").write_text("BRANDNAME = 1\n")
    assert refusal(load, {}) == "site.toml: BRANDNAME: there is no such setting"


def test_a_file_that_is_no_toml_is_named(load, config):
    (config / "site.toml").write_text("= 1\n")
    assert "site.toml" in refusal(load, {})


IMPOSSIBLE = [
    ("PUBLIC_URL", ""),
    ("PUBLIC_URL", "keyturn.example.org"),
    ("PUBLIC_URL", "ftp://keyturn.example.org"),
    ("PUBLIC_URL", "http://keyturn.example.org"),
    ("PUBLIC_URL", "http://127.0.0.1.example.org"),
    ("PUBLIC_URL", "https://keyturn.example.org/path"),
    ("PUBLIC_URL", "https://keyturn.example.org?query"),
    ("PUBLIC_URL", "https://keyturn.example.org#fragment"),
    ("PUBLIC_URL", "https://user:password@keyturn.example.org"),
    ("PUBLIC_URL", "https://schlüssel.example"),
    ("PUBLIC_URL", "https://keyturn.example.org:port"),
    ("PUBLIC_URL", "https://[::1"),
    ("PUBLIC_URL", "https://"),
    ("BIND", ""),
    ("BIND", "8470"),
    ("BIND", "127.0.0.1:"),
    ("BIND", "127.0.0.1:65536"),
    ("BIND", "::1:8470"),
    ("STATE_DIR", ""),
    ("STATE_DIR", "~nobody-of-that-name/var"),
    ("WORKERS", "0"),
    ("WORKERS", "65"),
    ("WORKERS", "two"),
    ("WORKERS", "٣"),
    ("WORKERS", "1e1"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "proxy.example.org"),
    ("SMTP_URL", "smtp://mail.example.org"),
    ("SMTP_URL", "mail.example.org"),
    ("TWILIO_API_BASE", "http://api.twilio.example"),
    ("TWILIO_ACCOUNT_SID", "AC123"),
    ("TWILIO_API_KEY_SID", "AC" + "0" * 32),
    ("TWILIO_FROM", "00491700000001"),
    ("TWILIO_FROM", "+15005550006"),  # alone
    ("DATABASE_URL", "mysql://localhost/x"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("REDIS_URL", "localhost:6379"),
    ("LIMIT_STARTS_PER_ADDRESS", "0"),
    ("LIMIT_TRIES_PER_ADDRESS", "-1"),
    ("LIMIT_MESSAGES_PER_HOUR", "1000001"),
    ("LIMIT_STRANGER_FAILURES_PER_DAY", "3001"),
    ("LIMIT_SMS_PER_DAY", "0"),
    ("LIMIT_SMS_PER_DAY", "20001"),
    ("LIMIT_SMS_PER_ORGANIZATION", "20001"),
    ("LIMIT_SMS_PER_PREFIX", "10001"),
    ("LIMIT_SMS_NOTICES_PER_DAY", "0"),
    ("SMS_COUNTRIES", ""),
    ("SMS_COUNTRIES", "DEU"),
    ("SMS_COUNTRIES", "DE ALL"),
    ("SMS_VERIFIED_FLOOR", "91"),
    ("SMS_VERIFIED_SAMPLE", "4"),
    ("SMS_PRICE", "-0.1"),
    ("SMS_PRICE", "0,08"),
    ("SMS_PRICE", "1e1"),
    ("SMS_PRICE", "100"),
    ("SMS_PRICES", "Germany=0.1"),
    ("SMS_PRICES", "DE"),
    ("SMS_CURRENCY", "usd"),
    ("SMS_CURRENCY", ""),
    ("ARGON2_MEMORY_KIB", "19455"),  # with 2 passes
    ("ARGON2_PASSES", "1"),  # with 19456 KiB
    ("ARGON2_PASSES", "true"),
    ("HASHING_SLOTS", "-1"),
    ("BRAND_NAME", ""),
    ("BRAND_NAME", "  "),
    ("BRAND_NAME", "Key\nturn"),
    ("BRAND_NAME", "Key\x85turn"),
    ("BRAND_NAME", "Key\u2028turn"),
    ("BRAND_NAME", "Key\udcfcturn"),
    ("BRAND_COLOUR", ""),
    ("BRAND_COLOUR", "blue"),
    ("BRAND_COLOUR", "#ffff00"),
    ("SUPPORT_OPENINGS", "weekdays 9 to 5"),
    ("SUPPORT_OPENINGS", "Fri-Mon 08:00-17:00"),
    ("SUPPORT_OPENINGS", "Mon 17:00-08:00"),
    ("SUPPORT_OPENINGS", "Mon 08:00-25:00"),
    ("SUPPORT_TIME_ZONE", ""),
    ("SUPPORT_TIME_ZONE", "Middle/Earth"),
    ("SUPPORT_TIME_ZONE", "../../etc/passwd"),
    ("SECURITY_CONTACT", "security@example.org"),
    ("SECURITY_CONTACT", "mailto:security@example.org\nExpires: never"),
    ("DEFAULT_LANGUAGE", ""),
    ("DEFAULT_LANGUAGE", "fr"),
    ("LOG_LEVEL", ""),
    ("LOG_LEVEL", "debug"),
    ("METRICS_TOKEN", "with a blank"),
    ("METRICS_TOKEN", "schlüssel"),
    ("SECRET_KEYS", "changeme"),
    ("SECRET_KEYS", f"k1:{KEY_TEXT},k1:{KEY_TEXT}"),
    ("SECRET_KEYS", f"k1:{base64.b64encode(bytes(31)).decode()}"),
    ("SECRET_KEYS", f"k1:{base64.b64encode(b'0123456789' * 4).decode()}"),
    ("SECRET_KEYS", "k1:not base64"),
    ("SECRET_KEYS", f"k 1:{KEY_TEXT}"),
]


def test_countries_and_prices_of_sms_are_read_from_the_environment_and_from_files(load, config):
    given = {"KEYTURN_SMS_COUNTRIES": "de, AT", "KEYTURN_SMS_PRICES": "DE=0.1 AT=0.0833", "KEYTURN_SMS_PRICE": "0.05"}
    settings = load(given)
    assert settings.sms_countries == {"DE", "AT"}
    assert str(settings.sms_price) == "0.05"
    assert settings.sms_prices == {"DE": Decimal("0.1"), "AT": Decimal("0.0833")}
    assert load({"KEYTURN_SMS_COUNTRIES": "all"}).sms_countries == {"ALL"}
    (config / "site.toml").write_text('SMS_COUNTRIES = ["CH"]\nSMS_PRICE = 0.06\nSMS_PRICES = { CH = "0.07" }\n')
    settings = load()
    assert settings.sms_countries == {"CH"}
    assert (settings.sms_price, settings.sms_prices) == (Decimal("0.06"), {"CH": Decimal("0.07")})


def test_hours_of_support_are_read_for_each_day_of_the_week(load):
    given = {"KEYTURN_SUPPORT_OPENINGS": "Mon-Tue 08:00-12:00 13:00-17:00, Sat 09:00-24:00"}
    assert load({**given, "KEYTURN_SUPPORT_TIME_ZONE": "Europe/Berlin"}).support_openings == (
        (0, "08:00", "12:00"),
        (0, "13:00", "17:00"),
        (1, "08:00", "12:00"),
        (1, "13:00", "17:00"),
        (5, "09:00", "24:00"),
    )


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_an_impossible_setting_stops_the_start_with_one_line_that_names_it(load, name, value):
    text = refusal(load, {f"KEYTURN_{name}": value})
    assert name.split("_", maxsplit=1)[0] in text.partition(":")[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKERS", "true"), ("WORKERS", "2.0"), ("BRAND_NAME", "5"), ("TRUSTED_PROXIES", "7"), ("STATE_DIR", "[]")],
)
def test_a_value_of_another_type_in_a_file_is_refused(load, config, name, value):
    (config / "site.toml").write_text(f"{name} = {value}\n")
    assert f"site.toml: {name}" in refusal(load, {})


@pytest.mark.parametrize("secret", ["hunter2hunter2", "hunter2,hunter3", "hunter2 hunter3", f"hunter2{KEY_TEXT}"])
def test_a_message_never_repeats_a_secret(load, secret):
    for name in ("SECRET_KEYS", "SMTP_URL", "DATABASE_URL", "REDIS_URL"):
        assert "hunter" not in refusal(load, {f"KEYTURN_{name}": secret})
    assert "hunter" not in refusal(load, {"KEYTURN_SMTP_URL": f"smtp://user:{secret}@mail.example.org"})


def test_the_representation_shows_no_secret():
    marked: dict[str, Any] = {name.lower(): f"marked-{name}" for name in SECRETS - {"SECRET_KEYS"}}
    settings = Settings(**marked, secret_keys=(MasterKey("k1", b"marked-material-marked-material-"),))
    assert "marked" not in repr(settings)
    assert set(marked) | {"secret_keys"} <= {field.name for field in fields(Settings) if not field.repr}


# ---- what is possible


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUBLIC_URL", "https://keyturn.example.org"),
        ("PUBLIC_URL", "https://keyturn.example.org:8443/"),
        ("PUBLIC_URL", "http://localhost:8470"),
        ("PUBLIC_URL", "http://[::1]:8470"),
        ("PUBLIC_URL", "http://127.8.9.1"),
        ("BIND", "0.0.0.0:8470"),
        ("BIND", "[::]:8470"),
        ("BIND", "localhost:0"),
        ("SMTP_URL", ""),
        ("TWILIO_API_BASE", "http://127.0.0.1:9999"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "postgresql+psycopg://u:p@db/keyturn"),
        ("REDIS_URL", "unix:///run/redis.sock?db=1"),
        ("REDIS_URL", "rediss://:p@redis.example.org"),
        ("BRAND_NAME", "Schlüssel & Söhne"),
        ("SECURITY_CONTACT", "https://example.org/security"),
        ("SECURITY_CONTACT", ""),
        ("METRICS_TOKEN", ""),
        ("HASHING_SLOTS", "0"),
    ],
)
def test_what_is_possible_is_taken(load, name, value):
    assert str(getattr(load({f"KEYTURN_{name}": value}), name.lower())) == value


@pytest.mark.parametrize("environ", [TWILIO, {**TWILIO, "KEYTURN_TWILIO_FROM": "Keyturn"}])
def test_twilio_needs_account_sender_and_signer(load, environ):
    assert load(environ).twilio_account_sid
    for name in environ:
        if name != "KEYTURN_TWILIO_FROM":
            assert "TWILIO_" in refusal(load, {key: value for key, value in environ.items() if key != name})


@pytest.mark.parametrize("memory", [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)])
def test_every_set_of_owasp_is_strong_enough_and_anything_below_it_is_not(load, memory):
    kib, passes = memory
    assert load({"KEYTURN_ARGON2_MEMORY_KIB": str(kib), "KEYTURN_ARGON2_PASSES": str(passes)}).argon2_passes == passes
    refusal(load, {"KEYTURN_ARGON2_MEMORY_KIB": str(kib - 1), "KEYTURN_ARGON2_PASSES": str(passes)})


@pytest.mark.parametrize("value", ["10.0.0.0/8 ::1", "10.0.0.0/8,::1", " 10.0.0.0/8 , ::1 "])
def test_proxies_are_listed_with_blanks_or_commas(load, value):
    expected = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert load({"KEYTURN_TRUSTED_PROXIES": value}).trusted_proxies == expected


def test_proxies_are_listed_as_an_array_in_files(load, config):
    (config / "site.toml").write_text('TRUSTED_PROXIES = ["192.0.2.1"]\n')
    assert load().trusted_proxies == (ipaddress.ip_network("192.0.2.1"),)


@pytest.mark.parametrize("joint", [",", "\n", ",\n", "\r\n", " , "])
def test_keys_are_listed_one_a_line_or_with_commas_the_active_one_first(load, tmp_path, joint):
    older = base64.b64encode(bytes(range(40, 80))).decode()
    keys = (MasterKey("k2", KEY), MasterKey("k1", bytes(range(40, 80))))
    text = f"k2:{KEY_TEXT}{joint}k1:{older}"
    assert parse_keys(text) == keys
    file = tmp_path / "keys"
    file.write_text(text + "\n")
    assert load({"KEYTURN_SECRET_KEYS_FILE": str(file)}).secret_keys == keys


def test_no_key_is_the_default(load):
    assert load().secret_keys == ()
    assert parse_keys("") == ()


def test_home_is_where_the_tilde_points(load):
    home = os.environ.get("HOME") or str(Path.home())
    assert load({"KEYTURN_STATE_DIR": "~/var"}).state_dir == Path(home) / "var"


# ---- what follows from them


@pytest.mark.parametrize(
    ("url", "netloc", "host", "secure"),
    [
        ("https://Keyturn.Example.org", "keyturn.example.org", "keyturn.example.org", True),
        ("https://keyturn.example.org:443", "keyturn.example.org", "keyturn.example.org", True),
        ("https://keyturn.example.org:4433", "keyturn.example.org:4433", "keyturn.example.org", True),
        ("https://keyturn.example.org:80", "keyturn.example.org:80", "keyturn.example.org", True),
        ("http://localhost:80", "localhost", "localhost", False),
        ("http://127.0.0.1:8470", "127.0.0.1:8470", "127.0.0.1", False),
        ("http://[::1]:8470/", "[::1]:8470", "::1", False),
    ],
)
def test_the_host_is_what_browsers_send(url, netloc, host, secure):
    settings = Settings(public_url=url)
    assert (settings.netloc, settings.host, settings.secure) == (netloc, host, secure)


def test_without_a_url_the_database_is_a_file_in_the_state_directory():
    assert Settings(state_dir=Path("/srv/kt")).database == "sqlite:////srv/kt/keyturn.sqlite"
    assert Settings(database_url="postgresql+psycopg://db/x").database == "postgresql+psycopg://db/x"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("localhost.example.org", False),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host, expected):
    assert is_loopback(host) is expected


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")
