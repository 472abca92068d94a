"""pydantic's settings (`model_config`) of entity classes and of nested models: kept or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any
from uuid import UUID, uuid4

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, StrictInt, computed_field, create_model

from storekit import (
    Entity,
    Mutable,
    UsageError,
    ValidationError,
    document,
    in_,
    lt,
)
from tests.support.features import repository, row


def declare(config: ConfigDict, **fields: Any) -> type[Entity]:
    """Declare a class with some settings and fields."""
    base = type("Base", (Entity, Mutable), {"model_config": config, "__module__": __name__})
    made: type[Entity] = create_model("D", __base__=base, __cls_kwargs__={"table": "ds"}, **fields)
    return made


@row('`extra="allow"` of an entity')
def test_an_entity_cannot_allow_extra_fields() -> None:
    """extra="allow" is refused when the class is defined, also if the class inherits it."""
    with pytest.raises(UsageError, match=r'Base: extra="allow" .*declare a field of the type dict'):
        declare(ConfigDict(extra="allow"), x=(int, 1))
    with pytest.raises(UsageError, match="extra="):

        class Open(Entity, table="opens"):
            model_config = ConfigDict(extra="allow")


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


@row('`extra="allow"` of a nested model')
def test_extra_fields_of_a_nested_model_are_stored() -> None:
    """Extra fields of a model in a document or a jsonb column come back."""

    class Hook(Entity, Mutable, table="hooks"):
        column: Loose = Loose()
        body: Annotated[Loose | None, document(collection="hooks")] = None

    hooks = repository(Hook)
    loose = Loose.model_validate({"a": 2, "b": {"c": [1]}})
    saved = hooks.save(Hook(column=loose, body=loose))
    found = hooks.get(saved.ref_id, load=["body"])
    assert (found.column, found.body) == (loose, loose)


@row('`extra="ignore"`, `extra="forbid"`')
def test_extra_input_of_an_entity_is_ignored_or_refused() -> None:
    """An entity refuses unknown fields by default; extra="ignore" drops them from the input."""
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        declare(ConfigDict(), x=(int, 1)).model_validate({"y": 1})
    made = declare(ConfigDict(extra="ignore"), x=(int, 1)).model_validate({"y": 1})
    assert "y" not in made.__dict__


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    radius: int = 1

    @computed_field  # type: ignore[prop-decorator]
    @property
    def diameter(self) -> int:
        return 2 * self.radius


@row('`extra="forbid"` with `computed_field`')
def test_a_nested_model_may_forbid_extra_fields_and_compute_some() -> None:
    """The computed field is not stored, and is computed again when the model is read."""

    class Shape(Entity, Mutable, table="shapes"):
        column: Circle = Circle()
        body: Annotated[Circle | None, document(collection="shapes")] = None

        @computed_field  # type: ignore[prop-decorator]
        @property
        def big(self) -> bool:
            return self.body is not None and self.body.radius > 1

    shapes = repository(Shape)
    saved = shapes.save(Shape(column=Circle(radius=2), body=Circle(radius=3)))
    found = shapes.get(saved.ref_id, load=["body"])
    assert (found.column, found.body, found.big) == (Circle(radius=2), Circle(radius=3), True)
    assert "big" not in {name for name, _ in Shape.storekit_table.types}


class Level(StrEnum):
    LOW = "low"


@row("`strict`")
def test_strict_classes_refuse_conversions_everywhere() -> None:
    """A strict class or field refuses a str for an int in the constructor, updates and filters."""

    class Gauge(Entity, Mutable, table="gauges"):
        model_config = ConfigDict(strict=True)
        value: int = 1
        uid: UUID | None = None
        at: datetime | None = None
        tree: dict[str, int] = {}
        level: Level = Level.LOW

    class Meter(Entity, Mutable, table="meters"):
        value: StrictInt = 1
        limit: Annotated[int, Field(strict=True)] = 1

    gauges, meters = repository(Gauge), repository(Meter)
    made = Gauge(value=3, uid=uuid4(), at=datetime(2026, 1, 1, tzinfo=UTC), tree={"a": 1})
    assert gauges.get(gauges.save(made).ref_id).model_dump() == made.model_dump()
    for values in ({"value": "3"}, {"uid": str(made.uid)}, {"at": "2026-01-01T00:00:00Z"}):
        with pytest.raises(pydantic.ValidationError):
            Gauge.model_validate(values)
        with pytest.raises(ValidationError):
            gauges.update(made.ref_id, values)
        with pytest.raises(ValidationError):
            gauges.find(values)
    assert gauges.count({"level": "low"}) == 1
    for name in ("value", "limit"):
        with pytest.raises(ValidationError):
            meters.find({name: "1"})


class Exact(BaseModel):
    model_config = ConfigDict(strict=True)
    uid: UUID
    pair: tuple[int, ...] = (1, 2)
    took: timedelta = timedelta(seconds=1.5)


@row("`strict` of a nested model")
def test_a_strict_model_is_read_from_what_the_store_returns() -> None:
    """A strict nested model with a UUID, a tuple and a timedelta comes back from columns and documents."""

    class Probe(Entity, Mutable, table="probes"):
        column: Exact
        body: Annotated[Exact | None, document(collection="probes")] = None

    probes = repository(Probe)
    exact = Exact(uid=UUID(int=7))
    saved = probes.save(Probe(column=exact, body=exact))
    found = probes.get(saved.ref_id, load=["body"])
    assert (found.column, found.body) == (exact, exact)


@row("conversions")
def test_updates_and_filters_convert_as_the_constructor() -> None:
    """What the constructor converts, update and find convert too; what it refuses, they refuse."""

    class Item(Entity, Mutable, table="items"):
        tokens: int = 0
        price: float = 0.5
        uid: UUID | None = None
        at: datetime | None = None
        level: Level = Level.LOW
        tags: list[int] = []

    items = repository(Item)
    uid = uuid4()
    texts = {"tokens": "3", "price": "2.5", "uid": str(uid), "at": "2026-01-01T00:00:00Z", "level": "low"}
    item = items.update(items.save(Item()).ref_id, texts)
    assert item.model_dump() | Item.model_validate(texts).model_dump(include={*texts}) == item.model_dump()
    for name, text in texts.items():
        for condition in (text, in_(text)):
            assert items.find({name: condition}, unindexed=True)[0].ref_id == item.ref_id
    assert items.count({"tokens": lt("4")}) == 1
    for wrong in ({"tokens": "many"}, {"tokens": 1.5}, {"uid": "x"}, {"at": "now"}):
        with pytest.raises(pydantic.ValidationError):
            Item.model_validate(wrong)
        for call in (items.find, lambda values: items.update(item.ref_id, values)):
            with pytest.raises(ValidationError):
                call(wrong)


@row("`str_strip_whitespace`, `str_to_lower`, `coerce_numbers_to_str`")
def test_settings_that_normalise_apply_to_values_and_filters() -> None:
    """Texts are normalised before they are stored, and in filters except prefix()."""
    config = ConfigDict(str_strip_whitespace=True, str_to_lower=True, coerce_numbers_to_str=True)
    made = declare(config, name=(str, ""))
    records = repository(made)
    record = records.save(made.model_validate({"name": " Ada "}))
    assert records.get(record.ref_id).__dict__["name"] == "ada"
    assert records.count({"name": " ADA"}) == 1
    assert records.update(record.ref_id, {"name": 7}).__dict__["name"] == "7"


@row("`use_enum_values`")
def test_use_enum_values_is_refused_for_columns_and_kept_in_nested_models() -> None:
    """A StrEnum column returns members, so the setting is refused; a nested model keeps its values."""
    with pytest.raises(UsageError, match=r"D\.level: use_enum_values=True .* remove it"):
        declare(ConfigDict(use_enum_values=True), level=(Level, Level.LOW))

    class Box(BaseModel):
        model_config = ConfigDict(use_enum_values=True)
        level: Level = Level.LOW

    made = declare(ConfigDict(use_enum_values=True), box=(Box, ...))
    boxes = repository(made)
    record = boxes.save(made.model_validate({"box": {"level": "low"}}))
    assert type(boxes.get(record.ref_id).__dict__["box"].level) is str


@row("`from_attributes`")
def test_an_object_of_another_library_cannot_set_ids_and_versions() -> None:
    """Attributes are read for the declared fields only: id, ref_id, tenant and version stay storekit's."""

    class Row:
        id, ref_id, tenant_id, version, title = UUID(int=1), "x", UUID(int=2), 7, "t"

    class Page(Entity, Mutable, table="pages"):
        model_config = ConfigDict(from_attributes=True)
        title: str

    page = Page.model_validate(Row())
    assert (page.title, page.tenant_id or None, page.version or None) == ("t", None, None)
    assert page.id != Row.id
    assert len(page.ref_id) == 26
    for values in (MappingProxyType({"title": "t", "ref_id": "x"}), (Row(), {"version": 3})):
        with pytest.raises(pydantic.ValidationError, match="set by storekit"):
            Page.model_validate(values)
    for wrong in (5, object()):
        with pytest.raises(pydantic.ValidationError, match="valid dictionary or object"):
            Page.model_validate(wrong)


@row("`revalidate_instances`")
def test_records_are_never_revalidated_into_copies() -> None:
    """Any value but "never" is refused for an entity, since the copy would be another record."""
    for value in ("always", "subclass-instances"):
        with pytest.raises(UsageError, match=f"revalidate_instances='{value}'"):
            declare(ConfigDict(revalidate_instances=value), x=(int, 1))


@row("`arbitrary_types_allowed`")
def test_a_class_that_pydantic_does_not_know_is_not_stored() -> None:
    """The setting does not add columns: the field is refused when the class is defined."""
    with pytest.raises(UsageError, match=r"D\.x: .*cannot be a column"):
        declare(ConfigDict(arbitrary_types_allowed=True), x=(memoryview, ...))
