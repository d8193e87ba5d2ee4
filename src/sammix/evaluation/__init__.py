"""Measure a network against masks.

``protocol`` (evaluate, EvaluateOptions) is the way in, ``core.Evaluation`` what comes out, ``output`` writes its
figures, and ``schema`` (read_metrics) reads them again. In between, in the order that the data takes: ``patients``
(whom the model knows), ``reading``, ``stacks``, ``results``, ``rows``, ``summary``, ``gallery``; ``metrics`` stands
alone.
"""
