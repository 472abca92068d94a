"""`Blob`: content to save in S3, or the description of content that is stored there."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from os import PathLike
from typing import IO, TYPE_CHECKING, Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from storekit.errors import UsageError, ValidationError
from storekit.model.values.disposition import name_of
from storekit.model.values.source import CHUNK, Content, MeasuredSource, opener, seekable, spooled

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


class _Consumed(Enum):
    """Replaces an iterator that has been read. A member of an enum keeps its identity when it is pickled."""

    CONSUMED = "consumed"


_NAMES = ("media_type", "filename")
_FACTS = {*_NAMES, "size", "sha256"}


class Blob:
    """Content of a field that is stored in S3.

    A Blob with content can be saved. A Blob that was loaded only describes stored content; the repository's
    `read` and `open` return its bytes. Files are streamed and iterators are first written to a temporary
    file: content is never held in memory as a whole, unless you pass it as `str` or `bytes`.

    >>> Blob("# hi", media_type="text/markdown")
    Blob(media_type='text/markdown')

    Args:
        content: `str` (stored as UTF-8), `bytes`, `bytearray`, `memoryview`, a path, a file object opened in
            binary mode, or an iterable of these bytes; at most 5 GiB. A file is read from its position, which
            must not be its end. The bytes of a `bytearray` or `memoryview` are copied at once.
        media_type: type/subtype. Default: the media type of the field; if the field has none, that of the
            file name's extension. Text is served as UTF-8 unless the type has another charset.
        filename: name under which browsers save the content, at most 255 characters. Default: the name of the
            file if `content` is a path, otherwise none; characters that a header cannot have become "_".

    Attributes:
        size: number of bytes; None until the Blob is saved.
        sha256: hex digest of the content; None until the Blob is saved.
        media_type: as passed or as stored. It can be assigned until the content is saved.
        filename: as passed or as stored. It can be assigned until the content is saved.

    Raises:
        UsageError: an argument has another type.
    """

    __slots__ = ("_content", "_start", "filename", "media_type", "rereadable", "sha256", "size")

    def __init__(
        self, content: Content, *, media_type: str | None = None, filename: str | None = None
    ) -> None:
        if isinstance(content, bytearray | memoryview):
            content = bytes(content)  # a copy: the owner may change these bytes before the save
        if not isinstance(content, str | bytes | PathLike | Iterable) and not hasattr(content, "read"):
            raise UsageError(
                "the content of a Blob must be str, bytes, a path, a file or an iterable of bytes, "
                f"not {type(content).__name__}"
            )
        self._content: Content | _Consumed | None = content
        file = seekable(content)
        self._start = cast(IO[bytes], content).tell() if file else 0
        self.rereadable = file or isinstance(content, str | bytes | PathLike)
        """Whether the same bytes can be read again; an iterator can be read only once."""
        self.media_type = media_type
        self.filename = filename
        if isinstance(content, PathLike) and not filename:
            self.filename = name_of(content)
        self.size: int | None = None
        self.sha256: str | None = None

    @classmethod
    def stored(cls, size: int, sha256: str, media_type: str | None, filename: str | None) -> Blob:
        """Return a Blob that describes content in S3."""
        blob = cls.__new__(cls)  # the arguments were checked when they were saved
        blob._start, blob.rereadable = 0, True
        blob.size, blob.sha256, blob.media_type, blob.filename = size, sha256, media_type, filename
        blob._content = None  # from here on its attributes cannot be set
        return blob

    if not TYPE_CHECKING:  # if type checkers saw __setattr__, they would accept every misspelled attribute

        def __setattr__(self, name: str, value: Any) -> None:
            self._require_new(name)
            if name in _NAMES and value is not None and not isinstance(value, str):
                raise UsageError(f"the {name} of a Blob must be str, not {type(value).__name__}")
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            self._require_new(name)
            super().__delattr__(name)

    def _require_new(self, name: str) -> None:
        # no save would write the value: a stored Blob is recognised by its identity
        if name in _FACTS and getattr(self, "_content", self) is None:
            raise UsageError(
                f"Blob.{name} describes stored content and cannot be changed; pass a new Blob of the content"
            )

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        for name, value in state[1].items():
            object.__setattr__(self, name, value)

    @property
    def cheap(self) -> bool:
        """Whether `measure` needs no disk and little time: `str` or `bytes` of at most 1 MiB.

        Such content is measured in the thread of the caller: starting another thread would cost more than the
        hash.
        """
        return isinstance(self._content, str | bytes) and len(self._content) <= CHUNK

    def measure(self, where: str) -> MeasuredSource:
        """Read the content once for its size and SHA-256. Blocking.

        Args:
            where: class and field, for messages.

        Raises:
            ValidationError: the content cannot be read, or is larger than 5 GiB.
            UsageError: this Blob was loaded and has no content of its own.
        """
        if self._content is None:
            raise UsageError(f"{where}: this Blob was loaded and has no content to save; pass a new Blob")
        if self._content is _Consumed.CONSUMED:
            raise ValidationError(
                "the iterator was consumed by an earlier save; pass new content", field=where
            )
        try:
            if not self.rereadable and not seekable(self._content):
                # marked before the first read: if the iterator fails half-way, a second save must not store
                # only the second half
                once, self._content = self._content, _Consumed.CONSUMED
                self._content = spooled(cast(Iterable[bytes], once))
            source = MeasuredSource(opener(self._content, self._start))
        except (OSError, ValueError, ValidationError) as error:
            raise ValidationError(f"the content cannot be read: {error}", field=where) from error
        if self._start and not source.size:
            raise ValidationError(
                f"the file has no content after its position {self._start:,}, so 0 bytes would be saved; "
                "call seek(0) before you pass it",
                field=where,
            )
        self.size, self.sha256 = source.size, source.sha256.hex()
        return source

    def __deepcopy__(self, memo: dict[int, Any]) -> Blob:
        # an open file cannot be copied, and an object recognises its loaded Blob by identity
        return self

    def __repr__(self) -> str:
        facts = {"size": self.size, "sha256": self.sha256, "media_type": self.media_type}
        return f"Blob({', '.join(f'{k}={v!r}' for k, v in facts.items() if v is not None)})"

    def __eq__(self, other: object) -> bool:
        # content that was never saved has no hash, and reading it here could consume an iterator
        if not isinstance(other, Blob) or self.sha256 is None or other.sha256 is None:
            return self is other
        # compare the media type too: browsers display the same bytes differently as text/plain and as
        # text/html
        return (self.sha256, self.media_type) == (other.sha256, other.media_type)

    __hash__ = None  # type: ignore[assignment]  # equality depends on sha256, which a save sets

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        facts = core_schema.plain_serializer_function_ser_schema(_facts, when_used="always")
        return core_schema.is_instance_schema(cls, serialization=facts)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = {"size": "integer", "sha256": "string", "media_type": "string"}
        return {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}


def _facts(blob: Blob) -> dict[str, Any]:
    return {"size": blob.size, "sha256": blob.sha256, "media_type": blob.media_type}
