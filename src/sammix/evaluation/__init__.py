"""The parts of an evaluation, in the order that the data takes: stacks, results, rows, summary, gallery."""
