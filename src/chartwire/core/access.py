"""Who asks, for which organisation, and why: a mandatory argument of every record and search call."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Access:
    """One actor's permission to act in one organisation, made by a door and passed down unchanged.

    `actor` names a credential or process (`key:<id>`, `worker:<name>`, `feed:<source>`), `purpose` is a v3
    PurposeOfUse code (`TREAT`, `HOPERAT`), `scopes` what the credential allows (`*` is everything),
    `filter` narrows what may be seen, by resource type; empty means no narrowing.
    """

    org: UUID
    actor: str
    purpose: str
    scopes: frozenset[str]
    filter: tuple[str, ...] = ()
    request_id: str = ""
    credential_id: UUID | None = field(default=None)

    def allows(self, scope: str) -> bool:
        """Whether a scope such as `patients.read` is granted, by itself or by `*`."""
        return "*" in self.scopes or scope in self.scopes
