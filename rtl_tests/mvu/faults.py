"""Deliberate faults of the matrix-vector unit."""

from mutant import Mutant

_MVU = "rtl_tests/mvu/test_mvu.py::test_mvu"
_PACKED = "sf2x12_nf3x2_u4_w4_l3_packed,sf3x10_nf2x9_u4_w4_l0_o_packed"

MUTANTS = (
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "last_sf && !last_pass ? base_q",
        "last_sf && !last_pass ? '0",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x17_nf2x3_u2_w3_l255,sf2x17_nf2x3_s2_w2s_l6",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x_q[p/ARM*SIMD*IN_BITS+:SIMD*IN_BITS]",
        "x_q[0+:SIMD*IN_BITS]",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf9x1_nf1x1_u4_w4_l7_g1x3,sf9x1_nf1x2_u4_w4_l7_g3x2",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "SIGN = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);",
        "SIGN = '0;",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x11_nf1x5_s2_w2s_l0_o,sf9x3_nf2x2_s8_w1s_l1",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x[TOP-1:LOW] ^ w[TOP-1:LOW] ^ {(TOP - LOW) {IN_SIGNED}}",
        "x[TOP-1:LOW] ^ w[TOP-1:LOW]",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x11_nf2x2_s1_w1s_l0,sf3x4_nf1x5_u1_w1s_l0_o",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "W_BITS == 1 || w[s*W_BITS]",
        "1'b1",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x11_nf1x5_s2_w2s_l0_o,sf9x3_nf2x2_s8_w1s_l1",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "        .IN_SIGNED     (!SIGNS),",
        "        .IN_SIGNED     (1'b1),",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf4x32_nf2x3_u1_w1s_l1,sf9x3_nf2x2_s8_w1s_l1",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "$clog2(FULL * MOST + 1)",
        "$clog2(FULL * MOST)",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x4_nf1x5_u1_w1s_l0_o,sf6x1_nf1x3_s4_w2s_l0",
    ),
    Mutant(
        "hls/back/kernels/mvu.py",
        "constants = start + arrays",
        "constants = arrays",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x4_nf1x5_u1_w1s_l0_o,sf3x11_nf1x5_s2_w2s_l0_o",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "row_q <= row_q == ROW_BITS'(MH / PE - 1) ? '0 : row_q + 1'b1;",
        "row_q <= '0;",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf7x4_nf1x10_u4_w4_l0_o,sf1x9_nf4x2_s3_w4_l0_o",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "sum = sum - ((x_s & {32{w[(s+1)",
        "sum = sum + ((x_s & {32{w[(s+1)",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x12_nf3x2_u4_w4_l3_lut,sf3x1_nf2x2_u8_w8_l0_lut",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x_s = 32'($signed({IN_SIGNED && x[(s+1)*IN_BITS-1],",
        "x_s = 32'($signed({1'b0,",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x5_nf1x3_s3_w2_l0_lut",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "assign one = $signed({IN_SIGNED && x[(s+1)*IN_BITS-1],",
        "assign one = $signed({1'b0,",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x5_nf1x3_s8_w6_l0_dsp",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "for (int s = LOW; s < TOP; s++) sum = sum + 32'(g_products.product_q[s]);",
        "for (int s = LOW + 1; s < TOP; s++) sum = sum + 32'(g_products.product_q[s]);",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x12_nf3x2_u4_w4_l3_dsp,sf2x5_nf1x3_s8_w6_l0_dsp",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "SIMD + SPAN / GROUP - 1",
        "SIMD",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x12_nf3x2_u4_w4_l3_lut,sf2x17_nf2x3_u2_w3_l255",
    ),
    Mutant(
        "python/exeunt/kernels/parts/turns.py",
        "self._given if k == self._turns - 1 else 0",
        "0",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf4x9_nf2x8_u4_w4_l14,sf6x1_nf1x3_u4_w2_l15",
    ),
    Mutant(
        "hls/rtl/ex_packed.sv",
        "{!w[(i+1)*W_BITS-1], w[",
        "{w[(i+1)*W_BITS-1], w[",
        _MVU,
        corners=_PACKED,
    ),
    Mutant(
        "hls/rtl/ex_packed.sv",
        "sum_q[(i+1)*FIELD] ^ above[i+1];",
        "sum_q[(i+1)*FIELD];",
        _MVU,
        corners=_PACKED,
    ),
    Mutant(
        "hls/rtl/ex_packed.sv",
        "assign carry[i] = 1'b1;",
        "assign carry[i] = 1'b0;",
        _MVU,
        corners="sf2x2_nf1x2_u12_w8_l0_packed",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x_q[(P/ARM*SIMD+s)*IN_BITS+:IN_BITS]",
        "x_q[s*IN_BITS+:IN_BITS]",
        _MVU,
        corners="sf1x3_nf1x5_u4_w3_l0_packed_g3x2",
    ),
    Mutant(
        "hls/rtl/ex_width.sv",
        "load || (valid_q && !last)",
        "load",
        "rtl_tests/width/test_width.py::test_width",
    ),
)
