"""What callers may set."""

import pytest

from processors.stt.engine import Ask
from processors.stt.options import SttOptions, read_options
from schemas.errors import InvalidInput
from tests.unit.stt.builders import request


def test_defaults() -> None:
    """JSON, no words, speech detection on."""
    assert read_options(request()) == SttOptions(Ask(), "json")


def test_everything_can_be_set_and_other_steps_options_do_not_matter() -> None:
    """A chain's options are in one place for all its steps."""
    given = (
        '{"language":"KO","task":"translate","word_timestamps":true,"vad":false,'
        '"initial_prompt":" 예산 ","format":"srt","length":"short"}'
    )
    assert read_options(request(given)) == SttOptions(Ask("ko", "translate", True, False, "예산"), "srt")


def test_the_steps_own_settings_come_first() -> None:
    """A module that goes on with plain text says so in its file."""
    assert read_options(request('{"format":"vtt"}', config='{"format":"text"}')).form == "text"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ('{"task":"sing"}', "task"),
        ('{"vad":"yes"}', "vad"),
        ('{"format":"doc"}', "format"),
        ('{"language":3}', "language"),
    ],
)
def test_a_wrong_value_is_named(given: str, name: str) -> None:
    """With what would be right."""
    with pytest.raises(InvalidInput, match=f"option {name}") as raised:
        read_options(request(given))
    assert raised.value.code == "invalid_option"
    assert raised.value.remedy


def test_a_prompt_is_never_in_a_message() -> None:
    """Prompts are content."""
    with pytest.raises(InvalidInput) as raised:
        read_options(request('{"initial_prompt":["secret name"]}'))
    assert "secret" not in str(raised.value)
