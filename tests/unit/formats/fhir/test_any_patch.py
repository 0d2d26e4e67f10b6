"""Patches of any shape over resources of any shape: a new body, or a FaultsError that names the operation."""

import contextlib
from copy import deepcopy

from hypothesis import example, given
from hypothesis import strategies as st

from chartwire.core.errors import FaultsError
from chartwire.formats.fhir.patching import fhirpath_patch, json_patch, merge_patch

NAMES = st.sampled_from(
    ["name", "given", "_given", "family", "valueString", "extension", "id", "-", "0", "1", "", "a/b~"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=4)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4).map(lambda members: {"resourceType": "Patient", **members})
POINTERS = st.lists(NAMES.map(lambda name: name.replace("~", "~0").replace("/", "~1")), max_size=4).map(
    lambda tokens: "".join(f"/{token}" for token in tokens)
)
OPERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | VALUES,
        "path": POINTERS | VALUES,
        "from": POINTERS | VALUES,
        "value": VALUES,
    },
)
PATHS = st.lists(
    st.sampled_from(
        ["name", "given[0]", "family", "where(use = 'x')", "first()", "extension('u')", "value", "(", "[9]"]
    ),
    min_size=1,
    max_size=3,
).map(lambda steps: ".".join(["Patient", *steps]))
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["type", "path", "name", "value", "index", "source", "destination"]) | VALUES,
        "valueCode": st.sampled_from(["add", "insert", "delete", "replace", "move"]) | VALUES,
        "valueString": PATHS | VALUES,
        "valueInteger": VALUES | st.integers(-1, 3),
        "part": VALUES,
        "resource": VALUES,
    },
)
PARAMETERS = st.fixed_dictionaries(
    {"resourceType": st.just("Parameters")},
    optional={
        "parameter": st.lists(
            st.fixed_dictionaries({"name": st.just("operation"), "part": st.lists(PARTS, max_size=4) | VALUES})
            | VALUES,
            max_size=3,
        )
        | VALUES
    },
)


@example({"resourceType": "Patient"}, [{"op": [], "path": ""}])
@given(BODIES, st.lists(OPERATIONS | VALUES, max_size=5) | VALUES)
def test_any_json_patch_answers_a_new_body_or_says_which_operation_it_is(body, operations):
    before = deepcopy(body)
    with contextlib.suppress(FaultsError):
        assert isinstance(json_patch(body, operations), dict)
    assert body == before


@given(BODIES, VALUES)
def test_any_merge_patch_answers_a_new_body_or_says_what_is_wrong(body, patch):
    before = deepcopy(body)
    with contextlib.suppress(FaultsError):
        assert isinstance(merge_patch(body, patch), dict)
    assert body == before


@given(BODIES, PARAMETERS)
def test_any_fhirpath_patch_answers_a_new_body_or_says_which_operation_it_is(body, parameters):
    before = deepcopy(body)
    with contextlib.suppress(FaultsError):
        assert isinstance(fhirpath_patch(body, parameters), dict)
    assert body == before
