"""Bytes to text: the declared charset, a fallback with a finding, and never a lost or invented character."""

import codecs

import pytest

from chartwire.formats.hl7v2 import encode, parse

NAMES = {
    "8859/1": ("iso8859-1", "Müller"),
    "8859/2": ("iso8859-2", "Łódź"),
    "8859/5": ("iso8859-5", "Иванов"),
    "8859/7": ("iso8859-7", "Παπάς"),
    "8859/8": ("iso8859-8", "כהן"),
    "8859/9": ("iso8859-9", "Şahin"),
    "8859/15": ("iso8859-15", "Œuf €"),
    "UNICODE UTF-8": ("utf-8", "Ωμέγα 田中 😀"),
    "UNICODE": ("utf-8", "é"),
    "UTF-8": ("utf-8", "é"),
    "utf8": ("utf-8", "é"),
    "ISO-8859-1": ("iso8859-1", "é"),
    "WINDOWS-1252": ("cp1252", "“quoted” €"),
    "GB 18030-2000": ("gb18030", "张伟"),
    "BIG-5": ("big5", "陳功蓋"),
    "KS X 1001": ("euc_kr", "김철수"),
    "ISO IR87": ("iso2022_jp_ext", "山田 太郎"),
}


def message(charset: str, name: str, codec: str) -> bytes:
    return f"MSH|^~\\&|A|B|C|D|2026||ADT|1|P|2.5||||||{charset}\rPID|1||1||{name}^X|next\r".encode(codec)


@pytest.mark.parametrize("charset", NAMES)
def test_the_charset_that_msh_18_names_is_used(charset):
    codec, name = NAMES[charset]
    document = parse(message(charset, name, codec))
    assert (document.get("PID-5.1"), document.get("PID-5.2"), document.get("PID-6")) == (name, "X", "next")
    assert document.charset == codec
    assert document.findings == []
    assert encode(document) == document.raw


def test_trail_bytes_that_look_like_delimiters_are_not_delimiters():
    name = "功"
    assert b"\\" in name.encode("big5")
    assert parse(message("BIG-5", name, "big5")).get("PID-5.1") == name


@pytest.mark.parametrize("declared", ["ASCII~ISO IR87", "~ISO IR87"])
def test_an_alternate_charset_is_taken_where_its_escape_sequences_occur(declared):
    assert parse(message(declared, "山田", "iso2022_jp")).get("PID-5.1") == "山田"
    assert parse(message(declared, "YAMADA", "ascii")).get("PID-5.1") == "YAMADA"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("declared", ["", "8859/1"])
def test_a_byte_order_mark_or_wide_form_is_believed_before_msh_18(codec, declared):
    assert parse(message(declared, "Ωμέγα", codec)).get("PID-5.1") == "Ωμέγα"


def test_the_source_charset_overrides_msh_18():
    data = message("UNICODE UTF-8", "Müller", "cp1252")
    assert parse(data, charset="CP1252").get("PID-5.1") == "Müller"
    assert parse(data, charset="CP1252").findings == []


@pytest.mark.parametrize(
    ("declared", "codec", "finding"),
    [
        ("", "utf-8", "charset_undeclared"),
        ("", "cp1252", "charset_undeclared"),
        ("ASCII", "utf-8", "charset_differs"),
        ("ASCII", "cp1252", "charset_differs"),
        ("UNICODE UTF-8", "cp1252", "charset_differs"),
        ("KLINGON", "utf-8", "charset_unknown"),
        ("UNICODE UTF-16", "utf-8", "charset_differs"),
    ],
)
def test_where_msh_18_is_silent_or_wrong_the_bytes_speak_and_a_finding_says_so(declared, codec, finding):
    document = parse(message(declared, "Müller", codec))
    assert document.get("PID-5.1") == "Müller"
    assert [(one.code, one.location) for one in document.findings] == [(finding, "MSH-18")]


def test_latin_1_with_bytes_that_only_cp1252_has_is_read_as_cp1252():
    document = parse(message("8859/1", "O’Brien", "cp1252"))
    assert document.get("PID-5.1") == "O’Brien"
    assert [one.code for one in document.findings] == ["charset_differs"]


def test_undecodable_bytes_are_kept_as_hex_escapes_with_a_finding_and_the_raw_bytes():
    data = message("UNICODE UTF-8", "Müller", "utf-8").replace(b"|next", b"|n\xff\xfext")
    document = parse(data)
    assert document.get("PID-5.1") == "Müller"
    assert document.get("PID-6") == "n\\XFFFE\\xt"
    assert document.raw == data
    assert [(one.code, one.location) for one in document.findings] == [("undecodable_bytes", "PID[1]-6")]
    assert "\ufffd" not in document.text


def test_a_byte_that_cp1252_does_not_define_is_kept_as_a_hex_escape():
    assert parse(message("CP1252", "a?b", "cp1252").replace(b"a?b", b"a\x81b")).get("PID-5.1") == "a\\X81\\b"


def test_nul_bytes_are_kept_as_hex_escapes_and_never_reach_a_value():
    document = parse(b"MSH|^~\\&|A\rPID|1||a\x00\x00b\r")
    assert document.get("PID-3") == "a\\X0000\\b"
    assert [(one.code, one.location) for one in document.findings] == [("nul", "PID[1]-3")]


def test_lone_surrogates_in_text_become_hex_escapes():
    from chartwire.formats.hl7v2 import parse_text

    assert parse_text("MSH|^~\\&|A\rPID|1||a\ud800b\udce9c\r").get("PID-3") == "a\\XEDA080\\b\\XE9\\c"


def test_a_genuine_replacement_character_of_the_sender_passes():
    assert parse(message("UNICODE UTF-8", "a\ufffdb", "utf-8")).get("PID-5.1") == "a\ufffdb"


def test_truncated_wide_text_ends_in_a_hex_escape_not_in_an_error():
    data = codecs.BOM_UTF16_LE + "MSH|^~\\&|A\rPID|1||é".encode("utf-16-le") + b"\x41"
    assert parse(data).get("PID-3") == "é\\X41\\"


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "CP1252", "BIG-5", "ISO IR87", "8859/8"])
@pytest.mark.parametrize("bad", [b"\x81", b"\xff", b"\x81 ", b"\xff|", b"\x81\xfd,"])
def test_a_flood_of_bytes_in_the_wrong_charset_loses_none_of_them(charset, bad):
    count = 15_000
    document = parse(message(charset, "X", "ascii") + b"NTE|1||" + bad * count + b"|end\r")
    text = document.all("NTE")[0].line
    kept = b""
    for part in text.split("\\"):
        kept += bytes.fromhex(part[1:]) if part[:1] == "X" else part.encode(document.charset)
    assert kept == b"NTE|1||" + bad * count + b"|end"
    assert document.all("NTE")[0].field_count == 4 + bad.count(b"|") * count
