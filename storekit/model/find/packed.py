"""The text of a page cursor in a form for URLs: base64, compressed if it is long.

Postgres compresses the values of an index too, to at most 2,700 bytes for one record. So the values of every
record that an index can contain fit into a cursor.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, urlsafe_b64encode

_PLAIN = 1024
"""Maximum characters of a cursor that is not compressed."""
_MARK = "~"
"""First character of a compressed cursor; it is not part of base64, and URLs need no escape for it."""
LARGEST = 1 << 21
"""Maximum bytes of a text: more than an index can contain, even if JSON escapes all characters. A client may
send a text that expands to more."""


def packed(text: str) -> str:
    """Return the text of a cursor in a form for URLs.

    >>> packed("[1]"), unpacked(packed("[1]")), len(packed("x" * 100_000)) < 200
    ('WzFd', '[1]', True)
    """
    plain = _base64(text.encode())
    return plain if len(plain) <= _PLAIN else _MARK + _base64(zlib.compress(text.encode()))


def unpacked(after: str) -> str:
    """Return the text of a cursor.

    Raises:
        ValueError: it has another form.
    """
    given = after.removeprefix(_MARK)
    content = b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    if _base64(content) != given:
        raise ValueError("it has more than one form")
    return (content if given == after else _expanded(content)).decode()


def _expanded(content: bytes) -> bytes:
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError("it is not compressed") from error
    if not reader.eof or reader.unused_data:
        raise ValueError("it is incomplete or too long")
    return text


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
