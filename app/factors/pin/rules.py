"""What a typed PIN may look like, and when another may be asked for."""

import re

from app.factors.pin.model import RESEND_AFTER
from app.records.organizations.model import PinPolicy

_PIN = re.compile(r"[0-9]{6,8}")


def typed_pin(text: str) -> str | None:
    """The PIN without blanks and hyphens, or None where it is none (requirements B-11, T-22)."""
    if len(text) > 32:
        return None
    pin = text.replace(" ", "").replace("-", "")
    return pin if _PIN.fullmatch(pin) else None


def resend_at(sent_at: int, sends: int, *, switching: bool) -> int:
    """When the next PIN may be sent. The first switch of channel needs no wait (product.md section 2)."""
    if switching or sends == 0:
        return sent_at
    return sent_at + RESEND_AFTER[min(sends, len(RESEND_AFTER)) - 1]


def digits_of(policy: PinPolicy, channel: str) -> int:
    """How long a PIN of a channel is."""
    return policy.sms_digits if channel == "sms" else policy.email_digits


def life_of(policy: PinPolicy, channel: str) -> int:
    """Seconds that a PIN of a channel is good."""
    return 60 * (policy.sms_minutes if channel == "sms" else policy.email_minutes)
