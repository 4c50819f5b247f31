"""The compiler: QONNX and FINN to streaming kernels in SystemVerilog."""

if __name__ != "exeunt.hls":
    raise ImportError("import this package as exeunt.hls")
