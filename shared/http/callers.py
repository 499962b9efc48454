"""Who calls, in the field's words: a route says in its signature which of these it is for.

What a service has beside them (a signer, somebody at a desk) stands in its own `api/callers.py`.
"""

from typing import Annotated

from shared.http.access import Caller, Role, may

Resident = Annotated[Caller, may(Role.RESIDENT)]
"""居民: what belongs to her account."""
FreshResident = Annotated[Caller, may(Role.RESIDENT, fresh=True)]
"""The same, who has just signed in: for what cannot be undone."""
Worker = Annotated[Caller, may(Role.COMMUNITY_WORKER, Role.COUNTY_OFFICER, Role.CITY_OFFICER)]
"""村（社区）妇联执委 or an officer, within their division."""
Officer = Annotated[Caller, may(Role.COUNTY_OFFICER, Role.CITY_OFFICER)]
"""妇联干部: of the county in whose division it is, or of the city."""
CityOfficer = Annotated[Caller, may(Role.CITY_OFFICER)]
"""市妇联干部."""
Coordinator = Annotated[Caller, may(Role.COORDINATOR)]
"""绿色通道协调员."""
Clinician = Annotated[Caller, may(Role.CLINICIAN)]
"""医院科室人员: for their department."""
DataOfficer = Annotated[Caller, may(Role.DATA_OFFICER)]
"""个人信息保护负责人."""
