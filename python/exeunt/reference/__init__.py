"""The reference: integer values and cycles, in NumPy alone."""
