"""The parameters of a statement, and the names in it."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

Kind = Literal["bigint", "bigint[]", "double precision", "integer", "text", "text[]", "timestamptz", "uuid", "uuid[]"]


class Statement:
    """Values become parameters: $1 is the credential, $2 the organisation.

    In a `planned` statement the planner sees them. In any other they come out of one row, `o`, that is made when the
    statement runs: its plan is the same whatever they are, so PostgreSQL keeps it and plans no more.
    """

    def __init__(self, credential: UUID | None, org: UUID, *, planned: bool) -> None:
        self.args: list[Any] = [credential, org]
        self.planned = planned
        self.org = "$2" if planned else "o.org"
        self._columns: list[str] = []
        self._aliases = 0

    def parameter(self, value: Any, kind: Kind) -> str:
        """The value as an SQL expression."""
        self.args.append(value)
        number = len(self.args)
        self._columns.append(f"${number}::{kind} as p{number}")
        return f"${number}::{kind}" if self.planned else f"o.p{number}"

    def alias(self) -> str:
        """A name for a table, used nowhere else in the statement."""
        self._aliases += 1
        return f"f{self._aliases}"

    def keys(self, column: str, keys: Sequence[int]) -> str:
        """That a key is one of these."""
        if len(keys) == 1:
            return f"{column} = {self.parameter(keys[0], 'bigint')}"
        return f"{column} = any({self.parameter(list(keys), 'bigint[]')})"

    def opened(self, body: str) -> str:
        """The whole statement. What stands in `body` runs after the credential was checked and the organisation bound;
        a planned one is for a transaction where that was done."""
        if self.planned:
            columns = ", ".join(["$1::uuid as credential", *self._columns])
            return f"select m.*, x.* from (select {columns}) o {body}"
        columns = ", ".join(["access_open($1, $2)::text as opened", "$2::uuid as org", *self._columns])
        return f"with o as materialized (select {columns}) select m.*, x.* from o {body}"
