"""The rules of an appointment that go beyond one member: its times, and where its status may go. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chartwire.api.problem import ApiError, Fault
from chartwire.api.rest.checks import Faults
from chartwire.api.rest.lenses import Json
from chartwire.core.clock import instant
from chartwire.record.localtime import zone_name
from chartwire.record.status import is_open, moves, practice_status

_LONGEST = timedelta(hours=24)
Values = dict[str, Any]


def settle_status(body: Json, values: Values, faults: Faults) -> None:
    """Judge a move of the status, and let what belongs to the old one go. `body` is {} for a new appointment.

    Raises ApiError (409 `illegal_move`) for a move that status.yaml does not have.
    """
    before = practice_status(body) if body else None
    after = values.get("status") or before or "booked"
    values["status"] = after
    if before is not None and after != before and after not in moves()[before]:
        raise illegal_move(before, f"it can become {', '.join(moves()[before]) or 'nothing else'}")
    if after != "cancelled":
        for name in ("cancelled_by", "cancel_reason"):
            if values.get(name) is not None:
                faults.add(f"/{name}", "only_when_cancelled", "is told of a cancelled appointment")
        if before == "cancelled":
            values |= {"cancelled_by": None, "cancel_reason": None}


def illegal_move(status: str, detail: str) -> ApiError:
    """The status of an appointment does not allow this."""
    fault = Fault("/status", "illegal_move", f"from {status} {detail}")
    return ApiError(
        f"the appointment is {status}: {detail}", code="illegal_move", error_class="conflict", faults=[fault]
    )


@dataclass(frozen=True, slots=True)
class Times:
    """Settles start, end, length and zone of an appointment. `body` is {} for a new one; `place_zone` that of its
    location, where one is named."""

    body: Json
    place_zone: str | None
    faults: Faults

    def settle(self, values: Values) -> None:
        """Turn the times among `values` into FHIR text, and what follows from them with it.

        A start that moves takes the end along; a length gives an end, and an end a length. Raises ApiError (409
        `illegal_move`) when the appointment is past being moved.
        """
        if not values.keys() & {"starts_at", "ends_at", "duration_minutes", "timezone"}:
            return
        zone = (values["timezone"] if "timezone" in values else zone_name(self.body)) or self.place_zone
        if zone and values.get("starts_at") is not None:
            values["timezone"] = zone
        before = self._standing("start")
        start = self._placed(values["starts_at"], zone, "/starts_at") if "starts_at" in values else before
        end = self._placed(values["ends_at"], zone, "/ends_at") if values.get("ends_at") else None
        if self.faults:
            return
        moved = self.body and start != before
        if moved and not is_open(values["status"]):
            raise illegal_move(values["status"], "its time stays")
        self._lengths(values, start, end, before)
        for name, moment in (("starts_at", start), ("ends_at", values.get("ends_at"))):
            if isinstance(moment, datetime) and name in values:
                values[name] = instant(moment) if zone else moment.isoformat(timespec="milliseconds")

    def _lengths(self, values: Values, start: datetime | None, end: datetime | None, before: datetime | None) -> None:
        minutes = values.get("duration_minutes")
        if start is None:
            return
        if end is None and minutes is not None:
            end = start + timedelta(minutes=minutes)
        elif end is None and "ends_at" not in values and "duration_minutes" not in values and before is not None:
            old_end = self._standing("end")
            end = None if old_end is None else start + (old_end - before)
        if end is None:
            return
        length = end - start
        if not timedelta() < length <= _LONGEST:
            self.faults.add("/ends_at", "not_after_start", "is after the start, by at most 24 hours")
        elif minutes is not None and length != timedelta(minutes=minutes):
            self.faults.add("/duration_minutes", "contradicts_end", "is the time from start to end, or is left out")
        values["ends_at"] = end
        if "duration_minutes" in values or self.body.get("minutesDuration") or not self.body:
            values["duration_minutes"] = max(1, round(length.total_seconds() / 60))

    def _standing(self, member: str) -> datetime | None:
        text = self.body.get(member)
        if not text or "T" not in text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _placed(self, moment: datetime | None, zone: str | None, pointer: str) -> datetime | None:
        """An instant; a clock time without offset is placed in the zone, where it stands there once."""
        if moment is None or moment.tzinfo is not None:
            return moment
        if zone is None:
            self.faults.add(pointer, "timezone_needed", "has an offset, or `timezone` says where its clock hangs")
            return None
        first, second = (moment.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            return first
        if first.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment:
            self.faults.add(pointer, "ambiguous_time", "comes twice that night: send it with its offset")
        else:
            self.faults.add(pointer, "skipped_time", "is skipped that night in this zone")
        return None
