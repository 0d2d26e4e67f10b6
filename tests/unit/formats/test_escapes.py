"""Escape sequences: known ones mean what section 2.7 says, all others are left alone."""

import pytest

from chartwire.formats.hl7v2 import parse, parse_text

HEADER = "MSH|^~\\&|A|B|C|D|2026||ADT|1|P|2.5"


def read(raw: str, header: str = HEADER) -> str | None:
    return parse_text(f"{header}\rNTE|1||{raw}\r").get("NTE-3")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\"),
        ("Smith \\T\\ Sons", "Smith & Sons"),
        ("a\\P\\b", "a#b"),
        ("\\E\\F\\E\\", "\\F\\"),
        ("line\\.br\\next\\.BR\\third", "line\nnext\nthird"),
        ("a\\.sp\\b\\.sp2\\c", "a\nb\n\nc"),
        ("a\\.sk3\\b\\.ce\\c", "a   b\nc"),
        ("\\.in+4\\\\.ti-2\\\\.fi\\\\.nf\\text", "text"),
        ("\\H\\bold\\N\\ plain", "bold plain"),
        ("\\C2842\\abc\\M244200\\", "abc"),
        ("Mr \\M2442\\;3ED\\C2842\\ Taro", "Mr 山田 Taro"),
        ("\\M244200\\;3ED", "山田"),
        ("\\C287A\\é\\M247A00\\", "é"),
        ("\\X48\\\\X49\\", "HI"),
        ("\\X4849\\", "HI"),
        ("\\XC3\\\\XA9\\ \\XC3A9\\", "é é"),
        ("x\\X0D\\\\X0A\\y", "x\r\ny"),
    ],
)
def test_known_escapes_are_decoded(raw, expected):
    assert read(raw) == expected


@pytest.mark.parametrize(
    "raw",
    ["C:\\temp", "\\", "a\\", "\\\\", "\\Q\\", "\\Zabc\\", "\\f\\", "\\X4\\", "\\XZZ\\", "\\X\\", "\\.zz\\", "\\.br+\\",
     "\\.sp999\\", "\\C12\\", "\\C9999\\", "\\M1234\\", "50\\% off", "\\X00\\", "\\X4100\\", "\\F"],
)  # fmt: skip
def test_unknown_malformed_and_lone_escapes_stay_as_they_are(raw):
    assert read(raw) == raw


def test_a_windows_path_keeps_its_backslashes_beside_real_escapes():
    assert read("C:\\temp\\file \\T\\ more") == "C:\\temp\\file & more"


def test_escapes_are_decoded_after_splitting_so_that_no_delimiter_is_made():
    document = parse_text(f"{HEADER}\rPID|1||a\\S\\b^c\\R\\d~e\\F\\f\r")
    assert document.get("PID-3.1") == "a^b"
    assert document.get("PID-3.2") == "c~d"
    assert document.get("PID-3(2)") == "e|f"
    assert document.segments[1].field_count == 3


def test_hex_bytes_are_read_in_the_charset_of_the_message():
    in_latin_1 = parse(HEADER.encode() + b"||||||8859/1\rNTE|1||caf\\XE9\\\r")
    in_utf_8 = parse(HEADER.encode() + b"||||||UNICODE UTF-8\rNTE|1||caf\\XC3\\\\XA9\\ caf\\XE9\\\r")
    assert in_latin_1.get("NTE-3") == "café"
    assert in_utf_8.get("NTE-3") == "café caf\\XE9\\"


def test_the_truncation_character_is_the_one_that_msh_2_names():
    assert read("a\\P\\b", "MSH|^~\\&%|A") == "a%b"


def test_nothing_is_decoded_where_msh_2_names_no_escape_character():
    assert read("a\\F\\b\\.br\\", "MSH|^~|A") == "a\\F\\b\\.br\\"


def test_layout_commands_cannot_blow_up_a_value():
    raw = "\\.sp99\\" * 1000
    assert len(read(raw) or "") <= 15 * len(raw)
