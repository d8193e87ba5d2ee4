"""Files ⇄ volumes with exact geometry, and folders → data sets of cases.

``readers`` and ``writers`` have a file a format, ``layouts`` a file for each way in which people lay out scans.
``volume`` is an array with its place in the patient, ``dataset`` a case and a data set of cases. ``detect`` finds a
folder's layout. ``finding`` finds the scans to predict in a path; ``walk`` meets every file there once, and ``stock``
accounts for those that are part of no scan. What is said of labels beside the masks is in ``label_rules`` (by the
user), ``presence`` (by a table) and ``patient_names`` (by the paths).
"""

from sammix.io.dataset import Case, Dataset
from sammix.io.detect import open_dataset
from sammix.io.finding import Inputs, find_in_files, find_inputs
from sammix.io.readers.formats import read_volume

__all__ = ["Case", "Dataset", "Inputs", "find_in_files", "find_inputs", "open_dataset", "read_volume"]
