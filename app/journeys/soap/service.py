"""AuthenticateUser as SOAP says it. What is judged and what is told stands in ``steps/credentials.py``."""

from typing import Any

from app.foundation.visit import Visit
from app.journeys.soap.model import Call, Result, Severity, UserAccount, UserException
from app.steps.credentials import SENTENCES, Authenticated, Cause, Credentials, NotAuthenticated, Urls


class SoapUsers:
    """The one operation."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def authenticate(self, visit: Visit, call: Call) -> tuple[Result, Cause | None]:
        """What came of it, and why not. Raises Throttled where the address asks too often, Unavailable."""
        told = self._credentials.authenticate(visit, call.user_name, call.password)
        if isinstance(told, Authenticated):
            return _success(told), None
        return _refusal(told), told.cause


def _success(told: Authenticated) -> Result:
    return Result(
        success=True,
        token=told.token,
        user_name=told.user_name,
        first_name=told.first_name,
        last_name=told.last_name,
        accounts=tuple(UserAccount(one.name, one.context_identifier, one.is_primary) for one in told.accounts),
        **_urls(told.urls),
    )


def _refusal(told: NotAuthenticated) -> Result:
    exceptions = [UserException(SENTENCES[told.cause], Severity.ERROR)]
    if told.retry_after:
        exceptions.append(UserException(f"It may be tried again in {told.retry_after} seconds.", Severity.WARNING))
    return Result(success=False, exceptions=tuple(exceptions), **_urls(told.urls))


def _urls(urls: Urls) -> dict[str, Any]:
    return {
        "expired_password_url": urls.expired_password,
        "change_password_url": urls.change_password,
        "update_security_question_url": urls.update_security_question,
    }
