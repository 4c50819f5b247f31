"""Quantized multi-exit networks: data, training, exit calibration, export."""

if __name__ != "exeunt.quant":
    raise ImportError("import this package as exeunt.quant")
