"""The route of challenges, for services with a route that may take a proof of work."""

from typing import Annotated, Any

from fastapi import Request

from shared.http.access import anyone
from shared.http.allowances import Allowances, Asking
from shared.http.routes import Router

router = Router(tags=["proof of work"])


@router.get("/challenge", summary="安全验证题目 / A proof of work to solve (ALTCHA, version 2)")
async def challenge(
    request: Request, _: Annotated[Asking, anyone("安全验证 / public: a puzzle that says nothing of anybody")]
) -> dict[str, Any]:
    allowances: Allowances = request.app.state.allowances
    return allowances.work.challenge()
