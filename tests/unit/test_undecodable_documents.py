"""Documents that another client of MongoDB wrote and that Python cannot hold."""

from __future__ import annotations

from uuid import uuid4

from bson import encode
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from storekit.drivers.mongo.documents import _RAW, CODEC, _decoded
from storekit.ports.stores import UNDECODED


def test_one_document_hides_no_other() -> None:
    """A document with a time that Python cannot hold is returned with the reason, and the others are read."""
    late, good = uuid4(), uuid4()
    written = [
        RawBSONDocument(encode({"_id": part_id, "body": body}, codec_options=CODEC), _RAW)
        for part_id, body in ((late, {"on": DatetimeMS(10**15)}), (good, {"n": 1}))
    ]
    found = _decoded(written)
    assert found[good] == {"_id": good, "body": {"n": 1}}
    assert found[late]["_id"] == late
    assert "out of range" in found[late][UNDECODED]
