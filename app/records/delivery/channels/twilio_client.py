"""Twilio's client over a connection of ours. Import it only when a message is sent: it brings requests along."""

import logging
import ssl
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from app.foundation.settings import is_loopback

# at INFO it prints URLs and headers (requirement S-12)
logging.getLogger("twilio").setLevel(logging.WARNING)
logging.getLogger("urllib3").setLevel(logging.WARNING)

Answered = (TwilioRestException, TwilioServiceException)
# the last four: an answer that is no JSON, or none of the shape that the library expects
Broken = (requests.RequestException, TwilioException, ValueError, LookupError, TypeError, AttributeError)


class NeverReached(Exception):
    """No connection came to stand, so nothing of the request was written and nothing can have been accepted."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.refused = refused  # by us: the certificate does not belong to the name


class _Marked:
    """Tells failures before the connection stands from those after: only the former may be tried again."""

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except ssl.SSLCertVerificationError:
            raise NeverReached("provider_certificate", refused=True) from None
        except Exception:  # noqa: BLE001 - whatever it was, it was before the first byte of the request
            raise NeverReached("provider_unreachable") from None


class _Connection(_Marked, HTTPConnection):
    pass


class _TlsConnection(_Marked, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


class _Line(TwilioHttpClient):
    """A connection for each request: one that was kept open may break just when a message has been written.

    Neither request nor response is kept or logged, as the library's own client does: they hold the PIN (S-12).
    """

    def __init__(self, timeout: float, ca_file: str, trust_environment: bool) -> None:
        super().__init__(pool_connections=False, timeout=timeout)
        self._ca_file = ca_file
        self._trust_environment = trust_environment

    def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - ours is set once
        allow_redirects: bool = False,  # noqa: ARG002 - never
    ) -> Response:
        with requests.Session() as session:
            session.trust_env = self._trust_environment
            session.mount("https://", _Adapter())
            session.mount("http://", _Adapter())
            answer = session.request(
                method.upper(),
                url,
                params=params,  # type: ignore[arg-type]
                data=data,
                headers={**(headers or {}), "Connection": "close"},
                auth=auth,
                timeout=self.timeout,
                allow_redirects=False,  # ASVS 15.3.2
                verify=self._ca_file or None,
            )
            return Response(answer.status_code, answer.text, answer.headers)


def client(account_sid: str, username: str, password: str, base: str, *, timeout: float, ca_file: str = "") -> Any:
    """A client that speaks to ``base``; a proxy of the environment is used unless that is this machine."""
    line = _Line(timeout, ca_file, trust_environment=not is_loopback(urlsplit(base).hostname or ""))
    # an edge or region in the environment would lead elsewhere than TWILIO_API_BASE says
    made = Client(  # type: ignore[no-untyped-call]
        username, password, account_sid, http_client=line, environment={"TWILIO_EDGE": ""}
    )
    made.api.base_url = base.rstrip("/")
    return made
