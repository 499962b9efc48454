"""Claims: a place in a team, written down by an officer, becomes the member's own."""

from fastapi import Response

from services.pledges.domain.claim import MemberClaim
from services.pledges.domain.team import Member, Team
from shared import security_log
from shared.http.claiming import ClaimCode, ClaimView, brought, start
from shared.http.parameters import StoreDep
from shared.http.proofs import account_key
from shared.http.routes import Router
from shared.http.views import tagged
from shared.model.clock import now
from shared.model.problems import Erased, NotFound
from shared.security_log import Kind
from shared.store.store import repeated

from .callers import Officer, Resident, within
from .teams import MemberView

router = Router(tags=["teams"])


@router.post(
    "/teams/{team_id}/members/{member_id}/claim",
    status_code=201,
    summary="发送认领码 / Let a member make it their own",
)
async def start_claim(
    team_id: str, member_id: str, caller: Officer, store: StoreDep, response: Response
) -> ClaimView:
    team = await store.load(Team, team_id)
    within(caller, team.division)
    member = await store.load(Member, member_id)
    if member.team_id != team_id:
        raise NotFound(kind=Member.collection)
    member.check_unclaimed()
    await store.unseal(member)
    if member.phone is None:
        raise Erased()
    about = {"record_id": member.id, "person": member.person, "division": team.division}
    return tagged(response, await start(store, caller, MemberClaim, member.phone, **about))


@router.post("/claims/confirm", summary="输入认领码，归入本人账号 / Make it one's own with the code")
async def confirm_claim(body: ClaimCode, caller: Resident, store: StoreDep, response: Response) -> MemberView:
    found = await brought(store, caller, MemberClaim, body.code)

    async def once() -> MemberView:
        claim = await store.load(MemberClaim, found.id)
        member = await store.load(Member, claim.record_id)
        claim.confirm(now())
        member.claim(account_key(store.vault.blind_index, caller), claim.division)
        await store.commit_all(member, claim, answer=MemberView.of)
        return MemberView.of(member)

    view = await repeated(once)
    security_log.record(Kind.CLAIMED)
    return tagged(response, view)
