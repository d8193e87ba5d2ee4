"""Files → volumes and data sets."""

from sammix.io.dataset import Case, Dataset
from sammix.io.detect import find_inputs, open_dataset
from sammix.io.readers.formats import read_volume

__all__ = ["Case", "Dataset", "find_inputs", "open_dataset", "read_volume"]
