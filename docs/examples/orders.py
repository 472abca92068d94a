"""Orders with a state machine: the database rejects forbidden changes and records who made each change."""

import sys
from enum import StrEnum
from typing import Annotated
from uuid import uuid4

from storekit import Entity, InvalidTransition, Mutable, Store, index, moves


class OrderStatus(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    IN_FULFILLMENT = "in_fulfillment"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUNDED = "refunded"


MOVES = {
    OrderStatus.PENDING: [OrderStatus.CONFIRMED, OrderStatus.REFUNDED],
    OrderStatus.CONFIRMED: [OrderStatus.IN_FULFILLMENT, OrderStatus.REFUNDED],
    OrderStatus.IN_FULFILLMENT: [OrderStatus.SHIPPED, OrderStatus.REFUNDED],
    OrderStatus.SHIPPED: [OrderStatus.DELIVERED],
    OrderStatus.DELIVERED: [OrderStatus.REFUNDED],
}


class Order(
    Entity,
    Mutable,
    table="orders",
    natural_key=["number"],
    indexes=[index("status", "-created_on")],
):
    number: str
    status: Annotated[OrderStatus, moves(MOVES)] = OrderStatus.PENDING


with Store.embedded(sys.argv[1], entities=[Order]) as store:
    tenant = uuid4()
    orders = store.scope(tenant=tenant, actor="shop").repository(Order)
    clerk = store.scope(tenant=tenant, actor="user:jane").repository(Order)
    first, *others = orders.save_many([Order(number=f"A-{n}") for n in range(100)])
    clerk.transition(first.ref_id, OrderStatus.CONFIRMED, reason="paid by card")
    clerk.transition(first.ref_id, OrderStatus.IN_FULFILLMENT)
    clerk.update_many({order.ref_id: {"status": OrderStatus.CONFIRMED} for order in others[:30]})
    try:
        clerk.transition(first.ref_id, OrderStatus.DELIVERED)
    except InvalidTransition as error:
        print(f"{error.from_} -> {error.to} is refused; allowed: {', '.join(error.allowed)}")
    _, *moved = orders.history(first.ref_id)  # recorded in the commit of each change
    for move in moved:
        print(move.by, move.before, "->", move.after, move.reason or "")

    pending = {"status": OrderStatus.PENDING}
    pages = [orders.find(pending, order_by="-created_on", limit=30)]
    while after := pages[-1].next:
        pages.append(orders.find(pending, order_by="-created_on", limit=30, after=after))
    print("pending, newest first, in pages of", *map(len, pages))
