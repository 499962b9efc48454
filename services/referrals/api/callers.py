"""Who may do what here, in the field's words; and which records each of them reaches."""

from typing import Annotated

from services.referrals import queries
from services.referrals.domain.reading import Grant, NoLongerRead
from services.referrals.domain.referral import Referral
from shared.city.departments import Department
from shared.http.access import Caller, Role, may
from shared.model.clock import now
from shared.model.problems import NotFound
from shared.store.store import Store

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


def department_of(caller: Caller) -> Department:
    """The department that a clinician works in: without one nobody is a clinician."""
    assert caller.department
    return caller.department


def knows(caller: Caller, referral: Referral) -> bool:
    """Whether the caller works in the department that the referral was passed on to."""
    return caller.role is Role.CLINICIAN and referral.concerns(caller)


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
