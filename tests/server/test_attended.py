"""How often the taps are passed on that somebody listens to."""

from __future__ import annotations

from server.attended import FEW, Attended


def attended(count: int) -> Attended:
    made = Attended()
    for number in range(count):
        made.add(str(number))
    return made


def test_a_few_have_their_turn_at_every_tick() -> None:
    some = attended(FEW)
    assert len(some.turn(7)) == len(some.turn(8)) == FEW


def test_of_many_each_has_its_turn_at_every_other_tick() -> None:
    many = attended(FEW + 1)
    one, other = many.turn(7), many.turn(8)
    assert sorted(one + other) == sorted(str(n) for n in range(FEW + 1))
    assert abs(len(one) - len(other)) <= 1


def test_one_that_nobody_listens_to_any_more_has_none() -> None:
    some = attended(2)
    some.discard("0")
    some.discard("0")
    assert some.turn(0) == ("1",)


def test_one_that_is_listened_to_now_and_then_has_a_turn_now_and_then() -> None:
    some = Attended()
    some.add("0", every=5)
    assert [bool(some.turn(tick)) for tick in range(6)] == [True, *[False] * 4, True]
    some.add("0")
    some.add("0", every=5)
    assert all(some.turn(tick) for tick in range(6))
