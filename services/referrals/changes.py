"""Changes of a referral together with what it takes: beds and consult slots.

A bed that is given back is part of the referral's own write. A bed that is offered, and a slot that is
booked, moved or given back, are one unit of both documents; each is checked against the version that was
read, so of two callers who want the same one the second reads again and finds it taken.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar

from pydantic import BaseModel

from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.attempts import repeated
from shared.store.store import Store

from . import queries
from .domain.referral import Referral
from .domain.slot import Slot
from .domain.states import Why

A = TypeVar("A", bound=BaseModel)
Load = Callable[[], Awaitable[Referral]]
"""Reads the referral that the caller may change, anew at every attempt."""
Answer = Callable[[Referral], A]


@repeated()
async def change(
    store: Store, load: Load, rule: Callable[[Referral], object], by: Actor, answer: Answer[A]
) -> A:
    """Apply a rule; a slot that it lets go of is open again at once."""
    async with store.together(answer) as unit:
        referral = unit.add(await load())
        had = referral.slot_id
        rule(referral)
        if had and not referral.slot_id:
            (await unit.load(Slot, had)).release(now(), by)
    return unit.answer


@repeated("beds")
async def offer_bed(store: Store, load: Load, admission_day: date, by: Actor, answer: Answer[A]) -> A:
    """Offer the lowest free bed. The ward belongs to it, so that its number of beds is that of now.

    Raises NoBedFree, and what the rule raises.
    """
    async with store.together(answer) as unit:
        referral = unit.add(await load())
        ward = unit.add(await queries.ward_of(store, referral.department))
        bed = ward.free_bed(await queries.taken_beds(store, referral.department))
        referral.offer_bed(bed, admission_day, now(), by)
    return unit.answer


@repeated()
async def book_consult(store: Store, load: Load, slot_id: str, by: Actor, answer: Answer[A]) -> A:
    """Book a slot. Raises SlotTaken, OtherDepartment, TooLate, and what the rule raises."""
    async with store.together(answer) as unit:
        referral, slot, at = unit.add(await load()), await unit.load(Slot, slot_id), now()
        referral.book_consult(slot.id, slot.starts_at, at, by)
        slot.book(referral.id, referral.department, at, by)
    return unit.answer


@repeated()
async def reschedule(store: Store, load: Load, slot_id: str, by: Actor, answer: Answer[A]) -> A:
    """Move to another slot in one step: she never has two of them, or none. Raises as `book_consult`."""
    async with store.together(answer) as unit:
        referral, slot, at = unit.add(await load()), await store.load(Slot, slot_id), now()
        had = referral.slot_id
        referral.reschedule(slot.id, slot.starts_at, at, by)
        # The old slot goes first: the index allows a referral one booking at any moment.
        (await unit.load(Slot, had)).release(at, by)
        unit.add(slot).book(referral.id, referral.department, at, by)
    return unit.answer


@repeated()
async def consult(store: Store, load: Load, opinion: str | None, by: Actor, answer: Answer[A]) -> A:
    """The consult took place: the slot is used up with it."""
    async with store.together(answer) as unit:
        referral = unit.add(await load())
        had = referral.slot_id
        referral.consult(opinion, now(), by)
        (await unit.load(Slot, had)).use(now(), by)
    return unit.answer


@repeated()
async def withdraw_slot(
    store: Store, load: Callable[[], Awaitable[Slot]], why: Why, by: Actor, answer: Callable[[Slot], A]
) -> A:
    """The department cannot keep a slot; whoever had booked it is in the queue again."""
    async with store.together(answer) as unit:
        slot = unit.add(await load())
        booked = slot.referral_id
        slot.withdraw(why, now(), by)
        if booked:
            (await unit.load(Referral, booked)).release_consult(why, now(), by)
    return unit.answer
