"""The retention job: terms by class, of the installation and of each organisation, and a run over all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from chartwire.app.services import operator_access
from chartwire.channels.sources import Organisation
from chartwire.core.errors import NotFoundError
from chartwire.core.terms import TERMS, in_force
from chartwire.store import legal_holds
from chartwire.store.pool import Pool
from chartwire.store.queries import q
from chartwire.store.retention import CLASSES, IN_USE, Kept, Removal, remove_months, remove_rows
from chartwire.trust.audit import AuditTrail, audit_row

Terms = dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run removed and kept; with `dry_run` what it would have."""

    dry_run: bool
    removed: list[Removal]
    kept: list[Kept]

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


async def own_terms(pool: Pool, org: UUID) -> Terms:
    """What an organisation has set. Raises NotFoundError."""
    async with pool.transaction(org) as tx:
        found = await tx.fetchval(q.retention_terms, org)
    if found is None:
        raise NotFoundError("no organisation has this id", code="unknown_organisation")
    return dict(orjson.loads(found))


async def set_own_terms(pool: Pool, org: UUID, terms: Terms) -> None:
    """Replace an organisation's own terms, and note it in its audit. Raises NotFoundError."""
    async with pool.transaction(org) as tx:
        if await tx.fetchval(q.set_retention_terms, org, orjson.dumps(terms).decode()) is None:
            raise NotFoundError("no organisation has this id", code="unknown_organisation")
    await note(pool, org, "update", "chartwire retention set", len(terms))


async def run(
    pool: Pool,
    admin_dsn: str,
    organisations: Sequence[Organisation],
    installation: Mapping[str, int],
    now: datetime,
    *,
    only: UUID | None = None,
    dry_run: bool = False,
) -> Report:
    """Remove what is due of all classes: whole months, then rows of organisations with a shorter term than the longest
    and what kept months hold besides. What legal holds cover is put out of reach first.

    With `only`, rows of that organisation and no months. Raises TransientError, and ConflictError while another run
    removes months; what went before is accounted for.
    """
    terms = {each.id: in_force(installation, await own_terms(pool, each.id)) for each in organisations}
    for org in terms:
        await legal_holds.keep(pool, org)
    work = _Work(pool, admin_dsn, terms, now, only, Report(dry_run, [], []))
    try:
        for name in CLASSES:
            await work.remove(name)
    finally:
        if not dry_run:
            await _note_all(pool, work.report)
    return work.report


@dataclass(frozen=True, slots=True)
class _Work:
    """One run: terms by organisation, and what it has done so far."""

    pool: Pool
    admin_dsn: str
    terms: Mapping[UUID, Terms]
    now: datetime
    only: UUID | None
    report: Report

    async def remove(self, name: str) -> None:
        """What is due of one class: months first, then rows."""
        months, report = CLASSES[name].months, self.report
        longest = max((own[name] for own in self.terms.values()), default=TERMS[name].days)
        if self.only is None and months:
            before = self.now - timedelta(days=longest)
            async for found in remove_months(self.admin_dsn, name, before, dry_run=report.dry_run):
                if isinstance(found, Kept):
                    report.kept.append(found)
                else:
                    report.removed.append(found)
        in_use = any(one.why == IN_USE and one.month.startswith(months) for one in report.kept)
        for org, before in self._cuts(name, longest, whole=self.only is None and not in_use).items():
            if self.only in (None, org) and (removal := await self._rows(org, name, before)).rows:
                report.removed.append(removal)

    def _cuts(self, name: str, longest: int, *, whole: bool) -> dict[UUID, datetime]:
        """Before when rows of a class go, by organisation. Where the term is the longest these are what months that
        were gone through as a `whole` left behind: what kept months hold besides, and bodies that a hold let go."""
        row, last = CLASSES[name], self.now - timedelta(days=longest)
        if row.rows is None:
            return {}
        ends = {org: self.now - timedelta(days=own[name]) for org, own in self.terms.items()}
        cuts = {org: end for org, end in ends.items() if end > last or not row.months}
        if row.months and whole:
            cuts = dict.fromkeys(ends, datetime(last.year, last.month, 1, tzinfo=last.tzinfo)) | cuts
        return cuts

    async def _rows(self, org: UUID, name: str, before: datetime) -> Removal:
        """`remove_rows`; in a dry run less what stands in months that would go, which is counted already."""
        found = await remove_rows(self.pool, org, name, before, dry_run=self.report.dry_run)
        if not self.report.dry_run or not CLASSES[name].months:
            return found
        months = CLASSES[name].months[0]
        counted = sum(one.rows for one in self.report.removed if one.org == org and one.table == months)
        left = max(0, found.rows - counted)
        return replace(found, rows=left, bytes=found.bytes * left // max(1, found.rows))


async def _note_all(pool: Pool, report: Report) -> None:
    rows: dict[UUID, int] = {}
    for removal in report.removed:
        rows[removal.org] = rows.get(removal.org, 0) + removal.rows
    for org, count in rows.items():
        await note(pool, org, "expire", "chartwire retention run", count)


async def note(pool: Pool, org: UUID, action: str, shape: str, count: int, *, patients: Collection[UUID] = ()) -> None:
    """The row of a decision of the operator's in the audit of an organisation."""
    trail = AuditTrail(pool)
    access = operator_access(org, "retention")
    await trail.write(audit_row(access, action, "retention", shape, count=count, patients=patients))
    await trail.close()
