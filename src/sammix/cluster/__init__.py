"""Several processes for one piece of work: on this machine, or on others through Dask.

``engine`` gives out jobs and survives the death of those who do them; ``share`` is a process's part of a machine.
"""
