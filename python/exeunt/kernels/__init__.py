"""Kernel kinds, one room each: `exeunt.kernels.<kind>` holds all that Python knows of a kind.

`registry` finds the kinds; nobody else names one. `kind.Kind` says what a kind must answer,
`parts` has what several kinds are made of, `finn` the cycles of FINN's kernels. How a kind is added
stands in hls/README.md.
"""
