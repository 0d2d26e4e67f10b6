"""The errors of patches, and their bound."""

from chartwire.core.errors import FaultsError

OPERATIONS_MAX = 1000


def invalid(pointer: str, rule: str) -> FaultsError:
    """The patch itself is wrong at `pointer` (into the patch)."""
    return FaultsError(
        f"the patch at `{pointer}` {rule}", code="patch_invalid", faults=[(pointer, "patch_invalid", rule)]
    )


def failed(pointer: str, rule: str, *, code: str = "patch_failed") -> FaultsError:
    """The operation at `pointer` (into the patch) does not fit the body."""
    return FaultsError(f"the operation at `{pointer}` {rule}", code=code, faults=[(pointer, code, rule)])
