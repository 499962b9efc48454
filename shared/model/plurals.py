"""English has two forms of a noun that is counted."""


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 day`, `1000 days`. `many`: where it is not `one` with an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"
