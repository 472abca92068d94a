"""The certificate with which the parts of a stack's servers recognise each other."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from storekit.embedded import wheels
from storekit.embedded.directory import Directory

_FILE = "tls.pem"


def certificate(directory: Directory) -> Path:
    """Return the file with the stack's private key and certificate, and create it at the first start.

    The certificate is its own authority, so it is the only one that the servers accept, from clients too. It
    is valid at any time: neither an old directory nor a wrong clock must prevent a start.
    """
    path = directory.path / _FILE
    if not path.exists():
        directory.write_text(_FILE, _new())
    return path


def client_context(path: Path) -> ssl.SSLContext:
    """Return the settings with which a client presents the certificate and requires it of the server."""
    context = ssl.create_default_context(cafile=str(path))
    context.load_cert_chain(path)
    return context


def _new() -> str:
    wheels.require_cryptography()
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "storekit embedded")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([Usage.SERVER_AUTH, Usage.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    signed = builder.sign(key, SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (secret + signed.public_bytes(Encoding.PEM)).decode()
