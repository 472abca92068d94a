"""Which servers must be reached through TLS: all but those of this machine.

Each driver checks the address before it sends a credential. `Settings.postgres_tls`, `mongo_tls` and `s3_tls`
switch the check off, for networks that are encrypted otherwise.
"""

from __future__ import annotations

from ipaddress import ip_address

from storekit.errors import ConfigurationError
from storekit.settings import Tls


def is_local(host: str) -> bool:
    """Return whether a connection to this host cannot leave the machine.

    Only the name localhost counts: any other name may resolve to another address later.

    >>> [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "/run/postgresql")]
    [True, True, True, True]
    >>> [is_local(host) for host in ("", "10.0.0.7", "127.0.0.1.example.com", "localhost.example.com")]
    [False, False, False, False]
    """
    if host.startswith(("/", "@")):  # a socket file, or an abstract socket
        return True
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def refuse(variable: str, place: str, why: str, remedy: str) -> ConfigurationError:
    """Return the error for an address at which TLS would not protect what storekit sends.

    Args:
        variable: the variable that has the address, such as "MONGO_URL".
    """
    switch = f"{variable.partition('_')[0]}_TLS"
    return ConfigurationError(
        f"{variable}: {place} is not this machine, and {why}; {remedy}, or set {switch}={Tls.OPTIONAL} "
        "if the network protects the connection"
    )
