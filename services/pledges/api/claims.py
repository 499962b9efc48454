"""Claims: a place in a team, written down by an officer, becomes the member's own."""

from services.pledges.domain.claim import MemberClaim
from services.pledges.domain.team import Member, Team
from shared.http.callers import Officer, Resident
from shared.http.change import reached
from shared.http.claiming import ClaimCode, ClaimView, confirmed, start
from shared.http.parameters import StoreDep
from shared.http.proofs import account_key
from shared.http.routes import Router
from shared.model.problems import Erased

from .teams import MemberView, member_of

router = Router(tags=["teams"])


@router.post(
    "/teams/{team_id}/members/{member_id}/claim",
    status_code=201,
    summary="发送认领码 / Let a member make it their own",
)
async def start_claim(team_id: str, member_id: str, caller: Officer, store: StoreDep) -> ClaimView:
    team = await reached(store, caller, Team, team_id)
    member = await member_of(store, team, member_id)
    member.check_unclaimed()
    await store.unseal(member)
    if member.phone is None:
        raise Erased()
    about = {"record_id": member.id, "person": member.person, "division": team.division}
    return await start(store, caller, MemberClaim, member.phone, **about)


@router.post("/claims/confirm", summary="输入认领码，归入本人账号 / Make it one's own with the code")
async def confirm_claim(body: ClaimCode, caller: Resident, store: StoreDep) -> MemberView:
    account = account_key(store.vault.blind_index, caller)

    def claim(member: Member, found: MemberClaim) -> None:
        member.claim(account, found.division)

    return await confirmed(store, caller, MemberClaim, body.code, Member, claim, MemberView.of)
