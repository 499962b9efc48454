"""Workers are killed at every step from a request to its effects; then everything must still add up."""

from town import Town, Worker


async def killed_at(town: Town, fault: str) -> Worker:
    """A worker that killed itself at the fault under load, and runs again."""
    worker = town.worker(fault)
    await town.serving(worker)
