"""Snapshot lists (AL1, NK1, IN1, DG1) of a conversion, and OBX segments that are lines of one text."""

from uuid import UUID

from chartwire.mapping.context import Context
from chartwire.mapping.conversion import Snapshot
from chartwire.mapping.groups import Frame
from chartwire.mapping.reading import says_clear
from chartwire.mapping.resources import Plan

_DELETES = "D"
_ACTS = frozenset({"A", "U", "S", "X", _DELETES})
"""HL7 tables 0206 and 0323; X says that nothing changes."""


def gather(context: Context, root: Frame, plan: Plan) -> None:
    """Make one frame of neighbours that the plan's `gather` says belong together; the first keeps all segments."""
    test, same, name = plan.gather_when, plan.gather_same, plan.map.group
    if test is None:
        return
    for parent in {id(frame.parent): frame.parent for frame in root.inside(name)}.values():
        if parent is None:
            continue
        kept: list[Frame] = []
        marks: list[str] | None = None
        for frame in parent.children:
            here = [fn(context, frame) for fn in same] if frame.group.name == name and test(context, frame) else None
            if here is not None and here == marks:
                _join(kept[-1], frame)
                continue
            kept.append(frame)
            marks = here
        parent.children = kept


def _join(first: Frame, frame: Frame) -> None:
    for name in frame.segments:
        for segment in frame.all(name):
            first.add(segment)


def snapshots(context: Context, root: Frame, plans: list[Plan]) -> list[Snapshot]:
    """One Snapshot per list and scope. None for a list of which a member could not be keyed: it would not be full."""
    found = []
    for plan in plans:
        if not plan.map.snapshot_scope:
            continue
        scopes: dict[str, list[Frame]] = {}
        for frame in root.inside(plan.map.group):
            scope = _scope(frame, plan.map.snapshot_scope)
            if scope is not None:
                scopes.setdefault(scope, []).append(frame)
        for scope, frames in scopes.items():
            snapshot = _snapshot(context, plan, scope, frames)
            if snapshot is not None:
                found.append(snapshot)
    return found


def _scope(frame: Frame, names: tuple[str, ...]) -> str | None:
    for name in names:
        place: Frame | None = frame
        while place is not None:
            if name in place.made:
                made = place.made[name]
                return f"{made.type}/{made.body['id']}"
            place = place.parent
    return None


def _snapshot(context: Context, plan: Plan, scope: str, frames: list[Frame]) -> Snapshot | None:
    segment = frames[0].group.opens[0]
    members: dict[UUID, None] = {}
    deleted: dict[UUID, None] = {}
    unkeyed = 0
    action_mode = False
    for frame in frames:
        action = plan.action(context, frame) if plan.action else None
        action_mode = action_mode or action in _ACTS
        made = frame.made.get(plan.map.name)
        if made is not None:
            (deleted if action == _DELETES else members)[made.id] = None
        elif not says_clear(context, frame):
            unkeyed += 1
    if unkeyed:
        context.find("snapshot_incomplete", segment, "an entry has no identity; the list is not taken as full")
        return None
    mode = "action" if action_mode else "snapshot"
    return Snapshot(segment, scope, plan.map.resource, tuple(members), mode, tuple(deleted))
