"""Photos of check-ins."""

from datetime import date

from fastapi import Request, Response

from services.pledges.domain.checkin import CheckIn, check_in_id
from services.pledges.domain.photo import Photo
from shared.http.parameters import StoreDep
from shared.http.pictures.receiving import TAKES_A_PICTURE, received_picture
from shared.http.pictures.showing import SHOWS_A_PICTURE, shown_picture
from shared.http.routes import Router
from shared.model.problems import AlreadyExists, NotFound

from .callers import Holder, Proven, held_pledge

router = Router(prefix="/signings/{pledge_id}/check-ins/{day}/photo", tags=["check-ins"])


@router.put("", status_code=204, summary="上传打卡照片 / Put the photo of a check-in", **TAKES_A_PICTURE)
async def put_photo(
    pledge_id: str, day: date, request: Request, _: Holder, proof: Proven, store: StoreDep
) -> None:
    pledge = await held_pledge(store, proof, pledge_id)
    check_in = await store.load(CheckIn, check_in_id(pledge_id, day))
    jpeg = await received_picture(request)
    try:
        await store.commit(Photo.of(check_in, pledge.signer, jpeg))
    except AlreadyExists:
        await store.change(Photo, check_in.id, lambda photo: photo.replace(jpeg))


@router.get(
    "",
    summary="查看打卡照片 / The photo of a check-in",
    response_class=Response,
    responses=SHOWS_A_PICTURE,
)
async def get_photo(
    pledge_id: str, day: date, request: Request, _: Holder, proof: Proven, store: StoreDep
) -> Response:
    await held_pledge(store, proof, pledge_id)
    photo = await store.load(Photo, check_in_id(pledge_id, day))
    await store.unseal(photo)
    if photo.jpeg is None:
        raise NotFound(kind="photos")
    return shown_picture(request, photo.jpeg, photo.etag)
