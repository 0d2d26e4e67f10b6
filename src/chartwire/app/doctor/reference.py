"""`python -m chartwire.app.doctor.reference`: docs/reference/doctor.md, made from advice.yaml."""

from chartwire.app.doctor.findings import ADVICE, SECTIONS, Advice

_HEAD = """# What doctor finds

Made from `src/chartwire/app/doctor/advice.yaml` by `python -m chartwire.app.doctor.reference`; do not edit.
[How to read it](../how-to/read-the-doctor.md). A second severity is that of `chartwire doctor --production`.
"""
_RULE = "|---|---|---|---|---|"


def page() -> str:
    """The page as Markdown."""
    lines = [_HEAD]
    for section in SECTIONS:
        lines += [f"## {section}", "", "| finding | severity | what | why it matters | how to mend it |", _RULE]
        lines += [_row(code, one) for code, one in ADVICE.items() if one.section == section]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _row(code: str, one: Advice) -> str:
    severity = f"{one.severity}, {one.production}" if one.production else one.severity
    page_name = one.page.partition("/")[2].replace("-", " ")
    cells = f"`{code}`", severity, one.what, one.why, f"{one.mend} ([{page_name}](../{one.page}.md))"
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    print(page(), end="")
