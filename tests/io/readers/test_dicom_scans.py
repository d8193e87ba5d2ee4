from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sammix.errors import InputError
from sammix.io.readers.dicom_headers import ACQUISITION, IDENTITY
from sammix.io.readers.dicom_scans import sort_out
from sammix.io.readers.dicom_series import check_scan


def heights(scan):
    return sorted(header.position[2] for header in scan.headers)


def test_scans_come_in_the_order_of_study_number_and_uid(header):
    def of_study(study):
        return tuple(study if tag == "StudyInstanceUID" else "" for tag in IDENTITY)

    facts = [("2", 1, "9"), ("1", 10, "a"), ("1", 2, "c"), ("1", 2, "b"), ("1", 10, "a")]
    headers = [header((0, 0, z), identity=of_study(s), number=n, series=u) for z, (s, n, u) in enumerate(facts)]
    scans, _ = sort_out(headers)
    assert [scan.series for scan in scans] == ["b", "c", "a", "9"]
    assert heights(scans[2]) == [1, 4]


@given(st.permutations(range(9)))
def test_one_series_is_one_scan_over_however_many_folders(header, order):
    headers = [header((0, 0, k), path=Path(f"study/{k % 3}/{k}.dcm")) for k in range(9)]
    (scan,), others = sort_out([headers[k] for k in order])
    assert heights(scan) == list(range(9))
    assert (scan.folder, len(scan.files), others) == (Path("study"), 9, [])


def test_files_without_a_series_belong_together_by_folder(header):
    headers = [header((0, 0, k), path=Path(f"study/{k % 2}/{k}.dcm"), series="") for k in range(8)]
    scans, _ = sort_out(headers)
    assert [scan.folder for scan in scans] == [Path("study/0"), Path("study/1")]


@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_slice_does_not_count_wherever_it_lies(header, first):
    slices = [header((0, 0, k)) for k in range(5)]
    scout = header((0, 0, 9), localizer=True, orientation=(1, 0, 0, 0, 0, -1))
    (scan,), others = sort_out([scout, *slices] if first else [*slices, scout])
    assert heights(scan) == list(range(5))
    assert [(kind, h.position) for kind, h in others] == [("scout view", (0, 0, 9))]


def test_a_scout_that_does_not_call_itself_one(header):
    slices = [header((0, 0, k)) for k in range(5)]
    scout = header((0, 0, 0), orientation=(1, 0, 0, 0, 0, -1), shape=(9, 4))
    (scan,), ((kind, _),) = sort_out([scout, *slices])
    assert (len(scan.headers), kind) == (5, "CT image unlike the rest of its series in size, orientation or place")


@pytest.mark.parametrize("tag", range(len(ACQUISITION)), ids=ACQUISITION)
def test_two_phases_in_one_series_are_two_scans(header, tag):
    def acquired(value):
        return tuple(value if place == tag else "" for place in range(len(ACQUISITION)))

    headers = [header((0, 0, k % 5), acquisition=acquired("ab"[k // 5]), number=1) for k in range(10)]
    scans, _ = sort_out(headers)
    assert [heights(scan) for scan in scans] == [list(range(5))] * 2


def test_many_acquisitions_along_the_body_are_one_scan(header):
    headers = [header((0, 0, k), acquisition=(str(k // 2), *[""] * (len(ACQUISITION) - 1))) for k in range(10)]
    assert len(sort_out(headers)[0]) == 1


def test_slices_in_one_place_that_nothing_tells_apart_stay_together(header):
    (scan,), _ = sort_out([header((0, 0, k % 5)) for k in range(10)])
    assert len(scan.headers) == 10, "reading them says that they share their places"


@pytest.mark.parametrize(
    ("numbers", "announced", "note"),
    [
        ([1, 2, 3], None, None),
        ([3, 4, 5], None, "begin at 3"),
        ([0, 1, 2], None, None),
        ([1, 2, 3], 3, None),
        ([1, 2, 3], 5, "announce 5 images, and 3 are there"),
        ([None, None, None], None, None),
    ],
)
def test_a_missing_end_is_said_where_the_headers_tell(header, numbers, announced, note):
    headers = [
        header((0, 0, k), instance_number=number, images_in_acquisition=announced) for k, number in enumerate(numbers)
    ]
    (scan,), _ = sort_out(headers)
    assert len(scan.notes) == bool(note)
    assert all(note in line for line in scan.notes)


def test_one_slice_alone_misses_none(header):
    assert sort_out([header((0, 0, 0), instance_number=78)])[0][0].notes == ()


def test_numbers_that_a_scout_has_are_not_missing(header):
    slices = [header((0, 0, k), instance_number=k + 2) for k in range(4)]
    scout = replace(header((0, 0, 9), localizer=True), instance_number=1)
    assert sort_out([scout, *slices])[0][0].notes == ()


def test_a_page_saved_as_ct_is_no_slice_and_does_not_stop_the_scan(header):
    slices = [header((0, 0, k)) for k in range(5)]
    page = header((), orientation=(), spacing=())
    (scan,), ((kind, _),) = sort_out([page, *slices])
    assert (len(scan.headers), "unlike the rest" in kind) == (5, True)
    assert "left out of its series: 1 ×" in scan.notes[0]


def test_of_two_scans_in_one_series_the_longer_comes_first(header):
    short = [header((0, 0, k), orientation=(1, 0, 0, 0, 0, -1)) for k in range(3)]
    scans, _ = sort_out([*short, *(header((0, 0, k)) for k in range(5))])
    assert [len(scan.headers) for scan in scans] == [5, 3]


@given(st.permutations(range(6)))
def test_a_stack_whose_files_each_got_a_series_of_their_own_is_not_six_scans(header, order):
    headers = [header((0, 0, 2 * k), series=f"1.{k}", path=Path(f"ct/{k}.dcm")) for k in order]
    (scan,), _ = sort_out(headers)
    assert len(scan.headers) == 6
    with pytest.raises(InputError, match="has another SeriesInstanceUID than"):
        check_scan(scan.headers, Path("ct"))


def test_single_slices_that_make_no_stack_are_scans_of_their_own(header):
    headers = [header((0, 0, z), series=f"1.{z}", path=Path(f"ct/{z}.dcm")) for z in (0, 1, 7, 100)]
    assert len(sort_out(headers)[0]) == 4
