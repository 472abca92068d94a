"""The parameters of a connection: parsed from the URL, with TLS required where the connection needs it."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from storekit.drivers.postgres.encodings import UTF8
from storekit.drivers.tls import is_local, refuse
from storekit.errors import ConfigurationError
from storekit.ports.libpq import EMBEDDED, NEWER
from storekit.settings import Tls

_VERIFIED = "verify-full"
_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where systems keep the certificates of the public authorities."""


def parse(url: str, variable: str, tls: Tls) -> dict[str, Any]:
    """Return the parameters of a connection.

    Args:
        variable: the name of the variable that has the URL, for errors.

    Raises:
        ConfigurationError: the URL cannot be parsed, or its connection would leave this machine without TLS
            that verifies the server.
    """
    try:
        found = conninfo_to_dict(url)
    except psycopg.Error:
        found = {"port": "unreadable"}
    if _is_misread(url) or not re.fullmatch(r"[\d,]*", str(found.get("port", ""))):
        raise ConfigurationError(
            f"{variable} cannot be parsed; it must be postgresql://login:password@host:port/database, with "
            "login, password and database percent-encoded"
        )
    if tls is not Tls.OPTIONAL and not _stays_here(found):
        found |= _verified(found, variable)
    return _completed(found)


def conninfo(url: str, variable: str, tls: Tls) -> str:
    """Return the parameters as one text, for a call that takes a URL."""
    return make_conninfo("", **parse(url, variable, tls))


def _completed(found: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a connection, completed from those of its URL."""
    found["client_encoding"] = UTF8  # texts are sent in UTF-8, whatever PGCLIENTENCODING or the URL say
    if found.get("application_name") != EMBEDDED:
        return found
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {**found, **{name: value for name, value in NEWER.items() if name in known}}


def _is_misread(url: str) -> bool:
    """Return whether libpq would take a part of the password for the host or for the database.

    In a URL the only "@" that is not percent-encoded stands before the host.
    """
    scheme, sign, rest = url.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    return bool(sign) and scheme in {"postgresql", "postgres"} and (authority.count("@") > 1 or "@" in path)


def _defaults() -> dict[str, str]:
    """Return what libpq takes from its environment variables, where the URL sets nothing."""
    return {
        each.keyword.decode(): os.environ[each.envvar.decode()]
        for each in Conninfo.get_defaults()
        if each.envvar and os.environ.get(each.envvar.decode())
    }


def _stays_here(found: dict[str, Any]) -> bool:
    given = {**_defaults(), **found}
    if given.get("service") and "hostaddr" not in found:  # a file may name another address
        return False
    # libpq connects to hostaddr; host is then only the name in the certificate
    hosts = str(given.get("hostaddr") or given.get("host") or "/its socket")
    return all(is_local(host or "/its socket") for host in hosts.split(","))


def _verified(found: dict[str, Any], variable: str) -> dict[str, Any]:
    """Return the parameters that make libpq verify the server before it sends a credential.

    Raises:
        ConfigurationError: the URL or PGSSLMODE asks for less.
    """
    given = {**_defaults(), **found}
    mode = given.get("sslmode")
    if mode not in {None, _VERIFIED}:
        place = given.get("host") or given.get("hostaddr") or f"service {given.get('service')}"
        why = f"sslmode={mode} does not verify the identity of the server"
        raise refuse(variable, str(place), why, f"use sslmode={_VERIFIED}")
    # GSSAPI would encrypt the connection in place of TLS, without a certificate.
    secured: dict[str, Any] = {"sslmode": _VERIFIED, "gssencmode": "disable"}
    if "sslrootcert" not in given and not Path("~/.postgresql/root.crt").expanduser().exists():
        secured["sslrootcert"] = _authorities()
    return secured


def _authorities() -> str:
    """Return the file of the system's certificate authorities; libpq alone would look in the home directory.

    `system` would be the directory that was compiled into libpq, which a wheel cannot know.
    """
    files = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, *_ROOTS)
    return next((file for file in files if file and Path(file).exists()), "system")
