"""How an organisation wants to be written to through FHIR: its settings, read once in a while."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """`update_creates`: whether a client may choose the id of a new resource (PUT). `strict_references`: whether a
    reference to what is not there is refused. `deletes_max`: how many resources one conditional delete may delete."""

    update_creates: bool = True
    strict_references: bool = False
    deletes_max: int = 1
