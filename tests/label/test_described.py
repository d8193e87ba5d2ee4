from __future__ import annotations

from sammix.label.described import described
from sammix.label.service import Service


def test_annotators_who_differ_are_both_heard(service: Service) -> None:
    service.say("ada", 0, 3, 1)
    service.say("bob", 0, 3, 0)
    told = described(service, 0, "ada")
    assert told["labels"][3] == 0
    assert [(one["who"], one["label"]) for one in told["differ"][3]] == [("ada", 1), ("bob", 0)]


def test_a_stack_is_told_whole(service: Service) -> None:
    service.mark("ada", 1, 3, 5)
    told = described(service, 1, "ada")
    assert (told["name"], told["count"], told["shape"], told["marks"]) == ("volume-1", 12, [72, 72], [3, 5])
    assert told["undo"] == [1, 0]
