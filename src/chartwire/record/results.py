"""Results never go back: an older preliminary word does not undo a final one (domain-rules.md section 7). Pure."""

from datetime import datetime

from chartwire.mapping.conversion import Json, Mapped

_SETTLED = frozenset({"final", "amended", "corrected", "appended", "cancelled", "entered-in-error"})
_EARLY = frozenset({"registered", "partial", "preliminary"})


def regresses(standing: Json, told: Mapped) -> bool:
    """Whether `told` is a preliminary word about a result that is settled, reported no later than what stands."""
    if told.type not in {"DiagnosticReport", "Observation"} and "result_status" not in told.facts:
        return False
    status, issued = ("docStatus", "date") if told.type == "DocumentReference" else ("status", "issued")
    if standing.get(status) not in _SETTLED or told.body.get(status) not in _EARLY:
        return False
    reported, before = told.facts.get("reported_at"), _instant(standing.get(issued))
    return not (isinstance(reported, datetime) and before is not None and reported > before)


def _instant(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
