"""Why a FHIR write is refused, where the status that R4 gives it is not that of the class of the error."""

from chartwire.core.errors import ConflictError, FaultsError, NotFoundError, ValidationError

GONE = "the resource was deleted: its history is kept, and a PUT brings it back"


class PreconditionError(ConflictError):
    """What stands is not what the write was about (412). `version` is the present one, 0 where nothing stands."""

    def __init__(self, message: str, version: int = 0, *, code: str = "precondition_failed") -> None:
        super().__init__(message, code=code)
        self.version = version


class MismatchError(FaultsError):
    """The body and its address, or its condition, name different resources (400)."""

    def __init__(self, *faults: tuple[str, str, str]) -> None:
        super().__init__("the body and its address name different resources", code="id_mismatch", faults=faults)


class GoneError(NotFoundError):
    """What a write is about was deleted (410)."""

    def __init__(self) -> None:
        super().__init__(GONE, code="gone")


class IdNotGivenError(ValidationError):
    """The organisation gives its resources their ids (405)."""

    def __init__(self) -> None:
        super().__init__(
            "this organisation gives its resources their ids: POST a new one", code="update_create_not_allowed"
        )
