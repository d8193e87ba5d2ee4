"""From cases to what a network reads: slices, their labels and masks, and who may learn from them.

Modules in the order in which data passes them: ``preprocess`` (HU → the network's grid, and back), ``scan_slices`` (a
case → its slices), ``table`` (all slices of a data set, a column for each thing known of them), ``gather`` and
``store`` (a table in memory, and on disk), ``loading`` (a path → a table), ``splits`` (who trains, which slices keep
their mask), ``lineage`` (whom a model knows), ``sampling`` (which slices meet in a batch), ``augmentation``.
``description`` says what a path holds.
"""
