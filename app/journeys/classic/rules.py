"""Who gets a link that makes a temporary password, and which way is everybody else's (security rule 11). Pure."""

from app.journeys.classic.model import Facts, Way


def way_of(facts: Facts) -> Way:
    """What the letter says.

    A link where the mailbox is one of two channels and no app would be gone around: the temporary password that it
    makes asks for a phone, a saved code or a security answer before it opens anything.
    """
    if facts.classic and facts.lapsed:
        return Way.LAPSED
    second = facts.phone or facts.code or facts.answer
    if facts.classic and facts.password and second and not facts.app:
        return Way.LINK
    return Way.RECOVERY if facts.recovers else Way.ADMINISTRATOR
