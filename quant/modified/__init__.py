"""Images under the modifications that rules choose from: which there are, and training on them."""
