"""A URL read once, strictly: what is judged is what is dialled and what stands in the request line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from chartwire.trust.outcomes import RefusedError

URL_CHARS_MAX = 2048
_VISIBLE_ASCII = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_OWN_HEADERS = frozenset({
    "host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "upgrade", "te", "trailer"
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: `host` is a name or a bare IP literal, `request_target` the path with its query."""

    tls: bool
    host: str
    port: int
    request_target: str
    host_header: str


@lru_cache(maxsize=4096)
def parse_url(url: str) -> Target:
    """The target of an absolute http or https URL of visible ASCII, at most 2048 characters, without user-info.

    Raises RefusedError. A fragment is dropped; nothing is normalised, so that no two readers can differ on the host.
    """
    if len(url) > URL_CHARS_MAX or not _VISIBLE_ASCII.fullmatch(url):
        raise RefusedError("a URL is at most 2048 visible ASCII characters; percent-encode others", code="url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedError("the URL has no valid host or port", code="url") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise RefusedError("the URL must start with https:// (or http:// where plain text is allowed)", code="scheme")
    if "@" in parts.netloc:
        raise RefusedError("a URL with user name or password is not accepted", code="user_info")
    if port == 0 or not _is_host(host, bracketed="[" in parts.netloc):
        raise RefusedError("the URL has no valid host or port", code="url")
    default_port = _DEFAULT_PORTS[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    return Target(
        tls=parts.scheme == "https",
        host=host,
        port=port or default_port,
        request_target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        host_header=shown if port in (None, default_port) else f"{shown}:{port}",
    )


def request_head(target: Target, headers: Mapping[str, str], body_bytes: int) -> bytes:
    """The head of a POST. Raises RefusedError for a header that could end the head early or change the framing."""
    lines = [
        f"POST {target.request_target} HTTP/1.1",
        f"Host: {target.host_header}",
        f"Content-Length: {body_bytes}",
        "Accept-Encoding: identity",
    ]
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value) or name.lower() in _OWN_HEADERS:
            raise RefusedError("a request header is malformed or not the caller's to set", code="header")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _is_host(host: str, *, bracketed: bool) -> bool:
    if not bracketed:
        return _HOST_NAME.fullmatch(host) is not None
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
