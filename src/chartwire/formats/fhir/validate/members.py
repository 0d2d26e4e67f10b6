"""How one JSON member of an object is checked: one or many, values or objects, and what the place of use adds."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.primitives import PRIMITIVES, TEXT_CHARACTERS_MAX, Primitive
from chartwire.formats.fhir.validate.run import Check, Json, Run

ObjectCheck = Callable[[Any, Place, Run], None]
"""Checks one object: (it, its place, the run)."""
_COMPANION_ONE: Final = "an object"
_COMPANION_MANY: Final = "an array of objects and nulls"


def one_object(name: str, type_name: str, check: ObjectCheck) -> Check:
    """A member that holds one object."""

    def check_one(held: Any, _: Json, around: Place, run: Run) -> None:
        if type(held) is dict:
            check(held, (around, name, -1), run)
        else:
            _no_object(held, name, type_name, (around, name, -1), run)

    return check_one


def many_objects(name: str, type_name: str, check: ObjectCheck) -> Check:
    """A member that holds an array of objects."""

    def check_many(held: Any, _: Json, around: Place, run: Run) -> None:
        if type(held) is not list or not held:
            _no_array(held, name, (around, name, -1), run)
            return
        for index, one in enumerate(held):
            if type(one) is dict:
                check(one, (around, name, index), run)
            else:
                _no_object(one, name, type_name, (around, name, index), run)

    return check_many


def one_value(name: str, type_name: str, extra: Sequence[Check] = ()) -> Check:
    """A member that holds one value of a primitive type; `extra` checks get the place of the value itself."""
    primitive = PRIMITIVES[type_name]
    kinds, good = primitive.kinds, primitive.good

    def check_one(held: Any, _: Json, around: Place, run: Run) -> None:
        if type(held) not in kinds or not good(held):
            _tell_value(held, name, type_name, (around, name, -1), run)

    def check_more(held: Any, owner: Json, around: Place, run: Run) -> None:
        if type(held) not in kinds or not good(held):
            _tell_value(held, name, type_name, (around, name, -1), run)
            return
        for check in extra:
            check(held, owner, (around, name, -1), run)

    return check_more if extra else check_one


def many_values(name: str, type_name: str, extra: Sequence[Check] = ()) -> Check:
    """A member that holds an array of values; nulls line up with what stands in its companion `_name`."""
    primitive = PRIMITIVES[type_name]
    kinds, good = primitive.kinds, primitive.good
    companion = f"_{name}"

    def check_many(held: Any, owner: Json, around: Place, run: Run) -> None:
        if type(held) is not list or not held:
            _no_array(held, name, (around, name, -1), run)
            return
        beside = owner.get(companion)
        for index, one in enumerate(held):
            if type(one) in kinds and good(one):
                for check in extra:
                    check(one, owner, (around, name, index), run)
            elif one is not None or not _has(beside, index):
                _tell_value(one, name, type_name, (around, name, index), run)

    return check_many


def companion(name: str, check: ObjectCheck, *, many: bool) -> Check:
    """The member `_name`: id and extensions of the primitive value, or values, beside it."""
    return _companions(name, check) if many else _companion(name, check)


def _companion(name: str, check: ObjectCheck) -> Check:
    def check_one(held: Any, owner: Json, around: Place, run: Run) -> None:
        if type(held) is not dict:
            run.findings.add("companion-not-an-element", (around, f"_{name}", -1), json=_COMPANION_ONE)
        elif not _only_id(held, owner.get(name)):
            check(held, (around, name, -1), run)

    return check_one


def _companions(name: str, check: ObjectCheck) -> Check:
    def check_many(held: Any, owner: Json, around: Place, run: Run) -> None:
        if type(held) is not list or not held:
            run.findings.add("companion-not-an-element", (around, f"_{name}", -1), json=_COMPANION_MANY)
            return
        values = owner.get(name)
        values = values if type(values) is list else []
        if values and len(values) != len(held):
            run.findings.add("companion-length", (around, f"_{name}", -1))
        for index, one in enumerate(held):
            value = values[index] if index < len(values) else None
            check_item(one, value, (around, name, index), run)

    def check_item(one: Any, value: Any, place: Place, run: Run) -> None:
        if type(one) is dict:
            if not _only_id(one, value):
                check(one, place, run)
        elif one is not None:
            run.findings.add("companion-not-an-element", place, json=_COMPANION_MANY)
        elif value is None:
            run.findings.add("null-value", place, name=name)

    return check_many


def with_extra(check: ObjectCheck, extra: Sequence[Check]) -> ObjectCheck:
    """`check`, and then what the place of use adds (a binding, targets of a reference, an invariant)."""
    if not extra:
        return check

    def check_all(held: Any, place: Place, run: Run) -> None:
        check(held, place, run)
        for one in extra:
            one(held, held, place, run)

    return check_all


def _only_id(element: Json, value: Any) -> bool:
    """Whether an element has only an id, and that is enough since it has a value (ele-1)."""
    return value is not None and len(element) == 1 and type(element.get("id")) is str


def _has(held: Any, index: int) -> bool:
    return type(held) is list and index < len(held) and held[index] is not None


def _no_object(held: Any, name: str, type_name: str, place: Place, run: Run) -> None:
    if held is None:
        run.findings.add("null-value", place, name=name)
    elif type(held) is list:
        run.findings.add("array-for-one", place)
    else:
        run.findings.add("not-an-object", place, type=type_name)


def _no_array(held: Any, name: str, place: Place, run: Run) -> None:
    if held is None:
        run.findings.add("null-value", place, name=name)
    elif type(held) is list:
        run.findings.add("empty-array", place)
    else:
        run.findings.add("not-an-array", place)


def _tell_value(held: Any, name: str, type_name: str, place: Place, run: Run) -> None:
    primitive = PRIMITIVES[type_name]
    if held is None:
        run.findings.add("null-value", place, name=name)
    elif type(held) is list:
        run.findings.add("array-for-one", place)
    elif type(held) not in primitive.kinds:
        run.findings.add("not-a-value", place, type=type_name, json=_json_of(primitive))
    elif held == "":
        run.findings.add("empty-value", place)
    elif type(held) is str and len(held) > TEXT_CHARACTERS_MAX:
        run.findings.add("text-too-long", place, maximum=TEXT_CHARACTERS_MAX)
    else:
        run.findings.add("bad-form", place, type=type_name, form=primitive.form)


def _json_of(primitive: Primitive) -> str:
    return "number without quotes" if primitive.json == "number" else primitive.json
