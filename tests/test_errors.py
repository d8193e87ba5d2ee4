from __future__ import annotations

import pytest

from sammix.errors import InputError, MissingExtraError, SammixError, needs_extra


def test_an_input_error_is_one_line_even_if_a_name_is_not() -> None:
    error = InputError("a\nb.nii.gz", "is empty", "copy it again")
    assert str(error) == "a b.nii.gz: is empty; copy it again"
    assert str(error.path) == "a\nb.nii.gz"


def test_a_missing_package_is_told_with_the_command_that_mends_it() -> None:
    with pytest.raises(MissingExtraError) as caught, needs_extra("baselines", "the nnunet-style network"):
        import no_such_package  # type: ignore[import-not-found]  # noqa: F401
    assert "the nnunet-style network needs" in str(caught.value)
    assert "No module named 'no_such_package'" in str(caught.value)
    assert str(caught.value).endswith('pip install "sammix[baselines]"')
    assert isinstance(caught.value, SammixError)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError), needs_extra("baselines", "this"):
        _ = 1 / 0
