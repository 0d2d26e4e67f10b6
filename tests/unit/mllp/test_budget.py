"""Bytes in flight over all connections: bounded, served in order, never stuck."""

from chartwire.mllp.budget import Budget


class Holder:
    """A connection that remembers whether it may read."""

    def __init__(self) -> None:
        self.waits = False
        self.told = 0

    def over_budget(self, yes: bool) -> None:
        self.waits = yes
        self.told += 1


def test_within_the_limit_nobody_waits() -> None:
    budget, one = Budget(100), Holder()
    budget.change(one, 100, busy=True)
    assert not one.told


def test_who_goes_over_the_limit_waits_until_bytes_come_free() -> None:
    budget, one, two = Budget(100), Holder(), Holder()
    budget.change(one, 90, busy=True)
    budget.change(two, 20, busy=True)
    assert (one.waits, two.waits) == (False, True)
    budget.change(one, -90, busy=False)
    assert not two.waits


def test_those_who_wait_go_on_in_the_order_in_which_they_came() -> None:
    budget, busy, first, second = Budget(100), Holder(), Holder(), Holder()
    budget.change(busy, 80, busy=True)
    budget.change(first, 30, busy=False)
    budget.change(second, 30, busy=False)
    budget.change(busy, -10, busy=True)
    assert (first.waits, second.waits) == (True, True)
    budget.change(busy, -30, busy=True)
    assert (first.waits, second.waits) == (False, False)


def test_when_all_bytes_are_unfinished_messages_one_may_finish_its_own() -> None:
    budget, one, two, three = Budget(100), Holder(), Holder(), Holder()
    for holder in (one, two, three):
        budget.change(holder, 60, busy=False)
    assert [holder.waits for holder in (one, two, three)] == [False, False, True]
    budget.change(two, 500, busy=False)
    assert not two.waits
    budget.change(two, -560, busy=False)
    assert not three.waits


def test_a_connection_that_is_gone_frees_what_it_held() -> None:
    budget, one, two = Budget(100), Holder(), Holder()
    budget.change(one, 90, busy=True)
    budget.change(two, 50, busy=False)
    budget.forget(one, 90)
    assert not two.waits
    assert budget.held_bytes == 50
