"""From slices with labels to a trained model: batches, the loop, the run's folder."""
