from server.codecs.l16 import decode_l16


def test_network_order_has_the_high_byte_first() -> None:
    assert decode_l16(b"\x01\x02\xff\xfe", "big").tolist() == [0x0102, -2]


def test_little_endian_has_the_low_byte_first() -> None:
    assert decode_l16(b"\x02\x01\xfe\xff", "little").tolist() == [0x0102, -2]


def test_a_byte_left_over_is_not_used() -> None:
    assert decode_l16(b"\x00\x05\x07", "big").tolist() == [5]


def test_result_is_native_whatever_the_order_on_the_wire() -> None:
    assert decode_l16(bytes(4), "big").dtype == decode_l16(bytes(4), "little").dtype
