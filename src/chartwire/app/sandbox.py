"""The sandbox: two organisations with a feed each, API keys, a webhook endpoint, and a clinic's morning as sample data.

Everything goes the real way: the sample data are HL7 v2 messages through the listeners. A second start with the same
data directory finds everything and adds nothing.
"""

import asyncio
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import NAME, read_sandbox, write_private, write_sandbox
from chartwire.app.services import Services, base_url_of, master_key, operator_access, reachable, services
from chartwire.channels.sources import create_organisation, create_source, ensure_installation, list_sources
from chartwire.core.clock import monotonic
from chartwire.core.errors import AuthError, NotFoundError, TransientError
from chartwire.core.ids import source_key_id
from chartwire.core.source import IdentifierRule, Source
from chartwire.delivery import destinations
from chartwire.delivery.signature import new_secret
from chartwire.formats.hl7v2 import message
from chartwire.store.queries import q
from chartwire.trust.credentials import Credentials
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer
from simulators.feed import Feed
from simulators.hospital import Hospital
from simulators.segments import Profile, header, segment

SECOND_LISTENER = "second"
SAMPLE_MRN = "SAMPLE-1001"
_SAMPLES_TIMEOUT_S = 60.0
_SETTLE_TIMEOUT_S = 20.0
_ANY_PATIENT_NUMBER = (IdentifierRule("*", "MR"), IdentifierRule("*", "PI"))


@dataclass(frozen=True, slots=True)
class Clinic:
    """One organisation of the sandbox. Its ids follow from `slug`, so that every start finds the same."""

    slug: str
    name: str
    listener: str
    application: str
    facility: str
    timezone: str
    sample_messages: int

    @property
    def org(self) -> UUID:
        return source_key_id("Organisation", f"sandbox|{self.slug}")

    @property
    def source(self) -> Source:
        return Source(
            self.org,
            source_key_id("Source", f"sandbox|{self.slug}"),
            f"{self.slug}-feed",
            self.facility,
            timezone=self.timezone,
            identifiers=_ANY_PATIENT_NUMBER,
            live=False,
        )


CLINICS = (
    Clinic("harbor", "Harbor Family Clinic", "plain", "HARBOR", "PORTALDER", "America/Los_Angeles", 90),
    Clinic("lakeside", "Lakeside Pediatrics", SECOND_LISTENER, "LAKE", "LAKESIDE", "America/New_York", 30),
)


class Sandbox:
    """What `up --sandbox` adds. `settings` and `ports` are those that the children got."""

    def __init__(self, settings: Settings, ports: dict[str, int], tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._sink_port = ports["sink"]
        self._mllp_ports = {"plain": settings.mllp_port, SECOND_LISTENER: ports[SECOND_LISTENER]}
        self._keys: dict[str, str] = {}
        self._sample = settings.data_dir / "samples" / "adt_a04.hl7"

    @staticmethod
    def known_sink_port(data_dir: Path) -> int:
        """The port of the sink in the run before, 0 when there was none: its endpoint stays valid on the same port."""
        try:
            return urlsplit(read_sandbox(data_dir)["webhook_sink_url"]).port or 0
        except (NotFoundError, KeyError, TypeError, ValueError):
            return 0

    def sink_extras(self) -> dict[str, Any]:
        """What the sink's process is told."""
        return {"port": self._sink_port, "secret": self._webhook_secret()}

    async def configure(self) -> None:
        """Organisations, sources, keys and endpoints, as far as they are not there yet."""
        async with services(self._settings, size=2) as shared:
            await ensure_installation(shared.pool)
            for clinic in CLINICS:
                await create_organisation(shared.pool, clinic.name, "sandbox", org=clinic.org)
                known = await list_sources(shared.pool, clinic.org)
                if all(source.id != clinic.source.id for source in known):
                    await create_source(shared.pool, clinic.source, clinic.listener)
                self._keys[clinic.slug] = await self._key(shared, clinic)
                await self._endpoint(shared, clinic)

    async def fill(self) -> None:
        """Send the sample data and wait until they are in the record; nothing when there are messages already."""
        async with services(self._settings, size=2) as shared:
            empty = [clinic for clinic in CLINICS if not await _has_messages(shared, clinic.org)]
            if empty:
                self._tell("filling the sandbox with a clinic's morning")
                for clinic in empty:
                    await self._send_samples(clinic)
                await _settled(shared)
        self._write_sample_file()

    def write(self) -> None:
        """Write sandbox.json: everything answers now."""
        write_sandbox(self._settings.data_dir, self.content())

    def content(self) -> dict[str, Any]:
        """What sandbox.json holds; null for what is not built yet."""
        first, second = CLINICS
        return {
            "base_url": self.base_url,
            "mllp_port": self._settings.mllp_port,
            "org_id": str(first.org),
            "api_key": self._keys[first.slug],
            "oauth": None,
            "console": None,
            "second_org": {"org_id": str(second.org), "api_key": self._keys[second.slug]},
            "sources": [self._source_entry(clinic) for clinic in CLINICS],
            "webhook_sink_url": self.sink_url,
            "simulators": {},
        }

    @property
    def base_url(self) -> str:
        """Where the HTTP API answers."""
        return base_url_of(self._settings)

    @property
    def sink_url(self) -> str:
        """Where the sandbox's webhooks go, and where a person can see them."""
        return f"http://127.0.0.1:{self._sink_port}/"

    def banner(self) -> str:
        """What the person at the terminal needs: addresses, the key, and commands that work."""
        first, second = CLINICS
        command = "chartwire" if shutil.which("chartwire") else _shown(Path(sys.executable).with_name("chartwire"))
        port, key = self._settings.mllp_port, self._keys[first.slug]
        where = _shown(self._settings.data_dir)
        option = "" if where == ".chartwire" else f" --data-dir {where}"
        return f"""
Chartwire is up. Ctrl-C stops everything; data stay in {where}.

  HTTP API    {self.base_url}/  (docs at /docs, health at /health/ready, metrics at /metrics)
  HL7 v2      127.0.0.1:{port} -> {first.name}, 127.0.0.1:{self._mllp_ports[SECOND_LISTENER]} -> {second.name}
  Webhooks    {self.sink_url}  shows what was sent, checks signatures step by step, misbehaves on request
  API key     {key}
  All of it   {where}/{NAME}   (the web console and its login come with a later release)

Try it in another terminal:

  {command} hl7 send {_shown(self._sample)} --port {port}
  curl -H 'Authorization: Bearer {key}' '{self.base_url}/api/v1/patients?mrn={SAMPLE_MRN}'
  {command} sandbox feed --rate 5{option}
"""

    def _source_entry(self, clinic: Clinic) -> dict[str, Any]:
        return {
            "org_id": str(clinic.org),
            "name": clinic.source.name,
            "mllp_port": self._mllp_ports[clinic.listener],
            "sending_application": clinic.application,
            "sending_facility": clinic.facility,
            "timezone": clinic.timezone,
        }

    async def _key(self, shared: Services, clinic: Clinic) -> str:
        """The key of the run before while it is valid, else a new one."""
        credentials = Credentials(shared.pool)
        token = _known_key(self._settings.data_dir, clinic)
        try:
            if token and (await credentials.authenticate(token)).org == clinic.org:
                return token
        except AuthError:
            pass
        access = operator_access(clinic.org, "sandbox")
        return (await credentials.create(access, name="sandbox", scopes=["*"])).token

    async def _endpoint(self, shared: Services, clinic: Clinic) -> None:
        access = operator_access(clinic.org, "sandbox")
        async with shared.pool.transaction(clinic.org) as tx:
            known = [one for one in await destinations.list_all(tx, access) if one.name == "sandbox sink"]
            for endpoint in known:
                if endpoint.url != self.sink_url and endpoint.state == "enabled":
                    await destinations.disable(tx, access, endpoint.id, "moved")
        if any(endpoint.url == self.sink_url and endpoint.state == "enabled" for endpoint in known):
            return
        door = Outbound()
        try:
            draft = destinations.Draft("sandbox sink", self.sink_url)
            sealer = Sealer(master_key(self._settings))
            await destinations.create(shared.pool, access, door, sealer, draft, secret=self._webhook_secret())
        finally:
            await door.close()

    async def _send_samples(self, clinic: Clinic) -> None:
        profile = Profile(clinic.application, clinic.facility, clinic.facility)
        morning = datetime.now(ZoneInfo(clinic.timezone)) - timedelta(hours=3)
        hospital = Hospital(profile, seed=9000, start=morning, step_s=10_800 / clinic.sample_messages, known=6)
        feed = Feed(reachable(self._settings.mllp_host), self._mllp_ports[clinic.listener], rate=0)
        try:
            async with asyncio.timeout(_SAMPLES_TIMEOUT_S):
                await feed.run(hospital.messages(), count=clinic.sample_messages)
        except TimeoutError:
            raise TransientError(
                f"the sample messages for {clinic.name} were not all acknowledged: see {self._settings.data_dir}/logs",
                code="sandbox_not_filled",
            ) from None

    def _webhook_secret(self) -> str:
        path = self._settings.data_dir / "webhook-secret"
        if not path.exists():
            write_private(path, new_secret())
        return path.read_text(encoding="utf-8").strip()

    def _write_sample_file(self) -> None:
        self._sample.parent.mkdir(exist_ok=True)
        if not self._sample.exists():
            self._sample.write_bytes(sample_message(datetime.now(ZoneInfo(CLINICS[0].timezone))))


def sample_message(at: datetime) -> bytes:
    """An ADT^A04 of a made-up patient whose number is SAMPLE_MRN."""
    stamp, place = at.strftime("%Y%m%d%H%M%S%z"), CLINICS[0].facility
    patient = {
        1: "1",
        3: (SAMPLE_MRN, None, None, place, "MR"),
        5: ("Rivers", "Nadia", "Inés", None, None, None, "L"),
        7: "19840512",
        8: "F",
        11: ("12 Ferry Road", None, "Port Alder", "WA", "98001", "USA", "H"),
        13: [("(206) 555-0142", "PRN", "PH"), (None, "NET", "Internet", "nadia.rivers@example.org")],
    }
    clinician = ("D1001", "Marchetti", "Livia", None, None, "Dr", None, None, place, None, None, None, "EI")
    return message(
        [
            header(Profile(CLINICS[0].application, place, place), "ADT^A04", "SAMPLE1", at),
            segment("EVN", {1: "A04", 2: stamp}),
            segment("PID", patient),
            segment("PV1", {1: "1", 2: "O", 3: ("CLINIC", "EX1", None, place), 7: clinician}),
        ]
    )


def _known_key(data_dir: Path, clinic: Clinic) -> str:
    try:
        known = read_sandbox(data_dir)
        found = known if clinic is CLINICS[0] else known["second_org"]
        return str(found["api_key"])
    except (NotFoundError, KeyError, TypeError):
        return ""


async def _has_messages(shared: Services, org: UUID) -> bool:
    async with shared.pool.transaction(org) as tx:
        return bool(await tx.fetchval(q.observe_has_messages))


async def _settled(shared: Services) -> None:
    """Wait until no intake lane has work that is due, at most twenty seconds."""
    until = monotonic() + _SETTLE_TIMEOUT_S
    while monotonic() < until:
        async with shared.engine_pool.connection() as connection:
            rows = await connection.fetch(q.observe_lanes)
        if not any(row["ready"] for row in rows if row["kind"] == "intake"):
            return
        await asyncio.sleep(0.1)


def _shown(path: Path) -> str:
    """A path as short as a person would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
