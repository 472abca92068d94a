"""The configuration files of SeaweedFS, which it reads from its working directory."""

from __future__ import annotations

import os
from pathlib import Path

_GRPC = ("master", "volume", "filer", "s3", "admin", "worker", "client")
_HTTPS = ("master", "volume", "filer", "admin")
_OTHERS = {
    "filer": '[leveldb2]\nenabled = true\ndir = "./filerldb2"\n',
    "master": "",
    "volume": "",
    "admin": "",
    "notification": "",
    "credential": "",
}
"""If one of these files were missing, the server would read the one in /etc/seaweedfs. That file is meant for
another server, and may name another database for the names of the objects."""
_REMEMBERED = "mini.options"
"""The server stores its flags in this file and applies them at the next start, even if not passed then."""


def write_files(data: Path, certificate: str) -> None:
    """Write all configuration files.

    Every port and socket but S3's, HTTP and gRPC, serves only clients that present the certificate. Its path
    is relative to the data directory, which may be moved.
    """
    for name, text in {**_OTHERS, "security": _security(certificate)}.items():
        with open(data / f"{name}.toml", "w", opener=_private) as file:
            file.write(text)
    (data / _REMEMBERED).unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _security(certificate: str) -> str:
    pair = f'cert = "{certificate}"\nkey = "{certificate}"\n'
    authority = f'ca = "{certificate}"\n'
    sections = [
        f"[grpc]\n{authority}",
        *(f"[grpc.{each}]\n{pair}" for each in _GRPC),
        *(f"[https.{each}]\n{pair}{authority}" for each in _HTTPS),
        f"[https.client]\nenabled = true\n{pair}{authority}",
    ]
    return "\n".join(sections)
