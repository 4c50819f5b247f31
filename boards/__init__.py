"""Boards: constraints, shells and tool scripts, one folder each."""

if __name__ != "exeunt.boards":
    raise ImportError("import this package as exeunt.boards")
