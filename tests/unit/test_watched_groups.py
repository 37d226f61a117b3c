"""Every consumer group that commits is watched: nobody else would tell that it is behind."""

from schemas.topics import batch_door
from streams.admission import answers, doors
from streams.watch.surroundings import watched_groups


def test_the_batch_door_s_groups_are_watched() -> None:
    assert {doors.GROUP, answers.GROUP} <= watched_groups().keys()


def test_the_doors_that_there_are_are_watched_and_not_their_answers() -> None:
    names = [topic.name for service in ("hr", "mail") for topic in batch_door(service).topics]
    watched = watched_groups(["results", *names, "batch.hr.dlt"])[doors.GROUP]
    assert [topic.name for topic in watched] == ["batch.hr", "batch.mail"]
    assert all(topic.retention for topic in watched)
