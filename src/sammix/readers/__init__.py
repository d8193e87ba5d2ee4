"""Files → volumes and data sets."""

from sammix.readers.dataset import Case, Dataset
from sammix.readers.detect import find_inputs, open_dataset
from sammix.readers.formats import read_volume

__all__ = ["Case", "Dataset", "find_inputs", "open_dataset", "read_volume"]
