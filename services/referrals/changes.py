"""Changes of a referral together with what it takes: beds and consult slots.

A bed that is given back is part of the referral's own write. A bed that is offered, and a slot that is
booked, moved or given back, are one transaction of both documents; each is checked against the version
that was read, so of two callers who want the same one the second reads again and finds it taken.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar

from pydantic import BaseModel

from shared.model.clock import now
from shared.model.workflow import Actor
from shared.store.store import Store, repeated

from . import queries
from .domain.referral import Referral
from .domain.slot import Slot
from .domain.states import Why

A = TypeVar("A", bound=BaseModel)
Load = Callable[[], Awaitable[Referral]]
"""Reads the referral that the caller may change, anew at every attempt."""
Answer = Callable[[Referral], A]


async def change(
    store: Store, load: Load, rule: Callable[[Referral], object], by: Actor, answer: Answer[A]
) -> A:
    """Apply a rule; a slot that it lets go of is open again in the same transaction."""

    async def once() -> A:
        referral = await load()
        had = referral.slot_id
        rule(referral)
        if not had or referral.slot_id:
            return await store.commit(referral, answer)
        slot = await store.load(Slot, had)
        slot.release(now(), by)
        await store.commit_all(referral, slot, answer=answer)
        return answer(referral)

    return await repeated(once)


async def offer_bed(store: Store, load: Load, admission_day: date, by: Actor, answer: Answer[A]) -> A:
    """Offer the lowest free bed. The ward is committed too, so that its number of beds is that of now.

    Raises NoBedFree, and what the rule raises.
    """

    async def once() -> A:
        referral = await load()
        ward = await queries.ward_of(store, referral.department)
        bed = ward.free_bed(await queries.taken_beds(store, referral.department))
        referral.offer_bed(bed, admission_day, now(), by)
        await store.commit_all(referral, ward, answer=answer)
        return answer(referral)

    return await repeated(once, "beds")


async def book_consult(store: Store, load: Load, slot_id: str, by: Actor, answer: Answer[A]) -> A:
    """Book a slot. Raises SlotTaken, OtherDepartment, TooLate, and what the rule raises."""

    async def once() -> A:
        referral, slot, at = await load(), await store.load(Slot, slot_id), now()
        referral.book_consult(slot.id, slot.starts_at, at, by)
        slot.book(referral.id, referral.department, at, by)
        await store.commit_all(referral, slot, answer=answer)
        return answer(referral)

    return await repeated(once)


async def reschedule(store: Store, load: Load, slot_id: str, by: Actor, answer: Answer[A]) -> A:
    """Move to another slot in one step: she never has two of them, or none. Raises as `book_consult`."""

    async def once() -> A:
        referral, slot, at = await load(), await store.load(Slot, slot_id), now()
        had = referral.slot_id
        referral.reschedule(slot.id, slot.starts_at, at, by)
        before = await store.load(Slot, had)
        before.release(at, by)
        slot.book(referral.id, referral.department, at, by)
        # The old slot goes first: the index allows a referral one booking at any moment.
        await store.commit_all(referral, before, slot, answer=answer)
        return answer(referral)

    return await repeated(once)


async def consult(store: Store, load: Load, opinion: str | None, by: Actor, answer: Answer[A]) -> A:
    """The consult took place: the slot is used up with it."""

    async def once() -> A:
        referral = await load()
        had = referral.slot_id
        referral.consult(opinion, now(), by)
        slot = await store.load(Slot, had)
        slot.use(now(), by)
        await store.commit_all(referral, slot, answer=answer)
        return answer(referral)

    return await repeated(once)


async def withdraw_slot(
    store: Store, load: Callable[[], Awaitable[Slot]], why: Why, by: Actor, answer: Callable[[Slot], A]
) -> A:
    """The department cannot keep a slot; whoever had booked it is in the queue again."""

    async def once() -> A:
        slot = await load()
        booked = slot.referral_id
        slot.withdraw(why, now(), by)
        if not booked:
            return await store.commit(slot, answer)
        referral = await store.load(Referral, booked)
        referral.release_consult(why, now(), by)
        await store.commit_all(slot, referral, answer=answer)
        return answer(slot)

    return await repeated(once)
