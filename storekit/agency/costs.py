"""The costs of calls to language models."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from storekit.agency.runs import ActivityRun
from storekit.model.declare.entity import Entity
from storekit.model.table.fields import references
from storekit.model.table.indexes import index


class LlmCall(Entity, table="llm_calls", line="agency", indexes=[index("created_on")]):
    """One call of a language model, append-only, for billing. The report `llm_costs` adds up the costs."""

    run_id: Annotated[UUID, references(ActivityRun)]
    model: str
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    cost: Decimal = Field(ge=0)
