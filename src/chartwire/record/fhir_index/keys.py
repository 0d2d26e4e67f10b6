"""Names of parameters in eight bytes, as the index tables hold them."""

from functools import cache
from hashlib import blake2b


@cache
def key_of(resource_type: str, code: str, variant: str = "") -> int:
    """The first eight bytes, big endian and signed, of BLAKE2b over `Type.code` or `Type.code:variant`.

    Variants: `exact`, `text`, `contains`, `identifier`, `of-type`.
    """
    name = f"{resource_type}.{code}:{variant}" if variant else f"{resource_type}.{code}"
    return int.from_bytes(blake2b(name.encode()).digest()[:8], "big", signed=True)
