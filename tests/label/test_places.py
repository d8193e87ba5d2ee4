from __future__ import annotations

from pathlib import Path

from sammix.label.places import Places


def test_each_thing_has_a_place_of_its_own_below_the_folder(tmp_path: Path) -> None:
    names = [name for name in vars(Places) if isinstance(getattr(Places, name), property)]
    places = [getattr(Places(tmp_path), name) for name in names]
    assert len(set(places)) == len(names) >= 10
    assert all(place.is_relative_to(tmp_path) for place in places)
