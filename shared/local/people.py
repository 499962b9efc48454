"""Made-up people: who the local issuer gives tokens to, for trying things out, the demo and tests."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.city.divisions import OrgUnit, org_units
from shared.model.roles import Lack, Role, known_department, known_division, lack

PATH = "/issuer"
"""Where the local issuer answers."""
_NEEDED = {
    Lack.DIVISION: "须指明区划 / needs a division: --org 柯城, or --division with its code",
    Lack.DIVISION_LEVEL: "区划级别不符 / another level of division: a county for county officers, what lies "
    "below one for community workers, the city for city officers",
    Lack.DEPARTMENT: "须指明科室 / needs a department: --department breast, or head-neck-thyroid",
}


class Person(BaseModel):
    """A made-up person: what they are, where they act, and who they are when that matters."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    org: str | None = None
    """An org unit by its id or (part of its) name: 柯城."""
    division: str | None = None
    """The division they are responsible for; None: that of the org unit."""
    department: str | None = None
    phone: str | None = None
    subject: str | None = None
    """None: one person for each role, org unit and department."""
    signed_in: Annotated[int, Field(ge=0)] = 0
    """So many seconds ago they signed in."""

    @model_validator(mode="after")
    def _has_the_role(self) -> "Person":
        """A token that lacks what its role needs would get them nowhere. Raises LookupError as `claims`."""
        if self.role is Role.CITY_OFFICER and self.org is None:
            self.org = "city"
        claims = self.claims()
        at = known_division(claims.get("division"))
        if why := lack(self.role, at, known_department(self.department)):
            raise ValueError(f"{self.role}: {_NEEDED[why]}")
        return self

    def claims(self) -> dict[str, Any]:
        """What the token says. Raises LookupError for an org unit that is none."""
        unit = org_unit(self.org) if self.org else None
        names = [self.role, unit.id if unit else None, self.department]
        claims = {
            "sub": self.subject or ".".join(name for name in names if name),
            "roles": [self.role],
            "org_unit": unit.id if unit else None,
            "division": self.division or (unit.division if unit else None),
            "department": self.department,
            "phone_number": self.phone,
            "phone_number_verified": True if self.phone else None,
        }
        return {name: value for name, value in claims.items() if value is not None}


def org_unit(named: str) -> OrgUnit:
    """An org unit by its id or part of its name. Raises LookupError."""
    found = [unit for unit in org_units() if named == unit.id or named in unit.name]
    if not found:
        known = "、".join(f"{unit.id} {unit.name}" for unit in org_units())
        raise LookupError(f"没有这个单位 / no org unit {named!r}; there are: {known}")
    return found[0]


class NoToken(RuntimeError):
    """The local issuer gave none; the message says why."""
