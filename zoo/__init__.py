"""Trained networks that `exeunt run zoo:NAME` takes as they are."""

if __name__ != "exeunt.zoo":
    raise ImportError("import this package as exeunt.zoo")
