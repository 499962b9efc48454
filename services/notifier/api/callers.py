"""Who may read what here; each route says which of these it is for."""

from typing import Annotated

from shared.http.access import Caller, Role, anyone, may

AtDesk = Annotated[Caller, may(Role.COORDINATOR, Role.CLINICIAN, Role.DATA_OFFICER)]
"""绿色通道协调员, 医院科室人员, 个人信息保护负责人: the inbox of their own desk."""
Trying = Annotated[
    None, anyone("仅供试用，生产环境关闭 / for trying things out: 404 unless the settings show it")
]
