"""Synthetic abdomens in HU with their truth, for the demo and the tests: no patient's data needed."""

from sammix.demo.phantoms.data_sets import write_lits, write_totalsegmentator
from sammix.demo.phantoms.hospital import HOSPITALS, NATIVE, PORTAL, Hospital
from sammix.demo.phantoms.phantom import Phantom, make_phantom

__all__ = [
    "HOSPITALS",
    "NATIVE",
    "PORTAL",
    "Hospital",
    "Phantom",
    "make_phantom",
    "write_lits",
    "write_totalsegmentator",
]
