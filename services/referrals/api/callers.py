"""Who may do what here, in the field's words; and which records each of them reaches."""

from typing import Annotated

from services.referrals.domain.referral import PATIENT, Referral
from services.referrals.domain.slot import Slot
from services.referrals.patients import keys_of
from shared.access import Caller, Forbidden, Role, may
from shared.contracts.referrals import Department
from shared.problems import NotFound
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
    """The department a clinician works in. Raises Forbidden for one that the channel does not lead to."""
    try:
        return Department(caller.department or "")
    except ValueError:
        raise Forbidden("不属于绿色通道的科室 / not a department of the channel") from None


def within(caller: Caller, department: Department) -> Department:
    """A department that the caller wants to act in. Raises Forbidden for another one than theirs."""
    if Role.COORDINATOR not in caller.roles and department_of(caller) is not department:
        raise Forbidden(department=department)
    return department


def is_own(store: Store, caller: Caller, referral: Referral) -> bool:
    """Whether the caller is the patient."""
    return Role.RESIDENT in caller.roles and referral.patient_key in keys_of(store, caller)


def treats(caller: Caller, referral: Referral) -> bool:
    """Whether the caller works in the department that the patient is referred to."""
    return Role.CLINICIAN in caller.roles and caller.department == referral.department


async def reached(
    store: Store, caller: Caller, role_in: frozenset[Role], referral_id: str, if_match: str | None = None
) -> Referral:
    """A referral that the caller has to do with, in one of some roles. Whether there are others is not told.

    Raises NotFound, StaleVersion.
    """
    referral = await store.find(Referral, referral_id)
    if referral is None or not _reaches(store, caller, role_in, referral):
        raise NotFound(kind=Referral.collection)
    return await store.load(Referral, referral_id, if_match=if_match) if if_match else referral


def _reaches(store: Store, caller: Caller, role_in: frozenset[Role], referral: Referral) -> bool:
    return (
        (Role.RESIDENT in role_in and is_own(store, caller, referral))
        or (Role.CLINICIAN in role_in and treats(caller, referral))
        or (Role.COORDINATOR in role_in and Role.COORDINATOR in caller.roles)
    )


async def reached_slot(store: Store, caller: Caller, slot_id: str, if_match: str | None = None) -> Slot:
    """A slot of the caller's department. Raises NotFound, StaleVersion."""
    slot = await store.load(Slot, slot_id)
    if Role.COORDINATOR not in caller.roles and caller.department != slot.department:
        raise NotFound(kind=Slot.collection)
    return await store.load(Slot, slot_id, if_match=if_match) if if_match else slot


def actor(store: Store, caller: Caller, referral: Referral) -> str:
    """Who acts, as the history says it: a patient's own id is personal and is not written there."""
    return PATIENT if is_own(store, caller, referral) else caller.id
