"""What is said in SOAP: versions, a call, a result, a fault."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum

OPERATION = "AuthenticateUser"


class Version(Enum):
    """The two versions of SOAP: the namespace of their envelopes, and the media type that these come as."""

    V11 = ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml")
    V12 = ("http://www.w3.org/2003/05/soap-envelope", "application/soap+xml")

    @property
    def namespace(self) -> str:
        """Of the elements Envelope, Header, Body and Fault."""
        return self.value[0]

    @property
    def media_type(self) -> str:
        """Of requests and replies."""
        return self.value[1]


class Blame(StrEnum):
    """Whose fault it is, by the names of SOAP 1.1 (sec. 4.4.1); SOAP 1.2 has others for the first two."""

    CLIENT = "Client"
    SERVER = "Server"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


class Unreadable(Exception):
    """A message that is not taken: whose fault that is, and a sentence that repeats nothing of it.

    ``status`` is HTTP's where the bytes are no message at all; 0: what the version says. ``misunderstood`` are the
    headers, as ``{namespace}name``, that had to be understood.
    """

    def __init__(self, blame: Blame, sentence: str, *, status: int = 0, misunderstood: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.blame = blame
        self.sentence = sentence
        self.status = status
        self.misunderstood = tuple(misunderstood)


@dataclass(frozen=True, slots=True)
class Call:
    """AuthenticateUser as it was asked. ``namespace`` is that of the payload; empty: none."""

    namespace: str
    user_name: str
    password: str = field(repr=False)


class Severity(StrEnum):
    """How much an exception matters."""

    WARNING = "Warning"
    ERROR = "Error"
    FATAL = "Fatal"


@dataclass(frozen=True, slots=True)
class UserAccount:
    """One organization of the person."""

    name: str
    context_identifier: str
    is_primary: bool


@dataclass(frozen=True, slots=True)
class UserException:
    """Why not, or what should be known beside."""

    text: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Result:
    """AuthenticateUserResult. What is empty is left out of the reply."""

    success: bool
    token: str = field(default="", repr=False)
    user_name: str = ""
    first_name: str = ""
    last_name: str = ""
    expired_password_url: str = ""
    change_password_url: str = ""
    update_security_question_url: str = ""
    accounts: tuple[UserAccount, ...] = ()
    exceptions: tuple[UserException, ...] = ()
