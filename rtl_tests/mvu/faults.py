"""Deliberate faults of the matrix-vector unit."""

from mutant import Mutant

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
        "TOP = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);",
        "TOP = '0;",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x11_nf1x5_s2_w2s_l0_o,sf9x3_nf2x2_s8_w1s_l1",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x_group ^ w_group ^ {COUNT{IN_SIGNED}}",
        "x_group ^ w_group",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x11_nf2x2_s1_w1s_l0,sf3x4_nf1x5_u1_w1s_l0_o",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "W_BITS == 1 || w_group[s*W_BITS]",
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
        "        .FOLDS         (MH / PE),",
        "        .FOLDS         (NF),",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf3x2_nf2x1_u4_w4_l7_g4x1,sf1x4_nf1x2_u4_w4_l7_g3x1",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "sum = sum - ((x_s & {32{w_group",
        "sum = sum + ((x_s & {32{w_group",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x12_nf3x2_u4_w4_l3_lut,sf3x1_nf2x2_u8_w8_l0_lut",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "x_s = 32'($signed({IN_SIGNED && x_group[(s+1)*IN_BITS-1],",
        "x_s = 32'($signed({1'b0,",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x5_nf1x3_s3_w2_l0_lut",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "assign one = $signed({IN_SIGNED && x_group[(s+1)*IN_BITS-1],",
        "assign one = $signed({1'b0,",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x5_nf1x3_s8_w6_l0_dsp",
    ),
    Mutant(
        "hls/rtl/ex_mvu.sv",
        "for (int s = 0; s < COUNT; s++) sum = sum + 32'(product[s]);",
        "for (int s = 1; s < COUNT; s++) sum = sum + 32'(product[s]);",
        "rtl_tests/mvu/test_mvu.py::test_mvu",
        corners="sf2x12_nf3x2_u4_w4_l3_dsp,sf2x5_nf1x3_s8_w6_l0_dsp",
    ),
)
