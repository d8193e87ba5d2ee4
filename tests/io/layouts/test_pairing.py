from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.io.layouts.pairing import Found, is_mask_name, is_organ_name, pair


def found(name: str, *folder: str, segmentation: bool = False) -> Found:
    return Found(Path(*folder, name), folder, name, is_segmentation=segmentation)


def is_pair(image: Found, mask: Found) -> bool:
    other = found("other scan", *image.folder)  # so that no mask fits for being near
    return pair([image, other], [mask], "liver").of == {image.path: mask.path}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("c1", "c1_gt"),
        ("c1", "c1_label"),
        ("c1", "c1-label"),
        ("c1", "c1_labels"),
        ("c1", "c1_seg"),
        ("c1", "C1_Segmentation"),
        ("c1", "c1_mask"),
        ("c1", "c1.mask"),
        ("c1", "c1-mask"),
        ("c1", "c1.seg"),
        ("c1", "seg_c1"),
        ("c1", "mask_c1"),
        ("C1", "label_c1"),
        ("c1", "c1_liver"),
        ("c1", "c1_liver.seg"),
        ("c1", "c1_seg_liver"),
        ("c1_0000", "c1"),
        ("c1_0000", "c1_seg"),
        ("img0001", "label0001"),
        ("image_7", "mask_7"),
        ("volume-3", "segmentation-3"),
        ("c1_ct", "c1_seg"),
        ("case 1 ct", "case 1 segmentation"),
        ("ct_1", "1_liver"),
    ],
)
def test_the_ways_in_which_people_name_a_pair(image, mask):
    assert is_pair(found(image, "a"), found(mask, "a"))
    assert not is_pair(found(image, "a"), found(mask, "b"))


@pytest.mark.parametrize(
    ("image", "mask"), [("c1", "c10_seg"), ("c1", "c1_spleen"), ("img0001", "label0002"), ("c1", "c2")]
)
def test_what_is_no_pair(image, mask):
    assert not is_pair(found(image), found(mask))


@given(st.text("abcXYZ0123456789-_ .", min_size=1, max_size=12).filter(lambda name: name.strip("-_ .")))
def test_the_same_name_is_always_a_pair(name):
    image, mask = Found(Path("images", name), (), name, True), Found(Path("masks", name), (), name, True)
    other = Found(Path("images/z"), (), name + "z", True)
    assert pair([image, other], [mask], "liver").of == {image.path: mask.path}


@pytest.mark.parametrize("name", ["mask", "Segmentation", "liver", "label", "Segmentation.seg"])
def test_a_mask_without_a_name_is_of_the_only_scan_in_its_folder(name):
    scan, mask = found("imaging", "p1"), found(name, "p1")
    assert pair([scan, found("imaging", "p2")], [mask], "liver").of == {scan.path: mask.path}
    assert pair([scan, found("second", "p1")], [mask], "liver").of == {}
    series = found("p1")
    assert pair([series, found("p2")], [mask], "liver").of == {series.path: mask.path}


def test_a_segmentation_of_any_name_is_of_the_only_scan_in_its_folder():
    scan, one, two = found("ct", "p1"), found("x", "p1", segmentation=True), found("y", "p1", segmentation=True)
    assert pair([scan], [one], "liver").of == {scan.path: one.path}
    assert pair([scan], [one, two], "liver").of == {}
    named = found("ct_seg", "p1", segmentation=True)
    assert pair([scan], [one, named], "liver").of == {scan.path: named.path}


def test_a_folder_of_the_organ_says_nothing_else():
    scan, mask = found("c1"), found("c1", "liver")
    assert pair([scan], [mask], "liver").of == {scan.path: mask.path}
    assert pair([scan], [found("c1", "spleen")], "liver").of == {}


def test_the_nearest_name_wins():
    plain, channel, mask = found("c1"), found("c1_0000"), found("c1_seg")
    assert pair([plain, channel], [mask], "liver").of == {plain.path: mask.path}


def test_what_cannot_be_told_is_said_and_not_used():
    two = pair([found("c1"), found("c2")], [found("c1_mask"), found("c1_seg"), found("c2_seg")], "liver")
    assert list(two.of) == [found("c2").path]
    assert two.torn == (
        "c1 has several masks: c1_mask, c1_seg; none is used; keep one, or say in scans.csv which is whose",
    )
    either = pair([found("c1_ct"), found("c1_scan")], [found("c1_seg")], "liver")
    assert either.of == {}
    assert "c1_seg may be the mask of c1_ct, c1_scan; none is used" in either.torn[0]


def test_which_names_are_masks():
    for name in ("x_seg", "label0001", "segmentation", "MASK", "x.seg", "gt_3"):
        assert is_mask_name(name)
    for name in ("segovia", "labelled", "x_segments_of_liver_ct", "gtx", "maskenball1"):
        assert not is_mask_name(name)
    for name in ("x_liver", "liver", "x-spleen", "x_kidney", "liver_tumor"):
        assert is_organ_name(name, "kidney")
    for name in ("liver_1", "x_lung", "oliver", "x_bone"):
        assert not is_organ_name(name, "kidney")
