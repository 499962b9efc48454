"""Claims: a referral that was asked for by phone becomes the patient's own."""

from services.referrals.domain.claim import PatientClaim
from services.referrals.domain.referral import Referral
from services.referrals.patients import account_key
from shared.http.callers import Coordinator, Resident
from shared.http.claiming import ClaimCode, ClaimView, confirmed, start
from shared.http.parameters import StoreDep
from shared.http.proofs import account_key as known_as
from shared.http.routes import Router
from shared.model.clock import now
from shared.model.problems import Erased

from .views import StepView

router = Router(tags=["claims"])


@router.post(
    "/referrals/{referral_id}/claim", status_code=201, summary="发送认领码 / Let her make it her own"
)
async def start_claim(referral_id: str, caller: Coordinator, store: StoreDep) -> ClaimView:
    referral = await store.load(Referral, referral_id)
    referral.check_unclaimed()
    await store.unseal(referral)
    if referral.phone is None:
        raise Erased()
    about = {"record_id": referral.id, "person": referral.patient, "division": referral.division}
    return await start(store, caller, PatientClaim, referral.phone, **about)


@router.post("/claims/confirm", summary="输入认领码，归入本人账号 / Make it one's own with the code")
async def confirm_claim(body: ClaimCode, caller: Resident, store: StoreDep) -> StepView:
    hers, known = account_key(store, caller), known_as(store.vault.blind_index, caller)

    def claim(referral: Referral, _: PatientClaim) -> None:
        referral.claim(hers, known, now())

    return await confirmed(store, caller, PatientClaim, body.code, Referral, claim, StepView.of)
