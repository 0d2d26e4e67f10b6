"""One Document to one Conversion: message maps choose the resource maps; this module runs them in order."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from importlib import resources as package_files
from typing import Final
from zoneinfo import ZoneInfo

import yaml

from chartwire.core.errors import MappingError
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import Document, Segment
from chartwire.mapping import moments
from chartwire.mapping.compile import Named, compile_let
from chartwire.mapping.context import Context
from chartwire.mapping.conversion import Conversion, Link, Mapped, Merge, PatientKey
from chartwire.mapping.groups import Frame, Structure, read_structures
from chartwire.mapping.identity import IdentityRules, read_identity
from chartwire.mapping.language import MapError, Path, Reader, suggest
from chartwire.mapping.modifiers import set_variables
from chartwire.mapping.resources import Plan, ResourceMap, compile_maker, compile_plan, read_resource_map
from chartwire.mapping.scope import Fn, Library, Scope
from chartwire.mapping.snapshots import gather, snapshots
from chartwire.mapping.tables import Tables, read_tables

_MESSAGE_KEYS: Final = (
    "map", "events", "structure", "recorded", "zone", "patient", "merge", "link", "snapshots", "let", "resources",
    "read_elsewhere",
)  # fmt: skip
_PATIENT_KEYS: Final = ("required",)


@dataclass(slots=True)
class MessageMap:
    """A compiled message map: plans in order of dependence, and what of the message they read."""

    name: str
    structure: Structure
    events: tuple[str, ...] = ()
    recorded: tuple[Path, ...] = ()
    zone: tuple[Path, ...] = ()
    patient_required: bool = True
    merge: Path | None = None
    link: str | None = None
    """`together` or `apart` for an event that speaks of two patients as they are."""
    snapshots: bool = True
    lets: list[tuple[str, list[Named]]] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    reads: dict[str, set[int]] = field(default_factory=dict)
    whole: frozenset[str] = frozenset()


class Mapper:
    """The shipped maps, compiled. Holds no state between conversions; safe to share between threads."""

    def __init__(self, maps: list[MessageMap], identity: IdentityRules, tables: Tables, version: str) -> None:
        self._by_event = {event: message_map for message_map in maps for event in message_map.events}
        self._identity = identity
        self._tables = tables
        self.version = version

    @property
    def events(self) -> tuple[str, ...]:
        """Every event that has a map, as `ADT^A01`, sorted."""
        return tuple(sorted(self._by_event))

    def supports(self, event: str) -> bool:
        """Whether `event` (MSH-9.1^MSH-9.2) has a map."""
        return event in self._by_event

    def convert(self, document: Document, source: Source, *, anonymous: bool = False) -> Conversion:
        """What the message becomes. Same document and source, same conversion.

        `anonymous`: a patient without an identifier that identifies is drawn all the same, under the key of the
        message (`MSG|authority|control id`), with a finding instead of an error: for files on a desk, never for the
        record. Bodies share constant parts with each other: read them, do not change what is inside.

        Raises MappingError: `event_unsupported` (MSH-9), `patient_identifier_missing` (PID-3),
        `merge_identifier_missing` (MRG-1), `link_needs_two_patients`, `too_many_resources`.
        """
        event = event_of(document)
        message_map = self._by_event.get(event)
        if message_map is None:
            raise MappingError("no map for this event", code="event_unsupported", field="MSH-9", rule="message maps")
        context = Context(document, source, event, self._tables)
        context.zone = _zone(document, source, message_map)
        if not anonymous:
            context.assume_type = partial(self._identity.assumed_type, source)
        root = message_map.structure.arrange(document.segments, document.delimiters.field)
        patients = self._patients(context, root, message_map, anonymous)
        merges = self._merges(context, root, message_map)
        links = self._links(context, root, message_map)
        for group, lets in message_map.lets:
            for frame in root.inside(group):
                set_variables(context, frame, lets)
        drafts = _drafts(context, root, message_map.plans)
        for plan, frame, mapped in drafts:
            plan.complete(context, frame, mapped)
        lists = snapshots(context, root, message_map.plans) if message_map.snapshots else []
        root.dissolve()
        return Conversion(
            event=event,
            control_id=context.control_id,
            recorded_at=_recorded(context, document, message_map),
            patient_keys=patients,
            resources=context.resources,
            snapshots=lists,
            merges=merges,
            links=links,
            findings=context.findings,
            unread=_unread(document.segments, message_map),
            map_version=self.version,
            contents=list(context.contents.values()),
        )

    def _patients(
        self, context: Context, root: Frame, message_map: MessageMap, anonymous: bool
    ) -> tuple[PatientKey, ...]:
        frames = root.inside("PATIENT")
        if not frames and message_map.patient_required and not anonymous:
            raise MappingError("no PID segment", code="patient_identifier_missing", field="PID-3", rule="patient")
        if not frames:
            context.find("no_patient", "PID-3", "the message names no patient", "information")
        for position, frame in enumerate(frames, 1):
            keys = self._identity.keys(context, frame.segments.get("PID"), 3)
            if not keys:
                message = "no identifier that identifies a patient by this source's rule"
                if not anonymous:
                    raise MappingError(message, code="patient_identifier_missing", field="PID-3",
                                       rule="source.identifiers")  # fmt: skip
                context.find("patient_identifier_missing", "PID-3", message)
                keys = (PatientKey(context.source.authority, "MSG", f"{context.control_id}/{position}"),)
            context.keys_of[id(frame)] = keys
        one_patient = message_map.merge is None and message_map.link is None
        if one_patient and len({context.keys_of[id(frame)] for frame in frames}) > 1:
            context.find("several_patients", "PID-3", "the message names several patients; the first is its patient")
        return context.keys_of[id(frames[0])] if frames else ()

    def _merges(self, context: Context, root: Frame, message_map: MessageMap) -> list[Merge]:
        if message_map.merge is None:
            return []
        where = message_map.merge
        found = []
        for frame in root.inside("PATIENT"):
            loser = self._identity.keys(context, frame.segments.get(where.segment), where.field)
            if not loser:
                raise MappingError("no identifier of the patient to merge", code="merge_identifier_missing",
                                   field=where.label, rule="source.identifiers")  # fmt: skip
            found.append(Merge(context.keys_of[id(frame)], loser))
        return found

    def _links(self, context: Context, root: Frame, message_map: MessageMap) -> list[Link]:
        if message_map.link is None:
            return []
        frames = root.inside("PATIENT")
        if len(frames) != 2:
            raise MappingError("a link names two patients", code="link_needs_two_patients", field="PID-3", rule="link")
        one, other = (context.keys_of[id(frame)] for frame in frames)
        return [Link(one, other, message_map.link == "apart")]


def event_of(document: Document) -> str:
    """`ADT^A01` from MSH-9.1 and 9.2."""
    header = document.first("MSH")
    if header is None:
        return "^"
    return f"{header.value(9) or ''}^{header.value(9, component=2) or ''}"


def _zone(document: Document, source: Source, message_map: MessageMap) -> ZoneInfo | None:
    name = source.timezone
    if source.facility_zones:
        zones = dict(source.facility_zones)
        for path in message_map.zone:
            place = document.get(str(path))
            if place is not None and place in zones:
                name = zones[place]
                break
    return moments.zone_named(name) if name else None


def _recorded(context: Context, document: Document, message_map: MessageMap) -> datetime | None:
    for path in message_map.recorded:
        text = document.get(str(path))
        moment = moments.aware(context, text, path.label) if text else None
        if moment is not None:
            return moment
    return None


def _drafts(context: Context, root: Frame, plans: list[Plan]) -> list[tuple[Plan, Frame, Mapped]]:
    found = []
    for plan in plans:
        if plan.gather_when is not None:
            gather(context, root, plan)
        for frame in root.inside(plan.map.group):
            mapped = plan.draft(context, frame)
            if mapped is not None:
                found.append((plan, frame, mapped))
    return found


def _unread(segments: list[Segment], message_map: MessageMap) -> list[str]:
    found: dict[str, None] = {}
    for segment in segments:
        name = segment.name
        if name in message_map.whole:
            continue
        read = message_map.reads.get(name, ())
        for number in range(1, segment.field_count + 1):
            if number not in read and segment.raw(number).strip():
                found[f"{name}-{number}"] = None
    return list(found)


@cache
def load_maps() -> Mapper:
    """The shipped maps, compiled once per process. Raises MapError when a shipped map is at fault."""
    folder = package_files.files("chartwire.mapping") / "maps"
    texts = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".yaml")}
    for part in ("resources", "messages"):
        for item in (folder / part).iterdir():
            if item.name.endswith(".yaml"):
                texts[f"{part}/{item.name}"] = item.read_text("utf-8")
    return compile_maps(texts)


def compile_maps(texts: dict[str, str]) -> Mapper:
    """A Mapper from map files by name: tables, structures, identity, fragments (all .yaml), resources/*, messages/*.

    Raises MapError.
    """
    library = Library(read_tables(texts["tables.yaml"], "tables.yaml"))
    reader = Reader(texts["fragments.yaml"], "fragments.yaml")
    library.fragments = {name: reader.rule(node) for name, node in reader.items(reader.root)}
    structures = read_structures(texts["structures.yaml"], "structures.yaml")
    maps = {}
    for name in sorted(texts):
        if name.startswith("resources/"):
            resource_map = read_resource_map(texts[name], name.removeprefix("resources/"))
            maps[resource_map.name] = resource_map
    library.makers = {name: _maker(source, library) for name, source in maps.items() if not source.group}
    messages = [
        _message_map(texts[name], name, library, structures, maps)
        for name in sorted(texts)
        if name.startswith("messages/")
    ]
    version = hashlib.sha256("\x1e".join(f"{name}\x1f{texts[name]}" for name in sorted(texts)).encode()).hexdigest()[
        :16
    ]
    return Mapper(messages, read_identity(texts["identity.yaml"], "identity.yaml"), library.tables, version)


def _maker(source: ResourceMap, library: Library) -> partial[Fn]:
    return partial(_compiled_maker, source, library)


def _compiled_maker(source: ResourceMap, library: Library, label: str) -> Fn:
    return library.once(f"{source.name} from {label}", source.mark, lambda: compile_maker(source, library, label))


def _message_map(
    text: str, file: str, library: Library, structures: dict[str, Structure], maps: dict[str, ResourceMap]
) -> MessageMap:
    reader = Reader(text, file)
    entries = dict(reader.items(reader.root, _MESSAGE_KEYS))
    structure = reader.text(entries["structure"])
    if structure not in structures:
        raise MapError(f"no structure {structure}{suggest(structure, structures)}", reader.mark(entries["structure"]))
    found = MessageMap(reader.text(entries["map"]), structures[structure], reader.texts(entries["events"]))
    for name in ("recorded", "zone"):
        if name in entries:
            setattr(found, name, tuple(reader.path(item) for item in reader.sequence(entries[name])))
    if "patient" in entries:
        found.patient_required = bool(reader.plain(entries["patient"]).get("required", True))
    if "merge" in entries:
        found.merge = reader.path(entries["merge"])
    if "link" in entries:
        found.link = reader.choice(entries["link"], ("together", "apart"))
    if "snapshots" in entries:
        found.snapshots = bool(reader.plain(entries["snapshots"]))
    variables = _message_lets(found, reader, entries["let"], library) if "let" in entries else set()
    for item in reader.sequence(entries["resources"]):
        name = reader.text(item)
        if name not in maps or not maps[name].group:
            raise MapError(f"no resource map {name}{suggest(name, maps)}", reader.mark(item))
        found.plans.append(compile_plan(maps[name], library, found.structure, found.reads, variables))
    _note_reads(found, reader.texts(entries["read_elsewhere"]) if "read_elsewhere" in entries else ())
    return found


def _message_lets(found: MessageMap, reader: Reader, node: yaml.Node, library: Library) -> set[str]:
    variables: set[str] = set()
    groups = found.structure.groups
    for name, inner in reader.items(node):
        if name not in groups:
            raise MapError(f"no group {name}{suggest(name, groups)}", reader.mark(inner))
        scope = Scope(library, found.structure, groups[name], reads=found.reads)
        found.lets.append((name, compile_let(reader.let(inner), scope)))
        variables |= scope.variables
    return variables


def _note_reads(found: MessageMap, elsewhere: tuple[str, ...]) -> None:
    """Fields that something other than a rule reads (the envelope, the record), or that say nothing (set ids)."""
    whole = set()
    for word in elsewhere:
        segment, dash, number = word.partition("-")
        if dash:
            found.reads.setdefault(segment, set()).add(int(number))
        else:
            whole.add(segment)
    found.whole = frozenset(whole)
    for path in (*found.recorded, *found.zone, *((found.merge,) if found.merge else ())):
        found.reads.setdefault(path.segment, set()).add(path.field)
    found.reads.setdefault("PID", set()).add(3)
