"""What becomes of a message at the door, and how it is answered: the contract and the source's strictness together.

One piece for the listener, which acts on it, and for the test harness, which only tells.
"""

from datetime import datetime
from uuid import UUID

from chartwire.channels.harness import Preview
from chartwire.channels.strictness import refusal, table_0357
from chartwire.core.source import Source
from chartwire.formats.hl7v2 import Envelope, Fault, read_envelope
from chartwire.mllp.contract import Verdict, answer, judge, plan


def verdict_on(envelope: Envelope, body: bytes, source: Source, mapped: frozenset[str]) -> Verdict:
    """What a source makes of a message, its strictness included. `mapped` are the events that have a map."""
    verdict = judge(envelope, source, mapped)
    if not source.refuses or verdict.state != "received":
        return verdict
    issue = refusal(body, source)
    if issue is None:
        return verdict
    return Verdict("dead", "AE", Fault(table_0357(issue.rule), issue.text, issue.location), issue.rule)


def preview(body: bytes, source: Source, mapped: frozenset[str], at: datetime) -> Preview:
    """The answer that a listener would give to a message of this source after its commit. Nothing is stored."""
    envelope = read_envelope(body, charset=source.charset)
    if envelope.is_ack:
        return Preview("ignored", None, "", "", "an answer itself, which is counted and never answered", "")
    verdict = verdict_on(envelope, body, source, mapped)
    planned = plan(envelope, source, verdict)
    fault = verdict.fault
    ack = answer(envelope, planned.code, UUID(int=0), at, fault).decode(envelope.charset, "replace")
    code, location, text = (fault.code, fault.location, fault.text) if fault else ("", "", "")
    sent = planned.send or planned.application
    return Preview(verdict.state, planned.code if sent else None, code, location, text, ack if sent else "")
