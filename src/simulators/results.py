"""ORU^R01: the stages of a laboratory report, preliminary, final, corrected."""

from datetime import datetime
from random import Random

from simulators import vocabulary as words
from simulators.segments import Order, Profile, Segment, clinician, segment, stamp

NEXT_STAGE = {"": "P", "P": "F", "F": "C"}


def value_of(rng: Random, analyte: words.Analyte) -> str:
    """A plausible value, as OBX-5 text without components; about one number in eight lies out of range."""
    if analyte.kind == "ST":
        return rng.choice(words.TEXT_VALUES[analyte.code])
    if analyte.kind == "CWE":
        return rng.choice(words.CODED_FINDINGS)[0]
    if analyte.kind == "TX":
        return ""
    spread = analyte.high - analyte.low
    number = rng.uniform(analyte.low - 0.08 * spread, analyte.high + 0.08 * spread)
    return f"{max(number, 0):.{analyte.decimals}f}"


def report(profile: Profile, order: Order, at: datetime, rng: Random) -> list[Segment]:
    """ORC, OBR, OBX, NTE and SPM of the order's present stage: P half of the results, F all, C the changed one."""
    placer, filler = (order.placer, profile.application), (order.filler, "LAB")
    who = clinician(profile, order.clinician)
    status = order.stage
    found = [
        segment("ORC", {1: "RE", 2: placer, 3: filler, 5: "CM" if status in "FC" else "IP", 12: who}),
        segment("OBR", {
            1: "1", 2: placer, 3: filler, 4: (*order.panel, "LN"), 7: stamp(order.collected), 16: who, 22: stamp(at),
            24: "LAB", 25: status,
        }),
    ]  # fmt: skip
    places = range(len(order.analytes))
    if status == "P":
        places = range((len(order.analytes) + 1) // 2)
    elif status == "C":
        changed = rng.randrange(len(order.analytes))
        order.values[changed] = value_of(rng, order.analytes[changed])
        places = range(changed, changed + 1)
    for place in places:
        found += _observations(order, place, len(found) - 1, at)
    if status == "F" and order.panel[0] == "24356-8":
        found.append(segment("SPM", {1: "1", 4: ("78014005", "Urine specimen", "SCT"), 17: stamp(order.collected)}))
    return found


def _observations(order: Order, place: int, set_id: int, at: datetime) -> list[Segment]:
    analyte, value = order.analytes[place], order.values[place]
    code = (analyte.code, analyte.name, "LN")
    common = {4: str(place + 1), 11: order.stage, 14: stamp(order.collected), 19: stamp(at)}
    if analyte.kind == "TX":
        return [
            segment("OBX", {1: set_id + line, 2: "TX", 3: code, 5: text, **common})
            for line, text in enumerate(words.CULTURE_LINES)
        ]
    if analyte.kind == "CWE":
        name = dict(words.CODED_FINDINGS)[value]
        return [segment("OBX", {1: set_id, 2: "CWE", 3: code, 5: (value, name, "SCT"), **common})]
    if analyte.kind == "ST":
        return [segment("OBX", {1: set_id, 2: "ST", 3: code, 5: value, **common})]
    return _number(analyte, value, {1: set_id, 3: code, **common})


def _number(analyte: words.Analyte, value: str, fields: dict[int, object]) -> list[Segment]:
    number = float(value)
    flag = "L" if number < analyte.low else "H" if number > analyte.high else "N"
    shown: dict[int, object] = fields | {
        2: analyte.kind,
        5: value if analyte.kind == "NM" else (">" if flag == "H" else "=", value),
        6: (analyte.unit, analyte.unit, "UCUM") if analyte.unit else None,
        7: f"{analyte.low:g}-{analyte.high:g}",
        8: flag,
    }
    found = [_segment("OBX", shown)]
    if flag == "H" and analyte.code == "2345-7":
        found.append(segment("NTE", {1: "1", 2: "L", 3: "Result checked twice; specimen not fasting?"}))
    return found


def _segment(name: str, values: dict[int, object]) -> Segment:
    return segment(name, {n: v if isinstance(v, tuple | list) or v is None else str(v) for n, v in values.items()})
