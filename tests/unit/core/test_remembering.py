"""What is remembered of callers' texts."""

import pytest

from chartwire.core.remembering import remembered


@pytest.mark.parametrize(("characters", "worked_out"), [(1, 1), (1000, 1), (1001, 2)])
def test_a_short_text_is_worked_out_once_and_a_long_one_each_time(characters, worked_out):
    seen = []

    @remembered(2)
    def length(text):
        seen.append(text)
        return len(text)

    assert [length("x" * characters), length("x" * characters)] == [characters, characters]
    assert len(seen) == worked_out
