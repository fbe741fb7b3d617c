"""Sources have the slots that they were given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.rtp.batch import SourceKey, SourceKeys
from server.rtp.slots import NOBODY, Slots


def keys(*sources: SourceKey) -> SourceKeys:
    if all(isinstance(each, bytes) for each in sources):
        return np.array(sources, "S28")
    return np.array(sources, np.uint64)


@pytest.mark.parametrize(
    ("first", "second", "stranger"),
    [(7, 2**63 + 5, 6), (b"\x0a\0\x01" * 6, b"\x0a\0\x02" * 9, b"\xfe" * 28)],
)
def test_a_source_is_found_until_it_is_removed(
    first: SourceKey, second: SourceKey, stranger: SourceKey
) -> None:
    slots = Slots()
    asked = keys(second, stranger, first, second)
    assert slots.find(asked).tolist() == [NOBODY] * 4
    slots.add(first, 1)
    slots.add(second, 2)
    assert slots.find(asked).tolist() == [2, NOBODY, 1, 2]
    slots.remove(second)
    assert slots.find(asked).tolist() == [NOBODY, NOBODY, 1, NOBODY]
    slots.remove(first)
    assert slots.find(asked).tolist() == [NOBODY] * 4


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60),
    st.lists(st.integers(0, 40), min_size=1, max_size=20),
)
def test_it_is_a_dictionary(changes: list[tuple[bool, int]], asked: list[int]) -> None:
    slots, model = Slots(), dict[int, int]()
    for is_added, source in changes:
        if is_added and source not in model:
            model[source] = len(model) + 1
            slots.add(source, model[source])
        elif not is_added and source in model:
            del model[source]
            slots.remove(source)
    expected = [model.get(source, NOBODY) for source in asked]
    assert slots.find(keys(*asked)).tolist() == expected
