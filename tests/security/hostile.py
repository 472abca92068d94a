"""Hostile names and values: a corpus for every argument that takes text, and objects of wrong types.

`TEXTS` and `OBJECTS` are for cheap cases; an expensive case may use a few `FAMILIES` only.
"""

from __future__ import annotations

from itertools import product
from typing import Any

NUL, HIGH, LOW = "\0", "\ud800", "\udfff"

_QUOTES = (
    "'", '"', "`", "\\'", '\\"', "''", "')", "'))", "$$", "$x$", "E'\\''", "U&'\\0027'", "\u2019", "\u02bc",
    "\uff07", "%27", "&#39;", "\\",
)  # fmt: skip
_STATEMENTS = (
    "; DROP TABLE sentinel; --", "; DELETE FROM sentinel; --", "; UPDATE sentinel SET text = 'x'; --",
    "; TRUNCATE sentinel CASCADE; --", "; INSERT INTO sentinel VALUES ('x'); --",
    "; SELECT set_config('storekit.tenant', '00000000-0000-000b-0000-000000000000', false); --",
    "; SET ROLE storekit_owner; --", "; COPY sentinel TO PROGRAM 'true'; --", " OR 1=1 --", " OR 'a'='a",
    " UNION SELECT tenant_id, key FROM storekit.part --", "||(SELECT text FROM sentinel)||'",
    "); COMMIT; DROP TABLE sentinel; --",
)  # fmt: skip
# Each quote with six statements, and each statement with several quotes: no code of storekit parses SQL.
_INJECTED = tuple(
    quote + _STATEMENTS[(6 * number + place) % len(_STATEMENTS)]
    for number, quote in enumerate(_QUOTES)
    for place in range(6)
)

_NAMES = (
    "*", "1", "title; --", "title--", 'title"', 'ti"tle', '"title"', "title'", "title)", "(title",
    "title,ref_id", "title AS x", "title::text", "title ", " title", "Title", "TITLE", "t\u0131tle",
    "title\n", "\ttitle", "public.title", "e.title", "ctid", "xmin", "tableoid", "oid", "tenant_id",
    "parts_live", "_memory", "_ref", "file_ref", "part:file", "pg_catalog.pg_class", "storekit.part",
    "storekit.write", "information_schema.tables", "(SELECT 1)", "now()", "storekit.now()", "current_user",
    "session_user", "null", "true", "default", "title[1]", "title->'a'", "title.*", "-title", "+title",
    "title DESC", "title NULLS FIRST", "title ASC; DROP TABLE sentinel", "1=1", "title=title", "__class__",
    "__dict__", "__init__", "__globals__", "model_fields", "__proto__", "constructor", "prototype",
    "toString", "hasOwnProperty", "x" * 64, "x" * 63 + "\u00e9", "t" * 10_000,
)  # fmt: skip
_COMMENTS = (
    "--", "-- -", "/*", "*/", "/**/", "/*!50000 DROP*/", "#", ";", ";;", "\\", "\\\\", "\\g", "\\copy x",
)  # fmt: skip
_FORMATS = (
    "%", "%%", "%s", "%d", "%n", "%x" * 20, "%(title)s", "%(x", "%1$s", "{}", "{0}", "{title}",
    "{0.__class__}", "{self._ports}", "{!r}", "{{}}", "{", "}", "$1", "$0", "$title", "${title}", ":title",
    "?", "??", "@title", "{{7*7}}", "#{7*7}", "<%= 7*7 %>", "${jndi:ldap://127.0.0.1/a}", "\\x41",
    "\\u0041", "\\u0000", "\\0", "&amp;", "<script>alert(1)</script>", "=cmd|'/C calc'!A0",
)  # fmt: skip
_LITERALS = (
    "{a,b}", "{NULL}", '{"a"}', "{{1,2},{3,4}}", "{", "(a,b)", "(,)", "[1,5)", "\\x00", "\\xdeadbeef",
    "NULL", "null", "t", "f", "yes", "on", "now", "epoch", "infinity", "-infinity", "today", "allballs",
    "NaN", "Infinity", "1e400", "-0", "0x1F", "1_000", "1;2", "9223372036854775808", "-9223372036854775809",
    "\uff11", "1e5", ".5", "  1  ", "10000-01-01", "2026-02-30", "{00000000-0000-000b-0000-000000000000}",
    "urn:uuid:00000000-0000-000b-0000-000000000000", "0000000000000000000000000",
    "000000000000000000000000000", "01M7YYJ1QXWRWM911EDFRDG472\n", "01m7yyj1qxwrwm911edfrdg472",
    "01M7YYJ1QXWRWM911EDFRDG47U", "81M7YYJ1QXWRWM911EDFRDG472", "01M7YYJ1QXWRWM911EDFRDG47\u0662",
)  # fmt: skip
_MONGO = (
    "$where", "$ne", "$gt", "$regex", "$expr", "$set", "$", "$$ROOT", "$[]", "a.b", "a.$", "a.$b", ".",
    "..a", "a.", '{"$ne": null}', '{"$gt": ""}', '{"$where": "sleep(9)"}', '[{"$match": {}}]',
    "this.a == 1", "';return true;'", "_id", "tenantId", "ObjectId()",
)  # fmt: skip
_UP = (
    "../", "..\\", "../../../../", "/", "\\\\host\\", "C:\\", "file:///", "%2e%2e%2f", "..%c0%af", "....//",
    "a/../",
)  # fmt: skip
_PLACES = ("etc/passwd", "", ".", "00000000-0000-000b-0000-000000000000/tickets", "x.html", "CON")
_PATHS = (
    *(up + place for up, place in product(_UP, _PLACES)),
    "~", "~/.ssh", ".", "..", "...", "a/b", "a//b", "a\\b", "aux.txt", "a.", "a ", " a", "-rf",
    "|id", "`id`", "$(id)",
)  # fmt: skip
_HEADERS = (
    "a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\r\n\r\n<html>", 'a"; filename="b', "a;b", "a,b", "text/html",
    "text/html;", "text/plain; charset=x\r\ny: z", "image/svg+xml", "TEXT/HTML", "text/plain, text/html",
    "*/*", "a/b/c", "/", "a/", "text/pla\u0131n", "text/plain; q=\"\\\"", "application/octet-stream\x00",
)  # fmt: skip
_UNICODE = (
    "\u00e9", "e\u0301", "\u212b", "\u00c5", "\ufb01", "fi", "\u1e9e", "\u00df", "SS", "\u0130", "i",
    "\u212a", "K", "\u202egpj.exe", "\u202d", "\u2066a\u2069", "\u200b", "a\u200db", "\ufeff", "\ufeffa",
    "a\ufeff", "\u00ad", "\u2028", "\u2029", "\x85", "\u00a0", "\u3000", "\ufffd", "\ufffe", "\uffff",
    "\U0001fffe", "\U0010ffff", "\ue000", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001d54f",
    "\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", "Z\u0351\u036b\u0343\u036a" * 20,
    "\u0e01\u0e33", "\ud55c\uae00", "\u1112\u1161\u11ab", "\uff1b\uff0d\uff0d", "\u037e",
    "\u2215etc\u2215passwd", "\uff0e\uff0e\uff0f", "\uff04where", "\u0430dmin",
)  # fmt: skip
_CONTROLS = (
    *(chr(code) for code in (*range(1, 32), 127, *range(128, 160, 5))), "a\x1b[2Jb", "\x08" * 3, "a\tb",
)  # fmt: skip
_UNSTORABLE = (
    NUL, f"a{NUL}", f"{NUL}a", f"a{NUL}b", f"';{NUL} DROP TABLE sentinel", NUL * 3, HIGH, LOW, f"a{HIGH}b",
    f"{LOW}{HIGH}", f"{HIGH}{HIGH}", "\udc00", f"a{NUL}{HIGH}", "\udbff",
)  # fmt: skip
_LONG = (
    "x" * 255, "x" * 256, "x" * 1024, "x" * 65_536, "\u00e9" * 50_000, "'" * 10_000, "(" * 10_000,
    "[" * 10_000, '{"a":' * 5_000, "\\" * 9_999, "%s" * 5_000, "\U0001f469" * 20_000, " " * 10_000,
    "x" * 1_000_000,
)  # fmt: skip
_BLANK = ("", " ", "  ", "\t", "\n")

FAMILIES: dict[str, tuple[str, ...]] = {
    "injected": _INJECTED,
    "names": _NAMES,
    "comments": _COMMENTS,
    "formats": _FORMATS,
    "literals": _LITERALS,
    "mongo": _MONGO,
    "paths": _PATHS,
    "headers": _HEADERS,
    "unicode": _UNICODE,
    "controls": _CONTROLS,
    "unstorable": _UNSTORABLE,
    "long": _LONG,
    "blank": _BLANK,
}
TEXTS: tuple[str, ...] = tuple(dict.fromkeys(text for family in FAMILIES.values() for text in family))
OBJECTS: tuple[Any, ...] = (
    {"$ne": None}, {"$gt": ""}, {"$where": "1"}, {"$in": ["a"]}, {"a": {"$ne": 1}}, {"__proto__": {"x": 1}},
    {}, [], ["a"], [["a"]], (), ("a",), {"a"}, frozenset({"a"}), b"title", bytearray(b"title"),
    memoryview(b"title"), 0, 1, -1, 2**63, 2**70, True, False, 1.5, float("nan"), float("inf"), 1j, None,
    object(), str, len, range(3), ...,
)  # fmt: skip
"""Objects that a caller may pass instead of a text, from a request's JSON or by mistake."""


def storable(text: str) -> bool:
    """Return whether all three stores can hold a text: no U+0000, no lone surrogate."""
    return NUL not in text and text.encode(errors="replace").decode() == text
