"""Who may read what here; each route says which of these it is for."""

from typing import Annotated

from shared.http.access import Caller, Role, anyone, may

Resident = Annotated[Caller, may(Role.RESIDENT)]
"""居民: her own inboxes."""
Officer = Annotated[Caller, may(Role.COUNTY_OFFICER, Role.CITY_OFFICER)]
"""妇联干部: the inbox of a county's officers, within their division."""
AtDesk = Annotated[Caller, may(Role.COORDINATOR, Role.CLINICIAN, Role.DATA_OFFICER)]
"""绿色通道协调员, 医院科室人员, 个人信息保护负责人: the inbox of their own desk."""
Trying = Annotated[
    None, anyone("仅供试用，生产环境关闭 / for trying things out: 404 unless the settings show it")
]
