"""From a QONNX file to checked FINN layers."""
