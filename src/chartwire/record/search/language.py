"""The search language of R4 (3.1.1): from the parameters of a request to a Query.

A parameter that is not known is refused where the caller asked for strictness, else ignored with a warning. A modifier
or value that its parameter cannot have is always refused: ignoring it would answer more than was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from chartwire.core.fhir_ids import store_id
from chartwire.core.limits import FHIR_PAGE_SIZE_DEFAULT, FHIR_PAGE_SIZE_MAX, FHIR_SEARCH_TERMS_MAX
from chartwire.formats.fhir.definitions import compartments, served_types
from chartwire.record.search.context import Context
from chartwire.record.search.errors import InvalidValueError, SearchError, shown
from chartwire.record.search.merging import merged
from chartwire.record.search.model import Query, Total, Warned
from chartwire.record.search.parameters import RESULT_PARAMETERS, supported
from chartwire.record.search.sorting import sorts_of
from chartwire.record.search.terms import UnknownError, UnknownModifierError, condition_of, known
from chartwire.store.fhir_search.conditions import (
    AllOf,
    AnyOf,
    Chain,
    Comparison,
    Condition,
    Has,
    Ids,
    Near,
    Rank,
    Rows,
    Search,
    Sort,
    Words,
)

_TOTALS: dict[str, Total] = {"none": "none", "estimate": "estimate", "accurate": "accurate"}
_CONTROLS = frozenset({"_count", "_sort", "_total", "_type"})


def parse(
    resource_type: str | None,
    pairs: Sequence[tuple[str, str]],
    *,
    strict: bool = False,
    context: Context | None = None,
    compartment: tuple[str, str] | None = None,
) -> Query:
    """The search that parameters ask for: of one type, or (None) of those that `_type` names, else of all.

    `compartment` is (type, FHIR id): only what is in it. Parameters of RESULT_PARAMETERS are passed over. An empty
    value counts as not given. Raises SearchError (a ValidationError): `unknown_parameter` (of modifiers always, of
    names under `strict`), `invalid_parameter`, `search_too_complex`, `search_too_costly`.
    """
    reading = _Reading(_types(resource_type, pairs), context or Context(), strict)
    for name, value in pairs:
        if name not in RESULT_PARAMETERS and value:
            reading.take(name, value)
    if compartment:
        reading.conditions.append(_compartment(reading.types, *compartment, reading.context.people))
    return reading.query()


@dataclass(slots=True)
class _Reading:
    """A search as far as it was read."""

    types: tuple[str, ...]
    context: Context
    strict: bool
    conditions: list[Condition] = field(default_factory=list)
    sorts: tuple[Sort, ...] = ()
    count: int = FHIR_PAGE_SIZE_DEFAULT
    total: Total = "none"
    pairs: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    scanning: str = ""
    """A parameter for which resources would be read through, one by one."""

    def take(self, name: str, value: str) -> None:
        """Read one parameter. Raises SearchError."""
        try:
            if name in _CONTROLS:
                self._control(name, value)
            else:
                condition = self._condition(name, value)
                self.scanning = self.scanning or (name if _reads_text(condition) else "")
                self.conditions.append(condition)
        except UnknownError as error:
            if self.strict or isinstance(error, UnknownModifierError):
                raise SearchError(name, str(error), code="unknown_parameter") from None
            self.warnings.append(Warned(shown(name), str(error)))
        except InvalidValueError as error:
            raise SearchError(name, str(error), code="invalid_parameter") from None
        else:
            self.pairs.append((name, value))
        if len(self.conditions) > FHIR_SEARCH_TERMS_MAX:
            raise SearchError(
                name, f"a search has at most {FHIR_SEARCH_TERMS_MAX} parameters", code="search_too_complex"
            )

    def query(self) -> Query:
        """The whole. Raises SearchError where nothing bounds what would be read."""
        if self.scanning and not any(one.rank < Rank.SELECTIVE for one in self.conditions):
            detail = "text is looked through only among few resources: add a patient, an id or an identifier"
            raise SearchError(self.scanning, detail, code="search_too_costly")
        search = Search(
            self.types,
            tuple(self.conditions),
            self.sorts,
            self.count,
            with_merged=any(one.rank <= Rank.IDENTIFIER for one in self.conditions),
            people=tuple(sorted(self.context.people)),
        )
        return Query(search, self.count, self.total, tuple(self.pairs), tuple(self.warnings))

    def _condition(self, name: str, value: str) -> Condition:
        if len(self.types) == 1:
            return condition_of(self.types[0], name, value, self.context)
        code = name.partition(":")[0]
        if "." in name or code == "_has":
            raise UnknownError("chains go from one type: search one type at a time")
        lacking = [kind for kind in self.types if code not in supported(kind)]
        if lacking:
            raise UnknownError(f"{lacking[0]} has no such search parameter: of several types each must have it")
        return merged([(kind, condition_of(kind, name, value, self.context)) for kind in self.types])

    def _control(self, name: str, value: str) -> None:
        match name:
            case "_sort":
                self.sorts = sorts_of(self.types, value)
            case "_count":
                self.count = _count(value)
            case "_total":
                if value not in _TOTALS:
                    raise InvalidValueError("it is none, estimate or accurate")
                self.total = _TOTALS[value]


def _reads_text(condition: Condition) -> bool:
    """Whether resources are read through, one by one, for what the condition asks."""
    match condition:
        case Words():
            return True
        case Rows():
            return condition.rank is Rank.EVERYTHING and any(
                one.operator == "contains" for way in condition.any_of for one in way
            )
        case AllOf():
            return condition.rank is Rank.EVERYTHING and any(map(_reads_text, condition.conditions))
        case AnyOf():
            return any(map(_reads_text, condition.conditions))
        case Chain() | Has():
            return any(isinstance(one, Near) or _reads_text(one) for one in condition.conditions)
    return False


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidValueError(f"a whole number from 0 to {FHIR_PAGE_SIZE_MAX}")
    return min(int(value), FHIR_PAGE_SIZE_MAX)


def _types(resource_type: str | None, pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    asked = dict.fromkeys(kind for name, value in pairs if name == "_type" for kind in value.split(","))
    if resource_type is not None:
        return (resource_type,)
    unknown = asked.keys() - set(served_types())
    if unknown:
        raise SearchError("_type", "it names resource types that are served here", code="invalid_parameter")
    return tuple(asked) or served_types()


def _compartment(types: tuple[str, ...], owner: str, fhir_id: str, people: set[UUID]) -> Condition:
    """That a resource is in a compartment (R4 2.14)."""
    place = store_id(fhir_id)
    if owner == "Patient":
        people.add(place)
    codes = compartments()[owner]
    placing = [(kind, code) for kind in types for code in codes.get(kind, ()) if code != "{def}"]
    found = dict.fromkeys((kind, key) for kind, code in placing for key in known(kind, code).under())
    value = ((Comparison("value", "=", f"{owner}/{place}"),),)
    owners = tuple(kind for kind, _ in found) if len(types) > 1 else ()
    ways: list[Condition] = []
    if found:
        ways.append(Rows("token", tuple(key for _, key in found), value, rank=Rank.REFERENCE, owners=owners))
    if owner in types:
        ways.append(Ids((place,), owner if len(types) > 1 else ""))
    return ways[0] if len(ways) == 1 else AnyOf(tuple(ways), Rank.REFERENCE if ways else Rank.EVERYTHING)
