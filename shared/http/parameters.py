"""What routes ask for in their signatures, beside who calls."""

from typing import Annotated

from fastapi import Depends, Header, Request

from shared.store.store import Store


async def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


StoreDep = Annotated[Store, Depends(_store)]
"""`store: StoreDep` in a route."""
IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r"^[ -~]{0,200}$")]
"""`if_match: IfMatch` in a route that changes one document."""
