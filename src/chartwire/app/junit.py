"""JUnit XML, as CI servers read it: one suite, one case a message."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Case(NamedTuple):
    """One test case. It failed where there are `failures`, each a line of text."""

    classname: str
    name: str
    failures: Sequence[str]


def write_junit(suite: str, cases: Sequence[Case]) -> bytes:
    """The XML document in UTF-8. Characters that XML cannot hold become question marks."""
    failed = sum(bool(case.failures) for case in cases)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites tests="{len(cases)}" failures="{failed}" errors="0">',
        f'<testsuite name={quoteattr(suite)} tests="{len(cases)}" failures="{failed}" errors="0" skipped="0">',
    ]
    for case in cases:
        head = f"<testcase classname={quoteattr(case.classname)} name={quoteattr(case.name)}"
        if case.failures:
            first = f'<failure message={quoteattr(case.failures[0])} type="validation">'
            lines.append(f"{head}>{first}" + escape("\n".join(case.failures)) + "</failure></testcase>")
        else:
            lines.append(f"{head}/>")
    lines += ["</testsuite>", "</testsuites>", ""]
    return _NOT_XML.sub("?", "\n".join(lines)).encode()
