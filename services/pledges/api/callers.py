"""Who may do what here, in the field's words; each route says which of these it is for."""

from typing import Annotated

from shared.access import Caller, Forbidden, Role, anyone, may, reaches
from shared.divisions import CITY
from shared.problems import NotFound

CityOfficer = Annotated[Caller, may(Role.CITY_OFFICER)]
"""市妇联干部."""
Officer = Annotated[Caller, may(Role.COUNTY_OFFICER, Role.CITY_OFFICER)]
"""妇联干部: of the county in whose division it is, or of the city."""
Worker = Annotated[Caller, may(Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CITY_OFFICER)]
"""村（社区）妇联执委 or an officer, within their division."""
Anyone = Annotated[None, anyone("公开信息 / public: names masked, community level at most")]
Signer = Annotated[None, anyone("签署人 / the signer: whoever holds the pledge's id, code, phone or token")]


def within(caller: Caller, division: str) -> str:
    """A division that the caller wants to act in. Raises Forbidden when it is not theirs."""
    if not reaches(caller, division):
        raise Forbidden(division=division)
    return division


def known(caller: Caller, division: str | None, kind: str) -> None:
    """A record whose existence only those responsible may know. Raises NotFound for all others."""
    if not reaches(caller, division or CITY):
        raise NotFound(kind=kind)


def responsible_for(caller: Caller) -> str:
    """The division that an officer answers for. Raises Forbidden for one who answers for none."""
    if caller.division is None:
        raise Forbidden()
    return caller.division
