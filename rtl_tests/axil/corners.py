"""Corners of `ex_axil`: the register map's address width and the narrowest."""

from lib.bench import Corner, Port


def corner(bits: int) -> Corner:
    inputs = {
        "awvalid": 1, "awaddr": bits, "wvalid": 1, "wdata": 32, "wstrb": 4, "bready": 1,
        "arvalid": 1, "araddr": bits, "rready": 1, "reg_rdata": 32,
    }  # fmt: skip
    outputs = {
        "awready": 1, "wready": 1, "bvalid": 1, "bresp": 2, "arready": 1, "rvalid": 1,
        "rdata": 32, "rresp": 2, "reg_write": 1, "reg_address": bits, "reg_wdata": 32,
    }  # fmt: skip
    return Corner(
        name=f"address{bits}",
        module="ex_axil",
        parameters={"ADDRESS_BITS": bits},
        ports=tuple(Port(k, w) for k, w in inputs.items())
        + tuple(Port(k, w, output=True) for k, w in outputs.items()),
    )


CORNERS = [corner(12), corner(3)]
