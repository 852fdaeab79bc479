"""Examining an installation: does everything that it needs answer, and does it keep to the standards?

Nothing is changed, and no message is sent.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from app.foundation import keyfile
from app.foundation.chance import Chance
from app.foundation.clock import Clock
from app.foundation.ephemeral import embedded, inspection
from app.foundation.refusals import StoreAway
from app.foundation.secretbox import Keyring, MasterKey
from app.foundation.settings import SECRETS, BadSetting, Settings, is_loopback
from app.foundation.sql import Database, installation, migrations
from app.journeys.diagnosis import rules
from app.journeys.diagnosis.model import Check, Deviation, Facts, Level
from app.records.delivery import channels
from app.records.delivery.channels.email_smtp import SmtpSender
from app.records.delivery.channels.sms_twilio import TwilioSender
from app.records.delivery.model import Channel, Failure
from app.records.organizations import store as organizations
from app.records.organizations.model import Policy

_SAMPLE = 0.1  # seconds over which the two clocks of the machine are compared
_HIDDEN = "(hidden)"
_MIGRATE = "run: keyturn init"
_BRING_BACK = "bring back the keys that belong to it: without them no code and no password can be checked"

# what the codes of Failure mean to an operator
_REMEDIES = {
    "provider_setup": "check the user name, the password and what they may do",
    "provider_certificate": "the certificate does not belong to that name; check the address",
    "provider_unreachable": "check the address, the port and the firewall",
    "provider_busy": "try again later",
    "provider_error": "try again later; see the provider's status page",
    "account_inactive": "the account is suspended or closed; see the provider's console",
    "no_answer": "check the address and the firewall",
}


class Diagnosis:
    """`keyturn doctor` and `keyturn check-config`."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, chance: Chance) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._chance = chance
        self._told_time = ""  # the Date of an answer from outside
        self._heard_at = 0

    # ---- doctor

    def checks(self) -> Iterator[Check]:
        """Every check, each as soon as it is done. Two of them may take some seconds."""
        several: tuple[tuple[str, Callable[[], Check]], ...] = (
            ("state", self._state),
            ("keys", self._keys),
            ("database", self._check_database),
            ("store", self._store),
            ("smtp", self._smtp),
            ("twilio", self._twilio),
            ("channels", self._channels),
            ("clock", self._check_clock),
            ("public_url", self._public_url),
            ("proxy", self._proxy),
        )
        for name, look in several:
            try:
                yield look()
            except BadSetting as error:
                yield Check(name, Level.FAIL, str(error), "mend that setting")
            except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
                yield Check(name, Level.FAIL, f"could not be checked ({type(error).__name__})")

    def _state(self) -> Check:
        directory = self._settings.state_dir
        if not directory.is_dir():
            return Check("state", Level.WARN, f"{directory} is not there yet", _MIGRATE)
        if not os.access(directory, os.W_OK | os.X_OK):
            return Check("state", Level.FAIL, f"{directory} cannot be written to", "check its owner and mode")
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o077:
            return Check(
                "state", Level.WARN, f"others may look into {directory} (mode {mode:o})", f"run: chmod 700 {directory}"
            )
        return Check("state", Level.OK, f"{directory} is closed to others")

    def _ring(self) -> tuple[MasterKey, ...]:
        return self._settings.secret_keys or keyfile.read(keyfile.path_of(self._settings))

    def _keys(self) -> Check:
        path = keyfile.path_of(self._settings)
        from_settings = bool(self._settings.secret_keys)
        if not from_settings and not os.path.lexists(path):
            if lost := self._unfit({}):
                return Check("keys", Level.FAIL, f"{path} is lost ({', '.join(lost)})", _BRING_BACK)
            return Check("keys", Level.WARN, "there are none yet", _MIGRATE)
        try:
            ring = self._ring()
        except BadSetting as error:
            return Check("keys", Level.FAIL, str(error), "mend the file, or bring it back from its backup")
        where = "SECRET_KEYS" if from_settings else f"{path}, closed to others"
        found = f"{len(ring)} in {where}; active: {ring[0].name}"
        if unfit := self._unfit(installation.key_checks(Keyring(ring, self._chance))):
            finding = f"{found}; not those that this database was used with ({', '.join(unfit)})"
            return Check("keys", Level.FAIL, finding, _BRING_BACK)
        return Check("keys", Level.OK, found)

    def _unfit(self, checks: Mapping[str, str]) -> tuple[str, ...]:
        """The names of keys that do not fit the database, as far as it answers."""
        try:
            if migrations.current(self._database):
                with self._database.read() as looking:
                    return installation.unfit_keys(looking, checks)
        except StoreAway:
            pass  # the next check says so
        return ()

    def _check_database(self) -> Check:
        kind = "SQLite" if self._database.is_sqlite else "PostgreSQL"
        try:
            found = migrations.current(self._database)
            if found:
                self._database.ping()
        except StoreAway as error:
            return Check("database", Level.FAIL, f"{kind} does not answer{_why(error)}", "check DATABASE_URL")
        if not found:
            return Check("database", Level.FAIL, f"{kind} has no tables yet", _MIGRATE)
        newest = migrations.head()
        if found != newest:
            return Check("database", Level.FAIL, f"{kind} is at revision {found} instead of {newest}", _MIGRATE)
        with self._database.read() as looking:
            demo = installation.is_demo(looking)
        if demo:
            return Check(
                "database", Level.FAIL, f"{kind} was made for the demo", "use another DATABASE_URL or STATE_DIR"
            )
        return Check("database", Level.OK, f"{kind} answers, at revision {found}")

    def _store(self) -> Check:
        if not self._settings.redis_url:
            try:
                server = embedded.find_server()
            except embedded.EmbeddedStoreError as error:
                return Check("store", Level.FAIL, str(error), "install a server, or set REDIS_URL")
            return Check("store", Level.OK, f"embedded: {server.name} is there; `keyturn serve` starts it")
        try:
            facts = inspection.inspect(self._settings.redis_url)
        except StoreAway as error:
            return Check("store", Level.FAIL, f"does not answer{_why(error)}", "check REDIS_URL")
        if not facts.new_enough:
            return Check("store", Level.FAIL, f"is version {facts.version or '?'}", "use Redis 7.0, Valkey, or later")
        if facts.policy != inspection.KEEPS:
            return Check(
                "store",
                Level.FAIL,
                f"throws entries away when it is full (maxmemory-policy {facts.policy or '?'})",
                f"set maxmemory-policy {inspection.KEEPS}: a limit that is forgotten is no limit",
            )
        return Check("store", Level.OK, f"answers, version {facts.version}, {facts.policy}")

    def _smtp(self) -> Check:
        sender = self._sender(Channel.EMAIL)
        if not isinstance(sender, SmtpSender):
            return Check("smtp", Level.WARN, "no e-mail is sent", "set SMTP_URL and MAIL_FROM")
        try:
            sender.probe()
        except Failure as failure:
            return _failed("smtp", failure)
        parts = urlsplit(self._settings.smtp_url)
        how = "in the clear" if parts.scheme == "smtp" else "over TLS"
        signed_in = ", signed in" if parts.username else ""
        return Check("smtp", Level.OK, f"{parts.hostname} answers {how}{signed_in}")

    def _twilio(self) -> Check:
        sender = self._sender(Channel.SMS)
        if not isinstance(sender, TwilioSender):
            return Check(
                "twilio", Level.WARN, "no SMS is sent", "set TWILIO_ACCOUNT_SID, TWILIO_FROM and an API key or token"
            )
        try:
            self._told_time = sender.probe()
        except Failure as failure:
            return _failed("twilio", failure)
        self._heard_at = self._clock.now()
        if not self._settings.twilio_auth_token:
            return Check(
                "twilio",
                Level.WARN,
                "answers; without TWILIO_AUTH_TOKEN its callbacks cannot be believed, so delivery is asked for instead",
                "set TWILIO_AUTH_TOKEN to learn sooner whether an SMS arrived",
            )
        return Check("twilio", Level.OK, "answers, signed in")

    def _channels(self) -> Check:
        if self._settings.smtp_url or self._settings.twilio_account_sid:
            return Check("channels", Level.OK, "one-time PINs can be sent")
        return Check("channels", Level.FAIL, "nobody can be sent a one-time PIN", "set up SMTP or Twilio, better both")

    def _sender(self, channel: Channel) -> object:
        return channels.build(self._settings, self._clock)[channel]

    def _check_clock(self) -> Check:
        steady, wall = self._clock.monotonic(), self._clock.precise()
        self._clock.sleep(_SAMPLE)
        steady, wall = self._clock.monotonic() - steady, self._clock.precise() - wall
        if steady < 0 or abs(steady - wall) > 1:
            return Check(
                "clock", Level.WARN, f"jumped by {wall - steady:+.1f} s while it was watched", "keep it by NTP"
            )
        if not self._told_time:
            return Check("clock", Level.OK, "runs evenly; nobody outside could be asked for the time")
        try:
            off = self._heard_at - int(parsedate_to_datetime(self._told_time).timestamp())
        except ValueError:
            return Check("clock", Level.OK, "runs evenly; nobody outside told the time")
        if abs(off) > rules.CLOCK_TOLERANCE:
            way = "ahead" if off > 0 else "behind"
            return Check(
                "clock",
                Level.WARN,
                f"is {abs(off)} s {way} of Twilio's: right codes will be taken for those of another time",
                "keep it by NTP",
            )
        return Check("clock", Level.OK, f"agrees with Twilio's within {rules.CLOCK_TOLERANCE} s")

    def _public_url(self) -> Check:
        settings = self._settings
        if not settings.secure:
            return Check(
                "public_url",
                Level.WARN,
                f"{settings.public_url} is plain http: it serves this machine alone",
                "set PUBLIC_URL to the https address that people use",
            )
        try:
            socket.getaddrinfo(settings.host, 443, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return Check(
                "public_url", Level.FAIL, f"{settings.host} has no address", "check PUBLIC_URL and the name server"
            )
        return Check("public_url", Level.OK, f"{settings.public_url} has an address")

    def _proxy(self) -> Check:
        settings = self._settings
        if settings.secure and not settings.trusted_proxies:
            return Check(
                "proxy",
                Level.WARN,
                "https ends at a proxy, and none is trusted: all visitors share the limits of its address",
                "set TRUSTED_PROXIES to the proxy's address",
            )
        host = settings.bind.rpartition(":")[0].strip("[]")
        if not settings.secure and not is_loopback(host):
            return Check(
                "proxy", Level.WARN, f"BIND {settings.bind} lets others in, over plain http", "bind to 127.0.0.1"
            )
        return Check("proxy", Level.OK, "addresses of visitors are believed as they should be")

    # ---- check-config

    def effective(self) -> dict[str, object]:
        """Every setting in force, by its name outside, with secrets hidden."""
        shown: dict[str, object] = {}
        for setting in fields(self._settings):
            name, value = setting.name.upper(), getattr(self._settings, setting.name)
            if name in SECRETS:
                shown[name] = _HIDDEN if value else ""
            elif name != "DEMO":
                shown[name] = rules.printable(value)
        return shown

    def profiles(self) -> dict[str, str]:
        """The policy profile of each organization; empty where the database cannot say."""
        return {name: policy.profile.value for name, policy in self._policies().items()}

    def _policies(self) -> dict[str, Policy]:
        try:
            if not migrations.at_head(self._database):
                return {}
            with self._database.read() as looking:
                now = self._clock.now()
                held = organizations.everyone(looking)
                return {one.name: organizations.policy_of(looking, one.id, now) for one in held}
        except StoreAway:
            return {}

    def deviations(self) -> tuple[Deviation, ...]:
        """Every departure from the standards."""
        settings = self._settings
        return rules.deviations(
            Facts(
                secure=settings.secure,
                sms=bool(settings.twilio_account_sid),
                email=bool(settings.smtp_url),
                plain_smtp=settings.smtp_url.startswith("smtp://"),
                plain_twilio=settings.twilio_api_base.startswith("http://"),
                security_contact=bool(settings.security_contact),
                policies=self._policies(),
            )
        )


def _failed(name: str, failure: Failure) -> Check:
    code = f" ({failure.provider_code})" if failure.provider_code else ""
    return Check(
        name,
        Level.FAIL,
        f"{failure.code.replace('_', ' ')}{code}",
        _REMEDIES.get(failure.code, "see docs/delivery.md"),
    )


def _why(error: StoreAway) -> str:
    """The driver's own first line. It names the host and the user, never the password."""
    cause = error.__cause__
    if isinstance(cause, ValueError):
        return ": the URL cannot be read"  # the text of such an error may hold a part of it
    said = str(getattr(cause, "orig", None) or cause or "").strip().splitlines()
    return f": {said[0][:200]}" if said else ""
