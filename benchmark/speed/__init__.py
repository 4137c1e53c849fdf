"""How fast case search is, and how far it goes: ``python -m benchmark speed``. Everything is measured in one run.

latency.py  from a picture and a text to the answer, on a real index
scale.py    exact and approximate search in up to a million vectors, beside NumPy
load.py     many clients at one service: percentiles, errors, memory
command.py  the command, and the table that it writes
"""
