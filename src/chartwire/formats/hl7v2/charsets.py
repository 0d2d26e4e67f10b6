"""From bytes to text: HL7 table 0211 names, byte order marks, and a fallback that loses and invents nothing."""

import codecs
import re
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

# HL7 table 0211 (v2.9.2), and the spellings that real senders write. Keys are upper case without space, _ and -.
_NAMES: Final = {
    "ASCII": "ascii", "USASCII": "ascii", "ISOIR6": "ascii", "ISO646": "ascii",
    "8859/1": "iso8859-1", "8859/2": "iso8859-2", "8859/3": "iso8859-3", "8859/4": "iso8859-4",
    "8859/5": "iso8859-5", "8859/6": "iso8859-6", "8859/7": "iso8859-7", "8859/8": "iso8859-8",
    "8859/9": "iso8859-9", "8859/10": "iso8859-10", "8859/15": "iso8859-15",
    "88591": "iso8859-1", "885915": "iso8859-15", "88592": "iso8859-2", "88599": "iso8859-9",
    "ISO88591": "iso8859-1", "ISO88592": "iso8859-2", "ISO88595": "iso8859-5", "ISO88597": "iso8859-7",
    "ISO88599": "iso8859-9", "ISO885915": "iso8859-15", "LATIN1": "iso8859-1", "ISO8859/1": "iso8859-1",
    "ISOIR100": "iso8859-1", "ISOIR101": "iso8859-2", "ISOIR144": "iso8859-5", "ISOIR126": "iso8859-7",
    "ISOIR148": "iso8859-9", "ISOIR13": "shift_jis", "ISOIR14": "iso2022_jp_ext", "ISOIR87": "iso2022_jp_ext",
    "ISOIR159": "iso2022_jp_ext", "SHIFTJIS": "shift_jis", "JIS": "iso2022_jp_ext",
    "GB18030": "gb18030", "GB180302000": "gb18030", "GBK": "gbk", "GB2312": "gb2312",
    "KSX1001": "euc_kr", "ISOIR149": "euc_kr", "BIG5": "big5",
    "UNICODE": "utf-8", "UNICODEUTF8": "utf-8", "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16-be", "UTF16": "utf-16-be", "UTF16LE": "utf-16-le", "UTF16BE": "utf-16-be",
    "UNICODEUTF32": "utf-32-be", "UTF32": "utf-32-be", "UTF32LE": "utf-32-le", "UTF32BE": "utf-32-be",
    "CP1252": "cp1252", "WINDOWS1252": "cp1252", "1252": "cp1252", "ANSI": "cp1252",
    "CP1250": "cp1250", "WINDOWS1250": "cp1250", "CP1251": "cp1251", "WINDOWS1251": "cp1251",
}  # fmt: skip
_CODECS: Final = _NAMES | {codec.upper().replace("-", "").replace("_", ""): codec for codec in _NAMES.values()}
_WIDE_START: Final = (
    (codecs.BOM_UTF8, "utf-8", 3),
    (codecs.BOM_UTF32_LE, "utf-32-le", 4),
    (codecs.BOM_UTF32_BE, "utf-32-be", 4),
    (codecs.BOM_UTF16_LE, "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16-be", 2),
    (b"M\x00\x00\x00S\x00\x00\x00H\x00\x00\x00", "utf-32-le", 0),
    (b"\x00\x00\x00M\x00\x00\x00S\x00\x00\x00H", "utf-32-be", 0),
    (b"M\x00S\x00H\x00", "utf-16-le", 0),
    (b"\x00M\x00S\x00H", "utf-16-be", 0),
    (b"F\x00H\x00S\x00", "utf-16-le", 0),
    (b"\x00F\x00H\x00S", "utf-16-be", 0),
    (b"B\x00H\x00S\x00", "utf-16-le", 0),
    (b"\x00B\x00H\x00S", "utf-16-be", 0),
)
_HEADER_BYTES_MAX: Final = 4096
WIDE: Final = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
NOT_ASCII_SUPERSETS: Final = WIDE | {"iso2022_jp_ext"}
_LONE: Final = "chartwire-lone"
ECHO: Final = "chartwire-echo"
"""Error handler for writing decoded text back: undecodable bytes return to what they were."""
_SINGLE_BYTE: Final = ("iso8859", "cp125")
UNDECODABLE_ONE_BY_ONE_MAX: Final = 10_000
_LONE_RUNS: Final = re.compile("[\udc80-\udcff]+")
_MULTIBYTE: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_C1: Final = re.compile(rb"[\x80-\x9f]")


class _Budget(threading.local):
    """How many more errors one decode may handle one by one: each costs a call, and a hostile message is all errors."""

    left = 0


_budget = _Budget()


def _to_lone_surrogates(error: UnicodeError) -> tuple[str, int]:
    """Each undecodable byte becomes U+DC00 + byte, which no decoder produces; above the budget the rest is ASCII."""
    assert isinstance(error, UnicodeDecodeError)
    _budget.left -= 1
    if _budget.left < 0:
        return error.object[error.start :].decode("ascii", "surrogateescape"), len(error.object)
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


def _from_lone_surrogates(error: UnicodeError) -> tuple[bytes | str, int]:
    """The bytes that `_to_lone_surrogates` stood for; `?` for other characters, and where characters are wide."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    if not error.encoding.startswith(("utf-16", "utf-32")) and all(
        "\udc00" <= letter <= "\udcff" for letter in letters
    ):
        return bytes(ord(letter) - 0xDC00 for letter in letters), error.end
    return "?" * len(letters), error.end


codecs.register_error(_LONE, _to_lone_surrogates)
codecs.register_error(ECHO, _from_lone_surrogates)


@dataclass(slots=True)
class Decoded:
    """`text` may hold U+DC00..U+DCFF for undecodable bytes; `notes` are finding codes about the charset itself."""

    text: str
    codec: str
    bom_bytes: int = 0
    notes: list[str] = field(default_factory=list)


def codec_of(name: str) -> str | None:
    """The Python codec of a table 0211 name (or of a codec of that table by Python's own name), None for no such."""
    key = name.strip().upper().replace(" ", "").replace("-", "").replace("_", "")
    return _CODECS.get(key)


def decode(data: bytes, override: str | None = None) -> Decoded:
    """Text of a message by, in this order: byte order mark or wide form, `override`, MSH-18, UTF-8, CP1252.

    Never raises and never writes U+FFFD. `override` is a table 0211 name or a Python codec name. Notes:
    `charset_unknown` (no codec of that name), `charset_differs` (the bytes are not of the declared charset),
    `charset_undeclared` (bytes beyond ASCII without MSH-18).
    """
    if data[:3] != b"MSH":
        for start, codec, skip in _WIDE_START:
            if data.startswith(start):
                return Decoded(_keeping(data[skip:], codec), codec, skip)
    declared = [override] if override else _declared(data)
    codec, notes = _choose(declared, data)
    if data.isascii() and codec not in NOT_ASCII_SUPERSETS:
        return Decoded(data.decode("ascii"), codec, 0, notes)
    return _decode_beyond_ascii(data, codec, bool(declared), notes)


def _declared(data: bytes) -> list[str]:
    """The names in MSH-18. The header is read as single bytes: all charsets that it can name here keep ASCII."""
    head = data[:_HEADER_BYTES_MAX].lstrip(b"\x0b\r\n \t\x00")
    line = head.partition(b"\r")[0].partition(b"\n")[0]
    mark, cut = line[3:4], line[5:6]
    fields = line.split(mark, 18) if mark else []
    if len(fields) < 18 or not fields[17]:
        return []
    names = fields[17].split(cut) if cut else [fields[17]]
    return [name.decode("ascii", "replace") for name in names if name.strip()]


def _choose(declared: list[str], data: bytes) -> tuple[str, list[str]]:
    if not declared:
        return "ascii", []
    first = codec_of(declared[0])
    if first is None:
        return "ascii", ["charset_unknown"]
    if b"\x1b" in data and "iso2022_jp_ext" in map(codec_of, declared):
        return "iso2022_jp_ext", []
    if first in WIDE:  # the header was just read as single bytes, so it cannot be wide
        return "ascii", ["charset_differs"]
    return first, []


def _decode_beyond_ascii(data: bytes, codec: str, declared: bool, notes: list[str]) -> Decoded:
    if codec == "iso8859-1" and _C1.search(data):
        codec, notes = "cp1252", [*notes, "charset_differs"]
    if codec != "ascii":
        try:
            return Decoded(data.decode(codec), codec, 0, notes)
        except UnicodeDecodeError:
            if codec != "utf-8" or _MULTIBYTE.search(data):
                return Decoded(_keeping(data, codec), codec, 0, notes)
    notes = notes or ["charset_differs" if declared else "charset_undeclared"]
    try:
        return Decoded(data.decode("utf-8"), "utf-8", 0, notes)
    except UnicodeDecodeError:
        codec = "utf-8" if _mostly_utf8(data) else "cp1252"
        return Decoded(_keeping(data, codec), codec, 0, notes)


def _mostly_utf8(data: bytes) -> bool:
    """Whether broken UTF-8 still looks like UTF-8: more well-formed pairs than bytes that are none."""
    pairs = len(_MULTIBYTE.findall(data))
    return pairs > 0 and pairs > sum(map(len, _LONE_RUNS.findall(_keeping(data, "utf-8"))))


def _keeping(data: bytes, codec: str) -> str:
    """`data` decoded, its undecodable bytes kept as U+DC00 + byte, in linear time whatever the bytes are."""
    if codec == "utf-8":
        return data.decode(codec, "surrogateescape")
    if codec.startswith(_SINGLE_BYTE):
        return codecs.charmap_decode(data, "strict", _table(codec))[0]
    _budget.left = UNDECODABLE_ONE_BY_ONE_MAX
    return data.decode(codec, _LONE)


@lru_cache(maxsize=64)
def _table(codec: str) -> str:
    """What each byte of a single-byte charset is, the undefined ones kept."""
    _budget.left = UNDECODABLE_ONE_BY_ONE_MAX
    return bytes(range(256)).decode(codec, _LONE)
