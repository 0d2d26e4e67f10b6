"""The errors of patches, and their bounds."""

from typing import Any

from chartwire.core.errors import FaultsError
from chartwire.core.limits import FHIR_DEPTH_MAX

OPERATIONS_MAX = 1000


def invalid(pointer: str, rule: str) -> FaultsError:
    """The patch itself is wrong at `pointer` (into the patch)."""
    return FaultsError(
        f"the patch at `{pointer}` {rule}", code="patch_invalid", faults=[(pointer, "patch_invalid", rule)]
    )


def failed(pointer: str, rule: str, *, code: str = "patch_failed") -> FaultsError:
    """The operation at `pointer` (into the patch) does not fit the body."""
    return FaultsError(f"the operation at `{pointer}` {rule}", code=code, faults=[(pointer, code, rule)])


def measured(value: Any, place: str) -> int:
    """How many JSON values there are in a value, itself included. Refuses one that nests too deep to be a resource."""
    count, level = 0, [value]
    for _ in range(FHIR_DEPTH_MAX + 1):
        count += len(level)
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return count
    raise failed(place, f"would nest deeper than {FHIR_DEPTH_MAX}")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
