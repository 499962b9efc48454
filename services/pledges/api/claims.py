"""Claims: a place in a team, written down by an officer, becomes the member's own."""

from services.pledges.domain.claim import MemberClaim
from services.pledges.domain.team import Member, Team
from shared import security_log
from shared.http.access import Caller
from shared.http.callers import Officer, Resident
from shared.http.change import reached
from shared.http.claiming import ClaimCode, ClaimView, brought, start
from shared.http.parameters import StoreDep
from shared.http.proofs import account_key
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.problems import Erased, NotFound
from shared.security_log import Kind
from shared.store.attempts import repeated
from shared.store.store import Store

from .teams import MemberView

router = Router(tags=["teams"])


@router.post(
    "/teams/{team_id}/members/{member_id}/claim",
    status_code=201,
    summary="发送认领码 / Let a member make it their own",
)
async def start_claim(team_id: str, member_id: str, caller: Officer, store: StoreDep) -> ClaimView:
    team = await reached(store, caller, Team, team_id)
    member = await store.load(Member, member_id)
    if member.team_id != team_id:
        raise NotFound(kind=Member.collection)
    member.check_unclaimed()
    await store.unseal(member)
    if member.phone is None:
        raise Erased()
    about = {"record_id": member.id, "person": member.person, "division": team.division}
    return await start(store, caller, MemberClaim, member.phone, **about)


@router.post("/claims/confirm", summary="输入认领码，归入本人账号 / Make it one's own with the code")
async def confirm_claim(body: ClaimCode, caller: Resident, store: StoreDep) -> MemberView:
    found = await brought(store, caller, MemberClaim, body.code)
    view = await _confirm(store, caller, found.id)
    security_log.record(Kind.CLAIMED)
    return view


@repeated()
async def _confirm(store: Store, caller: Caller, claim_id: str) -> MemberView:
    claim = await store.load(MemberClaim, claim_id)
    async with store.together(MemberView.of) as unit:
        member = await unit.load(Member, claim.record_id)
        unit.add(claim).confirm(now())
        member.claim(account_key(store.vault.blind_index, caller), claim.division)
    return unit.answer
