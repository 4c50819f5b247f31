"""What a QONNX file means: one reader for calibration, explanations, compiler and bench."""
