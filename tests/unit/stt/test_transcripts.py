"""From windows to the whole, and where to go on after a crash."""

from processors.stt.engine import RATE, Ask
from processors.stt.transcripts import Resume, assemble, follows, next_ask, resume_point
from tests.unit.stt.builders import said, window


def test_work_goes_on_after_the_last_finished_window() -> None:
    """And is over after the one that reaches the end."""
    first = window(0, 0, 10)
    assert resume_point([]) == Resume(0, 0)
    assert resume_point([first]) == Resume(1, 10 * RATE)
    assert resume_point([first, window(1, 10, 15, last=True)]) is None


def test_a_stored_window_that_does_not_fit_is_not_used() -> None:
    """Another number or another start is another recording's, or another way of cutting."""
    done = [window(0, 0, 10)]
    assert follows(window(1, 10, 20), done)
    assert not follows(window(1, 9, 20), done)
    assert not follows(window(2, 10, 20), done)


def test_the_next_window_knows_language_and_last_words() -> None:
    """As the engine itself does within a window."""
    done = [window(0, 0, 10, said(" 안건은 예산입니다.", 1, 3))]
    assert next_ask(Ask(prompt="예산회의"), done) == Ask(language="ko", prompt="예산회의 안건은 예산입니다.")


def test_guesses_are_not_carried_on() -> None:
    """A loop of one word would infect the windows after it."""
    done = [window(0, 0, 10, said(" 네 네 네", 1, 3, temperature=0.8))]
    assert next_ask(Ask(), done).prompt == ""


def test_a_silent_beginning_leaves_the_language_open() -> None:
    """It is found where somebody speaks first."""
    done = [window(0, 0, 10, language="", language_confidence=0.0)]
    assert next_ask(Ask(), done).language == ""
    whole = assemble([*done, window(1, 10, 20, said("a", 11, 12), last=True)], "transcribe", ())
    assert (whole.language, whole.text, whole.duration_s) == ("ko", "a", 20.0)


def test_silence_and_damage_are_told() -> None:
    """Not as errors: there is a result, and it says what is the matter with it."""
    whole = assemble([window(0, 0, 5, last=True, bad_packets=2)], "transcribe", ("cut off",))
    assert whole.warnings[0] == "cut off"
    assert "2 packets" in whole.warnings[1]
    assert whole.warnings[2] == "no speech found"
    assert whole.language == ""


def test_a_segment_at_the_very_end_is_kept() -> None:
    """Even one without length."""
    assert assemble([window(0, 0, 5, said("end", 5.0, 5.0), last=True)], "transcribe", ()).text == "end"
