"""What the leg of moto and mongomock cannot honour: test to reason.

Each entry is expected to fail; one that passes fails the run, and is then removed here.
"""

LEG = "sync-moto"

CANNOT_HONOUR = {
    "test_an_expired_url_is_refused": "moto serves pre-signed URLs after their expiry",
    "test_a_url_with_another_signature_is_refused": "moto checks no signature of a pre-signed URL",
}
