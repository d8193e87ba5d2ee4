from __future__ import annotations

from pathlib import Path

from sammix.models.card import read_card


def test_a_student_of_two_hospitals_is_used_as_any_other(
    run, tiny_run: Path, hospital_a: Path, hospital_b: Path, tmp_path: Path, capsys
) -> None:
    out = tmp_path / "student"
    settings = ["--set", "fit.epochs=1", "--set", "model.width=0.25"]
    assert run("distill", tiny_run, hospital_a, hospital_b, "--out", out, "--device", "cpu", *settings) == 0
    assert capsys.readouterr().out == f"{out / 'model'}\n{out / 'prompted'}\n"
    card = read_card(out)
    assert (card.name, card.data["teacher"]) == ("tiny-4-student", "tiny-4")
    names = {(known.dataset, known.name) for known in card.lineage.patients}
    assert {dataset for dataset, _ in names} >= {hospital_b.name}
    assert names >= {(known.dataset, known.name) for known in read_card(tiny_run).lineage.patients}
    scan = next(hospital_b.rglob("ct.nii.gz"))
    for model in (out, out / "prompted"):
        masks = tmp_path / f"masks-{model.name}"
        assert run("predict", model, scan, "--out", masks, "--device", "cpu") == 0
        assert next(masks.glob("*_liver.nii.gz")).is_file()


def test_a_student_needs_a_teacher_and_no_other_network_does(
    run, tiny_run: Path, hospital_a: Path, tmp_path: Path, capsys
) -> None:
    assert run("fit", hospital_a, "--preset", "student", "--out", tmp_path / "a") == 2
    assert "use sammix distill" in capsys.readouterr().err
    assert run("distill", tiny_run, hospital_a, "--out", tmp_path / "b", "--set", "model.kind=unet") == 2
    assert "does not learn from another model's answers" in capsys.readouterr().err
    assert run("distill", tmp_path / "nothing", hospital_a, "--out", tmp_path / "c") == 2
    assert "does not exist" in capsys.readouterr().err
    assert run("distill", tiny_run, hospital_a, "--out", tmp_path / "d", "--set", "data.window_width=100") == 2
    assert "data.window_width of a student is its teacher's, 400.0" in capsys.readouterr().err


def test_a_resumed_student_takes_no_settings(run, tiny_run: Path, hospital_a: Path, tmp_path: Path, capsys) -> None:
    assert run("distill", tiny_run, hospital_a, "--out", tmp_path, "--resume", "--set", "fit.epochs=2") == 2
    assert "keeps its settings" in capsys.readouterr().err
