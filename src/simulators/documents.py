"""Letters: a PDF of one page, and the segments that carry it in MDM and ORU messages."""

from base64 import b64encode
from datetime import datetime

from simulators.segments import Person, Profile, Segment, clinician, segment, stamp

_FONTS = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
_LETTER = ("18842-5", "Discharge summary", "LN")


def pdf(lines: list[str]) -> bytes:
    """A page of text, as a PDF 1.4 file that readers open."""
    shown = " ".join(f"({line.translate(_ESCAPES)}) Tj T*" for line in lines)
    stream = f"BT /F1 11 Tf 14 TL 60 780 Td {shown} ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources %s >>" % _FONTS,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return bytes(out) + b"xref\n0 5\n0000000000 65535 f \n" + table + end


_ESCAPES = str.maketrans({"(": r"\(", ")": r"\)", "\\": r"\\"})


def embedded(data: bytes, code: tuple[str, str, str], set_id: int) -> Segment:
    """An OBX of type ED with a PDF in base 64."""
    value = (None, "AP", "PDF", "Base64", b64encode(data).decode("ascii"))
    return segment("OBX", {1: set_id, 2: "ED", 3: code, 5: value, 11: "F"})


def letter(profile: Profile, person: Person, number: str, at: datetime) -> list[Segment]:
    """TXA and OBX of a discharge summary."""
    lines = [f"Discharge summary {number}", f"{person.given} {person.family}", f"{at:%Y-%m-%d %H:%M}", "Seen and well."]
    who = clinician(profile, person.clinician)
    txa = segment("TXA", {
        1: "1", 2: "DS", 3: "AP", 6: stamp(at), 9: who, 10: who, 12: (number, profile.application), 17: "AU", 19: "AV",
        25: "Discharge summary",
    })  # fmt: skip
    return [txa, embedded(pdf(lines), _LETTER, 1)]
