"""Who may do what here, in the field's words; and which records each of them reaches."""

from typing import Annotated

from services.referrals import queries
from services.referrals.domain.reading import Grant, NoLongerRead
from services.referrals.domain.referral import Referral
from services.referrals.domain.slot import Slot
from services.referrals.patients import account_key
from shared.city.departments import Department
from shared.http.access import Caller, Role, may
from shared.model.clock import now
from shared.model.problems import NotFound
from shared.model.roles import reaches_department
from shared.store.store import Store

Patient = Annotated[Caller, may(Role.RESIDENT)]
"""患者: her own referrals."""
Coordinator = Annotated[Caller, may(Role.COORDINATOR)]
"""绿色通道协调员: the logistics of every referral."""
Clinician = Annotated[Caller, may(Role.CLINICIAN)]
"""医院科室人员: the referrals to their department."""
Staff = Annotated[Caller, may(Role.COORDINATOR, Role.CLINICIAN)]
"""Coordinators, and clinicians for their department."""
Asking = Annotated[Caller, may(Role.RESIDENT, Role.COORDINATOR)]
"""A patient, or the coordinator for one who speaks by phone."""
Erasing = Annotated[Caller, may(Role.RESIDENT, Role.COORDINATOR, fresh=True)]
"""The same, who has just signed in: it cannot be undone."""
Concerned = Annotated[Caller, may(Role.RESIDENT, Role.COORDINATOR, Role.CLINICIAN)]
"""Whoever has to do with a referral: the patient, the coordinator, the department."""
Exporting = Annotated[Caller, may(Role.RESIDENT, Role.CLINICIAN)]
"""Who may see what is clinical: the patient and the department."""
DataOfficer = Annotated[Caller, may(Role.DATA_OFFICER)]
"""个人信息保护负责人."""


def department_of(caller: Caller) -> Department:
    """The department that a clinician works in: without one nobody is a clinician."""
    assert caller.department
    return caller.department


def knows(caller: Caller, referral: Referral) -> bool:
    """Whether the caller works in the department that the referral was passed on to."""
    at_home = caller.role is Role.CLINICIAN and reaches_department(caller, referral.department)
    return at_home and referral.passed_on


def reads(caller: Caller, referral: Referral) -> bool:
    """Whether the caller's department may read it, in the state it is in."""
    return knows(caller, referral) and referral.read_by_department


async def emergency_of(store: Store, caller: Caller, referral: Referral) -> Grant:
    """The emergency in which the caller may read a record that is not theirs.

    Raises NoLongerRead (the department knows of it), NotFound.
    """
    grant = await queries.last_grant(store, referral.id, caller.id)
    if grant is not None and grant.holds(now()) and referral.emergency_possible:
        return grant
    if knows(caller, referral):
        raise NoLongerRead(state=referral.state)
    raise NotFound(kind=Referral.collection)


async def reached(store: Store, caller: Caller, referral_id: str, if_match: str | None = None) -> Referral:
    """A referral that the caller, in the role they act in, has to do with. Of others it is not told
    that there are any.

    Raises NotFound, StaleVersion.
    """
    referral = await store.find(Referral, referral_id)
    if referral is None or not _reaches(store, caller, referral):
        raise NotFound(kind=Referral.collection)
    return await store.load(Referral, referral_id, if_match=if_match) if if_match else referral


def _reaches(store: Store, caller: Caller, referral: Referral) -> bool:
    if caller.role is Role.RESIDENT:
        return referral.patient_key == account_key(store, caller)
    return caller.role is Role.COORDINATOR or knows(caller, referral)


async def reached_slot(store: Store, caller: Caller, slot_id: str, if_match: str | None = None) -> Slot:
    """A slot of a department that the caller has to do with. Raises NotFound, StaleVersion."""
    slot = await store.load(Slot, slot_id)
    if not reaches_department(caller, slot.department):
        raise NotFound(kind=Slot.collection)
    return await store.load(Slot, slot_id, if_match=if_match) if if_match else slot
