"""The folder negate/ is a kind to be added to a copy of the tree, not tests of this one."""

collect_ignore = ["negate"]
