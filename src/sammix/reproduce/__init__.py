"""The paper's tables and figures, as a grid of jobs that can be stopped, resumed, and run in parts.

``paper`` (reproduce) is the way in. In order: ``methods``, ``plan`` (which jobs), ``split`` and ``stores`` (on which
data), ``estimate``, ``grid`` and ``share`` (jobs in processes, each on its share of the machine), ``job`` (one of them;
``nnunet_v2`` is the real nnU-Net), ``result``, ``over_seeds``, ``tables``, ``page``.
"""
