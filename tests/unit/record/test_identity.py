"""The overlay guard: which disagreements an identifier outweighs."""

from typing import Any

import pytest

from chartwire.record.identity import folded, overlays


def person(
    family: str = "Weber", given: str = "Anna", born: str = "1980-01-02", sex: str = "female", **more: Any
) -> dict[str, Any]:
    return {"name": [{"family": family, "given": [given]}], "birthDate": born, "gender": sex, **more}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (person(family="Koch"), "a marriage"),
        (person(born="1985-07-19"), "a corrected birth date"),
        (person(family="Wéber", given="Ana"), "accents and a typing error"),
        (person(family="Weber-Koch", sex="male"), "a longer name and a corrected sex"),
        (person(family="Koch", given="Babygirl A", born="1980-01-02"), "a placeholder name"),
        (person(family="Koch", given="Eva", born="1900-01-01"), "a placeholder birth date hides that it is another"),
        ({"gender": "male"}, "nearly nothing known"),
    ],
)  # fmt: skip
def test_the_identifier_outweighs(told: dict[str, Any], reason: str) -> None:
    if reason == "a placeholder birth date hides that it is another":
        assert overlays(person(), told)
    else:
        assert not overlays(person(), told), reason


@pytest.mark.parametrize(
    "told",
    [
        person(family="Okafor", given="Chidi", born="1991-11-30", sex="male"),
        person(family="Okafor", given="Chidi"),
        person(family="Koch", born="1961-05-30"),
        person(multipleBirthInteger=2),
    ],
)
def test_another_person_under_the_same_identifier_is_seen(told: dict[str, Any]) -> None:
    assert overlays(person(multipleBirthInteger=1), told)


def test_a_newborn_gets_a_name_without_a_review() -> None:
    assert not overlays(person(given="BABY BOY", sex="male"), person(given="Jonas", sex="male"))


def test_case_and_accents_fold_away() -> None:
    assert folded(" MÜLLER-Ødegård ") == folded("müller-ødegård")
    assert folded("Müller") == "muller"
