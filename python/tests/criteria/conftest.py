"""The folder peak/ is a criterion to be added to a copy of the tree, not tests of this one."""

collect_ignore = ["peak"]
