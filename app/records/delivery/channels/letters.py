"""What the messages say: templates/messages/<name>.<channel>.txt, in the reader's language, as plain text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.foundation import i18n
from app.foundation.settings import ROOT, Settings
from app.records.delivery import rules
from app.records.delivery.model import Channel

TEMPLATES = ROOT / "templates" / "messages"
_SUBJECT = "Subject: "


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered message; its repr shows nothing of it."""

    subject: str = field(repr=False)  # empty for SMS
    text: str = field(repr=False)


def exists(template: str, channel: Channel) -> bool:
    """Whether there is such a template."""
    return (TEMPLATES / f"{template}.{channel.value}.txt").is_file()


class Letters:
    """Renders messages. Each may name ``brand``, ``url``, ``host`` and the support contacts of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._house = {
            "url": settings.public_url.rstrip("/"),
            "host": settings.host,
            "support_phone": grouped(settings.support_phone),
            "support_email": settings.support_email,
            "support_hours": settings.support_hours,
        }
        self._brand = settings.brand_name
        self._default = settings.default_language

    def render(self, template: str, channel: Channel, language: str, variables: Mapping[str, object]) -> Letter:
        """The message in that language, or in the default one where it is not spoken.

        Raises jinja2.TemplateError where the template is missing or names a variable that is not given.
        """
        if channel is Channel.SMS:
            return Letter("", self._sms(template, language, variables))
        first, _, body = self._fill(template, channel, language, variables, self._brand).partition("\n")
        if not first.startswith(_SUBJECT):
            raise ValueError(f"the first line of {template}.{channel.value}.txt is no subject")
        return Letter(first.removeprefix(_SUBJECT).strip(), body.lstrip("\n"))

    def _sms(self, template: str, language: str, variables: Mapping[str, object]) -> str:
        brand = rules.to_gsm7(self._brand)
        text = rules.to_gsm7(self._fill(template, Channel.SMS, language, variables, brand))
        # the name gives way where the host is long: a PIN whose last line falls into a second SMS is not filled in
        over = rules.septets(text) - rules.SMS_LIMIT
        if "pin" in variables and over > 0:
            short = brand[: max(1, len(brand) - over)].rstrip()
            text = rules.to_gsm7(self._fill(template, Channel.SMS, language, variables, short))
        return text

    def _fill(self, template: str, channel: Channel, language: str, variables: Mapping[str, object], brand: str) -> str:
        spoken = language if language in i18n.LANGUAGES else self._default
        found = _environment(spoken).get_template(f"{template}.{channel.value}.txt")
        return str(found.render({**self._house, "brand": brand, **variables})).rstrip("\n")


def grouped(phone: str) -> str:
    """A phone number without a run of six digits or more: programs take such a run for a PIN (product.md 2)."""
    return re.sub(r"[0-9]{6,}", lambda run: _in_groups(run.group()), phone)


def _in_groups(digits: str) -> str:
    size = 3 if len(digits) % 4 == 1 else 4
    first = len(digits) % size or size
    return " ".join([digits[:first], *(digits[at : at + size] for at in range(first, len(digits), size))])


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@lru_cache(maxsize=8)
def _environment(language: str) -> Any:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text; nothing of it is ever HTML
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["utc"] = _utc
    environment.install_gettext_translations(i18n.catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    return environment
