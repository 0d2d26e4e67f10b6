"""Rate limits by key, organisation and class, on a clock that the test holds."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartwire.api.limits import BUCKETS_MAX, ORGANISATION_FACTOR, WINDOW_S, Limits, Quotas
from chartwire.api.problem import ApiError
from chartwire.core.access import Access

ORG = UUID(int=1)


class Clock:
    def __init__(self):
        self.s = 1000.0

    def __call__(self):
        return self.s


def access(key="a", org=ORG):
    return Access(org, f"key:{key}", "HOPERAT", frozenset())


def limits(clock, per_minute=60, **more):
    return Limits(Quotas(dict.fromkeys(("read", "search", "write", "batch"), per_minute), **more), clock)


def granted(held, who, asked=10_000):
    for count in range(asked):
        try:
            held.charge(who, "read")
        except ApiError:
            return count
    return asked


def test_the_quota_may_be_spent_at_once_and_fills_evenly():
    clock = Clock()
    held = limits(clock)
    assert granted(held, access()) == 60
    clock.s += 10
    assert granted(held, access()) == 10


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 30)), min_size=1, max_size=30))
def test_no_stretch_of_time_grants_more_than_its_quota(steps):
    clock = Clock()
    held = limits(clock)
    grants = []
    for pause_s, asked in steps:
        clock.s += pause_s
        grants += [clock.s] * granted(held, access(), asked)
    for first in range(len(grants)):
        for last in range(first, len(grants)):
            stretch_s = grants[last] - grants[first]
            assert last - first + 1 <= 60 + stretch_s + 1e-6


def test_what_is_told_is_what_is_left():
    clock = Clock()
    held = limits(clock)
    told = dict(held.charge(access(), "read", 15))
    assert told[b"ratelimit"] == b'"read";r=45;t=15'
    assert told[b"x-ratelimit-remaining"] == b"45"
    assert told[b"ratelimit-policy"] == b'"read";q=60;w=60, "organisation-read";q=600;w=60'
    assert granted(held, access()) == 45


def test_a_refusal_names_the_policy_and_the_time_after_which_the_same_request_passes():
    clock = Clock()
    held = limits(clock)
    held.charge(access(), "read", 58)
    with pytest.raises(ApiError) as caught:
        held.charge(access(), "read", 5)
    wait_s = int(dict(caught.value.headers)[b"retry-after"])
    assert caught.value.violated == ("read",)
    clock.s += wait_s - 1
    with pytest.raises(ApiError):
        held.charge(access(), "read", 5)
    clock.s += 1
    held.charge(access(), "read", 5)


def test_keys_and_classes_do_not_spend_each_others_quota():
    held = limits(Clock())
    assert granted(held, access("a")) == 60
    assert granted(held, access("b")) == 60
    held.charge(access("a"), "write", 60)


def test_all_keys_of_an_organisation_share_a_wider_quota():
    held = limits(Clock())
    assert sum(granted(held, access(str(key))) for key in range(20)) == 60 * ORGANISATION_FACTOR
    with pytest.raises(ApiError) as caught:
        held.charge(access("fresh"), "read")
    assert caught.value.violated == ("organisation-read",)
    held.charge(access("a", UUID(int=2)), "read")


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_together_grant_no_more_than_the_quota(processes):
    clock = Clock()
    held = [limits(clock, processes=processes) for _ in range(processes)]
    assert sum(granted(one, access()) for one in held) <= 60


def test_no_quota_is_no_limit():
    assert limits(Clock(), 0).charge(access(), "read", 1e9) == ()


def test_requests_above_the_concurrency_of_a_key_are_refused_until_one_ends():
    held = limits(Clock(), concurrent=2)
    with held.running(access()):
        with held.running(access()):
            with pytest.raises(ApiError) as caught, held.running(access()):
                raise AssertionError("let in")
            assert caught.value.violated == ("concurrent-requests",)
        with held.running(access()), held.running(access("b")):
            pass


def test_many_keys_cost_bounded_memory_and_forget_none_that_is_spent():
    clock = Clock()
    held = limits(clock)
    spent = access("spent")
    held.charge(spent, "read", 60)
    for key in range(BUCKETS_MAX):
        clock.s += WINDOW_S / BUCKETS_MAX / 100
        held.charge(access(str(key), UUID(int=key + 10)), "read", 1e-3)
    assert len(held._full_at) <= BUCKETS_MAX
    with pytest.raises(ApiError):
        held.charge(spent, "read", 2)
