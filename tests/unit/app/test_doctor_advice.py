"""The words of doctor: every finding has its advice, every advice its check and its page."""

import ast
from pathlib import Path
from string import Formatter

from chartwire.app import doctor
from chartwire.app.doctor.findings import ADVICE, Advice, found, told
from chartwire.app.doctor.reference import page

ROOM = Path(doctor.__file__).parent
DOCS = Path(__file__).parents[3] / "docs"


def test_every_advice_is_given_by_a_check_and_leads_to_a_page() -> None:
    code = "".join(path.read_text("utf-8") for path in ROOM.glob("*.py"))
    assert [name for name in ADVICE if f'"{name}"' not in code] == []
    assert [one.page for one in ADVICE.values() if not (DOCS / f"{one.page}.md").exists()] == []


def test_every_finding_that_a_check_names_has_the_facts_that_its_words_take() -> None:
    wrong = []
    for call in (node for path in ROOM.glob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "found":
            code, given = call.args[0], {keyword.arg for keyword in call.keywords}
            if isinstance(code, ast.Constant) and None not in given:
                wrong += [(code.value, name) for name in _taken(ADVICE[code.value]) - given]
    assert wrong == []


def _taken(advice: Advice) -> set[str]:
    texts = (advice.what, advice.why, advice.mend)
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


def test_production_asks_for_more() -> None:
    assert told(found("no_backup"), production=False).severity == "warning"
    assert told(found("no_backup"), production=True).severity == "error"
    assert told(found("intake_late", age="2 min"), production=True).severity == "warning"


def test_the_reference_page_is_made_from_the_advice() -> None:
    made = (DOCS / "reference" / "doctor.md").read_text("utf-8")
    assert made == page(), "run: python -m chartwire.app.doctor.reference > docs/reference/doctor.md"
