"""Corners of the blocks of the serial shell, each by itself."""

from lib.bench import Corner, Port

IDLE = 50


def _ports(inputs: dict[str, int], outputs: dict[str, int]) -> tuple[Port, ...]:
    ports = [Port(k, w) for k, w in inputs.items()]
    return (*ports, *(Port(k, w, output=True) for k, w in outputs.items()))


def uart_rx(divisor: int) -> Corner:
    return Corner(
        f"uart_rx{divisor}",
        "ex_uart_rx",
        {"DIVISOR": divisor},
        _ports({"rx": 1}, {"m_valid": 1, "m_data": 8, "m_error": 1}),
    )


def uart_tx(divisor: int) -> Corner:
    return Corner(
        f"uart_tx{divisor}",
        "ex_uart_tx",
        {"DIVISOR": divisor},
        _ports({"s_valid": 1, "s_data": 8}, {"s_ready": 1, "tx": 1}),
    )


def crc32() -> Corner:
    inputs = {"s_valid": 1, "s_data": 8}
    return Corner("crc32", "ex_crc32", {}, _ports(inputs, {"crc": 32, "good": 1}))


def packet_rx(image: int, *, maps: int = 0) -> Corner:
    return Corner(
        f"packet_rx{image}{'_maps' * maps}",
        "ex_packet_rx",
        {"IMAGE_BYTES": image, "IDLE": IDLE, "MAPS": maps},
        _ports(
            {"s_valid": 1, "s_data": 8, "s_error": 1},
            {
                "body_start": 1, "body_valid": 1, "body_data": 8, "m_valid": 1, "m_kind": 3,
                "m_seq": 8, "m_address": 16, "m_wdata": 32, "m_reason": 4,
            },
        ),
    )  # fmt: skip


def frame_store(width: int, frame: int, store: int) -> Corner:
    return Corner(
        f"frame_store{width}x{frame}x{store}",
        "ex_frame_store",
        {"WIDTH": width, "FRAME": frame, "STORE": store},
        _ports(
            {"flush": 1, "start": 1, "s_valid": 1, "s_data": 8, "commit": 1, "m_ready": 1},
            {"whole": 1, "m_valid": 1, "m_data": width, "m_last": 1},
        ),
    )


def link(bits: int, control: int, flush: int) -> Corner:
    return Corner(
        f"link{bits}",
        "ex_link",
        {"ADDRESS_BITS": bits, "A_CONTROL": control, "FLUSH": flush},
        _ports(
            {
                "p_valid": 1, "p_kind": 3, "p_seq": 8, "p_address": 16, "p_wdata": 32,
                "p_reason": 4, "store_whole": 1, "reg_rdata": 32, "known": 1, "next": 8,
                "map_known": 1, "a_ready": 1,
            },
            {
                "store_commit": 1, "flush": 1, "reg_write": 1, "reg_address": bits,
                "reg_wdata": 32, "hello": 1, "again": 1, "again_seq": 8, "map_taken": 1,
                "map_again": 1, "a_valid": 1, "a_kind": 2, "a_seq": 8, "a_body": 48, "ev_nak": 1,
            },
        ),
    )  # fmt: skip


def result_ring() -> Corner:
    return Corner(
        "result_ring",
        "ex_result_ring",
        {},
        _ports(
            {
                "flush": 1, "s_valid": 1, "s_data": 128, "hello": 1, "again": 1, "again_seq": 8,
                "take": 1, "m_index": 4,
            },
            {"s_ready": 1, "known": 1, "next": 8, "m_valid": 1, "m_seq": 8, "m_data": 8},
        ),
    )  # fmt: skip


def map_ring(pieces: int) -> Corner:
    return Corner(
        f"map_ring{pieces}",
        "ex_map_ring",
        {"PIECES": pieces},
        _ports(
            {
                "flush": 1, "s_valid": 1, "s_data": 32, "s_last": 1, "hello": 1, "taken": 1,
                "again": 1, "seq": 8, "take": 1, "m_index": 4,
            },
            {"s_ready": 1, "known": 1, "m_valid": 1, "m_seq": 8, "m_end": 1, "m_data": 8},
        ),
    )  # fmt: skip


def packet_tx(image: int, beat: int, store: int) -> Corner:
    return Corner(
        f"packet_tx{image}",
        "ex_packet_tx",
        {"IMAGE_BYTES": image, "BEAT_BYTES": beat, "STORE": store},
        _ports(
            {
                "a_valid": 1, "a_kind": 2, "a_seq": 8, "a_body": 48, "r_valid": 1, "r_seq": 8,
                "r_data": 8, "p_valid": 1, "p_seq": 8, "p_end": 1, "p_data": 8, "m_ready": 1,
            },
            {"a_ready": 1, "r_take": 1, "r_index": 4, "p_take": 1, "m_valid": 1, "m_data": 8},
        ),
    )  # fmt: skip


def activity(n: int, hold: int) -> Corner:
    return Corner(
        f"activity{n}",
        "ex_activity",
        {"N": n, "HOLD_BITS": hold},
        _ports({"s_event": n}, {"led": n}),
    )


CORNERS = [
    uart_rx(16),
    uart_rx(8),
    uart_rx(27),
    uart_tx(16),
    uart_tx(2),
    crc32(),
    packet_rx(64),
    packet_rx(1),
    packet_rx(784),
    packet_rx(3, maps=1),
    frame_store(8, 64, 2),
    frame_store(1, 1, 1),
    frame_store(17, 5, 3),
    frame_store(24, 7, 1),
    link(12, 12, 32),
    link(3, 4, 1),
    link(16, 65532, 5),
    result_ring(),
    map_ring(128),
    map_ring(2),
    map_ring(8),
    packet_tx(784, 1, 2),
    packet_tx(65535, 255, 255),
    activity(7, 4),
    activity(1, 1),
]
