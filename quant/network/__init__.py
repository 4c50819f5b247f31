"""Networks: described, given as a class or as a QONNX file; export."""
