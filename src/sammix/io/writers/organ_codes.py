"""Name organs in SNOMED CT, for outputs in DICOM."""

from __future__ import annotations

from pydicom.sr.coding import Code

CATEGORY = Code("123037004", "SCT", "Anatomical Structure")
OTHER = Code("113343008", "SCT", "Body organ structure")
"""Stands for every organ that is not in the table; the segment's label still says which it is."""

ORGANS = {
    "adrenal gland": "23451007",
    "aorta": "15825003",
    "bladder": "89837001",
    "bone": "272673000",
    "brain": "12738006",
    "colon": "71854001",
    "duodenum": "38848004",
    "esophagus": "32849002",
    "gallbladder": "28231008",
    "heart": "80891009",
    "inferior vena cava": "64131007",
    "kidney": "64033007",
    "liver": "10200004",
    "lung": "39607008",
    "pancreas": "15776009",
    "prostate": "41216001",
    "small intestine": "30315005",
    "spleen": "78961009",
    "stomach": "69695003",
    "trachea": "44567001",
    "uterus": "35039007",
}
SYNONYMS = {"urinary bladder": "bladder", "small bowel": "small intestine", "oesophagus": "esophagus"}
SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}


def organ_code(organ: str) -> tuple[Code, Code | None]:
    """Find an organ's code, and its side's if its name has one; ``OTHER`` for an organ that is not in the table.

    >>> organ_code("kidney_left")[0].value, organ_code("kidney_left")[1].meaning
    ('64033007', 'Left')
    """
    words = organ.lower().replace("_", " ").replace("-", " ").split()
    side = next((SIDES[word] for word in words if word in SIDES), None)
    name = " ".join(word for word in words if word not in SIDES)
    name = SYNONYMS.get(name, name)
    if name not in ORGANS:
        return OTHER, None
    return Code(ORGANS[name], "SCT", name.capitalize()), side
