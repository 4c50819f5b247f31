"""`m_edge` of `ex_threshold`, `ex_mvu` and `ex_sparse` against the masks of `exeunt.explain`."""

import pytest
from edges.corners import CORNERS
from lib.bench import run_bench


@pytest.mark.sim
def test_edges() -> None:
    run_bench("edges", CORNERS, "edges.edges_cocotb")
