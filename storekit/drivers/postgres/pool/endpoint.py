"""The target of a connection: parses the URL once and records why a login was refused."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import BaseConnection
from psycopg.pq.abc import PGconn, PGresult

from storekit import ids
from storekit.drivers.postgres.encodings import other_encoding
from storekit.drivers.postgres.exchange import Composed, TimedOut
from storekit.drivers.postgres.pool.logins import LOGINS, NO_TRIGGERS, REMEDY
from storekit.drivers.postgres.pool.versions import unsupported
from storekit.drivers.postgres.target import parse
from storekit.errors import Unavailable
from storekit.ports.libpq import EMBEDDED, SESSION
from storekit.ports.stores import AnswerLost
from storekit.settings import Login, Settings

# libpq knows the SQLSTATE of a failed login, but psycopg does not expose it (PQsetErrorVerbosity), and
# lc_messages cannot be set before the login. So English messages decide here, as a last resort. If the server
# uses another language, none of them matches: the call waits until its time-out, because the server may be
# starting or full, and the error then quotes the server. The texts are those of PostgreSQL 15 and 18,
# of PgBouncer 1.12 to 1.25, and of libpq 18 ("no password supplied").
_REFUSAL = re.compile(
    r"[\w ]*authentication failed|no password supplied|no pg_hba.conf entry|role .* does not exist"
    r"|no such (?:user|database)\b.*"  # PgBouncer's
    r"|definition of service .* not found"  # PGSERVICE
    r"|(?:invalid value for )?parameter \"(?:TimeZone|DateStyle|geqo)\".*"
    # TLS: texts of libpq 18, and of OpenSSL, which are the same in all languages
    r"|server does not support SSL, but SSL was required|certificate verify failed"
    r"|server certificate for .* does not match host name .*|root certificate file .* does not exist"
    r"|database .* does not exist|role .* is not permitted to log in|permission denied for database"
)
# An explicit list, so that no other text that libpq quotes gets into an error. The first three lines and
# the last are texts of libpq 18 and of the operating system, the other two of PostgreSQL 15 and 18.
_CAUSE = re.compile(
    r"connection (?:refused|reset by peer|timed out)|timeout expired|no route to host|network is unreachable"
    r"|name or service not known|nodename nor servname provided|no address associated with hostname"
    r"|temporary failure in name resolution|server closed the connection unexpectedly"
    r"|too many (?:clients|connections)|remaining connection slots are reserved"
    r"|the database system is (?:starting up|shutting down|in recovery mode)",
    re.IGNORECASE,
)
# The format of a server message in libpq: the severity in any language, a colon, two spaces.
_SERVER_MESSAGE = re.compile(r": [^\s:]+: {2}(\S.*)")


_CLOCKS_AGREE = 24 * 3600.0
"""Seconds by which the clocks may differ. The ledger treats an older id as that of a past write."""


class Unfit(psycopg.OperationalError):
    """The login or the server is refused: isolation, triggers, text or times would not be right."""


class Endpoint:
    """The server that a login connects to, and why the last attempt failed. Never shows a secret."""

    def __init__(self, settings: Settings, login: Login = Login.APP) -> None:
        self.login = LOGINS[login]
        self.keywords = parse(self.login.url(settings), self.login.variable, settings.postgres_tls)
        self.place = place(self.keywords)
        self.accepted = self.failing = False
        self._refusal = self._cause = ""

    def again(self) -> list[Composed]:
        """Return the statements that set what variables of the environment have set, if they must not."""
        if self.keywords.get("application_name") != EMBEDDED:
            return []
        return [
            ("SELECT pg_catalog.set_config($1, $2, false)", [setting.encode(), value.encode()])
            for variable, (setting, value) in SESSION.items()
            if variable in os.environ
        ]

    @property
    def unverified(self) -> bool:
        """Whether row-level security must apply to this login and has not been checked yet."""
        return self.login.group is not None and not self.accepted

    def check_encodings(self, pgconn: PGconn) -> None:
        """Refuse a database or a session in which text is not UTF-8."""
        if why := other_encoding(pgconn):
            raise Unfit(why)

    def verify(self, connection: BaseConnection[Any], results: Sequence[PGresult]) -> None:
        """Refuse a login that bypasses row-level security or triggers, another version, and a wrong clock."""
        if not self.unverified:
            return
        why = unsupported(connection.info.server_version)
        exempt, role, time = (each.get_value(0, 0) for each in results[-3:])
        if exempt:
            why = (
                f"the database does not protect other tenants from it, because it {exempt.decode()}; "
                f"{REMEDY} {self.login.group}"
            )
        elif role == b"replica":
            why = NO_TRIGGERS
        # Such a machine could neither commit a write nor sign a URL that is valid.
        ahead = ids.now().timestamp() - float(time or 0)
        if abs(ahead) > _CLOCKS_AGREE:
            by = f"{timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
            why = f"the clock of this machine is {by} the clock of Postgres; set the clock"
        if why:
            raise Unfit(why)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the outcome of an attempt to connect; the raised error contains no password."""
        try:
            yield
        except (psycopg.OperationalError, AnswerLost) as error:
            # recognised before the password is hidden: a short one may be a part of any word
            self._refusal, self._cause = map(self._hidden, understood(error, str(error)))
            message = self._hidden(str(error))
            self.failing = True
        else:
            self.accepted, self.failing, self._refusal, self._cause = True, False, "", ""
            return
        raise psycopg.OperationalError(message)

    def _hidden(self, text: str) -> str:
        """Return a text without the password: a short one is hidden only where it is a whole word."""
        secret = self.keywords.get("password")
        if not secret:
            return text
        whole = re.escape(secret) if len(secret) >= 4 else rf"(?<!\w){re.escape(secret)}(?!\w)"
        return re.sub(whole, "***", text)

    @property
    def refusal(self) -> str:
        """Why the login was refused, so that waiting would not help. Empty if it was not."""
        if not self._refusal:
            return ""
        login = self.keywords.get("user", "the default login")
        why, remedy = self._refusal, f"check {self.login.variable}"
        if "parameter" in why:
            remedy = f"check {', '.join(SESSION)} in the environment"
        if why.startswith("permission denied for database"):
            database = _quoted(self.keywords.get("dbname") or login)
            why += f" {database}"
            remedy = f"GRANT CONNECT ON DATABASE {database} TO {_quoted(login)}, or {remedy}"
        return f"postgres refused {login}: {why}; {remedy}"

    def unreachable(self, seconds: float) -> Unavailable:
        """Return the error for a failed connection, with the cause of the last attempt if known."""
        cause = f": {self._cause}" if self._cause else ""
        return Unavailable(
            "postgres",
            f"no connection to {self.login.variable} within {seconds:g} s, which is timeout "
            "(STOREKIT_TIMEOUT)",
            detail=f"{self.place}{cause}",
        )


def place(keywords: Mapping[str, Any]) -> str:
    """Return host and port, for operators."""
    host = keywords.get("host") or keywords.get("hostaddr") or "its default host"
    return f"{host}:{keywords.get('port', 5432)}"


def understood(error: psycopg.OperationalError | AnswerLost, message: str) -> tuple[str, str]:
    """Return why the login was refused, and the cause of a temporary failure. At most one is not empty."""
    match error:
        case Unfit():
            return message, ""
        case TimedOut():
            return "", message
        case psycopg.OperationalError(pgconn=link) if link is not None and link.needs_password:
            return "no password supplied", ""
    if refused := _REFUSAL.search(message):
        return refused[0].strip(), ""
    if cause := _CAUSE.search(message):
        return "", cause[0].lower()
    return "", f"the server said: {messages[-1]}" if (messages := _SERVER_MESSAGE.findall(message)) else ""


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
