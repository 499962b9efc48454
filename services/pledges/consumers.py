"""What we react to: our own pledges, from which the chains follow."""

from shared.consumers.declare import Consumer
from shared.consumers.transaction import Transaction
from shared.contracts.pledges import PledgeInvalidated, PledgeSigned, PledgeWithdrawn

from .domain.chain import Chain

chains = Consumer("pledges.chains")


def _chain(event: PledgeSigned | PledgeWithdrawn | PledgeInvalidated) -> tuple[type[Chain], str]:
    return Chain, event.chain_id


@chains.on(PledgeSigned, loads=_chain)
async def lengthen_chain(event: PledgeSigned, tx: Transaction) -> None:
    """A household joined its community's chain."""
    chain = await tx.load(Chain, event.chain_id) or Chain.begun(event)
    chain.lengthen(event)
    tx.save(chain)


@chains.on(PledgeWithdrawn, loads=_chain)
async def shorten_after_withdrawal(event: PledgeWithdrawn, tx: Transaction) -> None:
    """A household left its community's chain."""
    await _shorten(event, tx)


@chains.on(PledgeInvalidated, loads=_chain)
async def shorten_after_invalidation(event: PledgeInvalidated, tx: Transaction) -> None:
    """A household was struck out of its community's chain."""
    await _shorten(event, tx)


async def _shorten(event: PledgeWithdrawn | PledgeInvalidated, tx: Transaction) -> None:
    chain = await tx.load(Chain, event.chain_id)
    if chain is None:
        raise LookupError("the chain has not begun")  # signed comes before, in the same partition
    chain.shorten(event)
    tx.save(chain)
