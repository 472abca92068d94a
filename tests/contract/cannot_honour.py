"""Tests that the leg of moto and mongomock cannot pass, with the reason.

Each of them must fail (strict xfail): remove the entry of a test that passes.
"""

LEG = "sync-moto"

CANNOT_HONOUR = {
    "test_an_expired_url_is_refused": "moto serves pre-signed URLs after their expiry",
    "test_a_url_with_another_signature_is_refused": "moto checks no signature of a pre-signed URL",
}
