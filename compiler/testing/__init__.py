"""Test: assertions about traffic held against inputs, for every workload and destination that they name.

`cases` reads them, `selection` finds whom they are about, `examine` proves or refutes them; `verdicts` and `junit` say
what came of it.
"""
