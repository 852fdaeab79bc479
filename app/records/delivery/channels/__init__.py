"""The ways out of the house: one file for each service outside, and what the messages say."""

import structlog

from app.foundation.clock import Clock
from app.foundation.settings import Settings
from app.records.delivery.channels.demo import DemoSender, Inbox
from app.records.delivery.channels.email_smtp import SmtpSender
from app.records.delivery.channels.sms_twilio import TwilioSender
from app.records.delivery.model import Accepted, Channel, Failure, Fate, Message, Outcome, Sender, State

STATUS_PATH = "/webhooks/twilio/status"


class NotConfigured:
    """Stands where a channel has no settings: everything fails at once, so that the page offers the other channel."""

    def send(self, message: Message) -> Accepted:  # noqa: ARG002 - the shape of Sender
        raise Failure(Outcome.PERMANENT, "not_configured")

    def fate(self, provider_sid: str) -> Fate:  # noqa: ARG002 - the shape of Sender
        return Fate(State.SENT)


def configured(settings: Settings) -> frozenset[Channel]:
    """The channels that have settings; in the demo both, whose messages go to its page."""
    there = {
        Channel.EMAIL: settings.smtp_url or settings.demo,
        Channel.SMS: settings.twilio_account_sid or settings.demo,
    }
    return frozenset(channel for channel, setting in there.items() if setting)


def build(settings: Settings, clock: Clock, *, inbox: Inbox | None = None) -> dict[Channel, Sender]:
    """A sender for each channel. With an ``inbox`` (the demo) nothing leaves this machine.

    Raises BadSetting where SMTP_URL or MAIL_FROM cannot be meant. Says once in the log which channel is missing.
    """
    if inbox is not None:
        return {channel: DemoSender(channel, inbox, clock) for channel in Channel}
    senders: dict[Channel, Sender] = {channel: NotConfigured() for channel in Channel}
    if settings.smtp_url:
        senders[Channel.EMAIL] = SmtpSender(
            settings.smtp_url, sender=settings.mail_from, brand=settings.brand_name, host=settings.host, clock=clock
        )
    if settings.twilio_account_sid:
        key = settings.twilio_api_key_sid if settings.twilio_api_key_secret else ""
        # a callback that cannot be verified is not asked for (security rule 16)
        callback = (
            settings.public_url.rstrip("/") + STATUS_PATH if settings.secure and settings.twilio_auth_token else ""
        )
        senders[Channel.SMS] = TwilioSender(
            account_sid=settings.twilio_account_sid,
            username=key or settings.twilio_account_sid,
            password=settings.twilio_api_key_secret if key else settings.twilio_auth_token,
            sender=settings.twilio_from,
            base=settings.twilio_api_base,
            callback=callback,
        )
    for channel, sender in senders.items():
        if isinstance(sender, NotConfigured):
            setting = "TWILIO_ACCOUNT_SID" if channel is Channel.SMS else "SMTP_URL"
            structlog.get_logger().warning("channel_not_configured", channel=channel.value, setting=setting)
    return senders
