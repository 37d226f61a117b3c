"""The supervisor's decisions: when to restart, what to scale, which ports, what a log tells."""

import socket
from pathlib import Path

import pytest

from cli.environment import read_environment
from cli.stack.paths import StackPaths
from cli.stack.ports import PortBook, PortTaken, PortUse, is_free, pick_free, require_free
from cli.stack.restart_policy import Deaths
from cli.stack.service_log import death_reason, last_lines, rotate
from cli.stack.services import parse_scale, planned_services
from cli.stack.states import ServiceStatus, read_states, write_states
from schemas.errors import InvalidInput
from streams.settings import Settings


def quick_deaths(count: int, apart_s: float = 1.0) -> Deaths:
    deaths = Deaths()
    for n in range(count):
        deaths = deaths.died(now=n * apart_s, lived_s=0.1)
    return deaths


def test_waits_double_from_a_fifth_of_a_second_up_to_ten_seconds() -> None:
    delays = [quick_deaths(n, apart_s=100.0).delay_s for n in range(1, 9)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_five_quick_deaths_within_a_minute_are_a_failure_and_tried_every_ten_seconds() -> None:
    assert not quick_deaths(4).failed
    assert quick_deaths(5).failed
    assert quick_deaths(5).delay_s == 10.0
    assert not quick_deaths(5, apart_s=20.0).failed


def test_a_process_that_lived_long_starts_over_with_the_first_delay() -> None:
    deaths = quick_deaths(7).died(now=100.0, lived_s=31.0)
    assert (deaths.failed, deaths.delay_s) == (False, 0.2)


def test_scale_is_read_and_checked() -> None:
    assert parse_scale(["ocr=2", "llm=3"]) == {"ocr": 2, "llm": 3}
    for wrong in ("kafka=2", "redis=2", "ingress=2", "nope=1", "ocr", "ocr=x", "ocr=-1", "ocr=9999"):
        with pytest.raises(InvalidInput):
            parse_scale([wrong])


def plan(tmp_path: Path, scale: dict[str, int], **variables: str) -> list[str]:
    env = {"GATEWAY_DATA_DIR": str(tmp_path), **variables}
    paths = StackPaths(tmp_path)
    paths.make()
    return [s.name for s in planned_services(env, Settings.from_env(env), scale, paths, PortBook(paths.ports))]


def test_names_count_from_the_second_of_a_kind(tmp_path: Path) -> None:
    assert plan(tmp_path, {"ocr": 3}) == [
        "kafka",
        "redis",
        "ingress",
        "admission",
        "job-state",
        "metering",
        "ocr",
        "ocr-2",
        "ocr-3",
        "stt",
        "llm",
    ]


def test_what_is_given_by_address_is_not_started(tmp_path: Path) -> None:
    names = plan(tmp_path, {}, GATEWAY_KAFKA_BOOTSTRAP="example:9092", GATEWAY_REDIS_URL="redis://example:6379/0")
    assert names == ["ingress", "admission", "job-state", "metering", "ocr", "stt", "llm"]


def test_a_taken_port_is_named_with_its_use_and_the_variable_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            require_free([PortUse(port, "the REST API", "GATEWAY_HTTP_PORT")])
    assert f"port {port} (the REST API)" in caught.value.message
    assert "GATEWAY_HTTP_PORT" in caught.value.remedy


def test_one_port_wanted_for_two_things_is_refused() -> None:
    port = pick_free()
    with pytest.raises(PortTaken, match="wanted for Kafka and for Redis"):
        require_free([PortUse(port, "Kafka", "GATEWAY_KAFKA_PORT"), PortUse(port, "Redis", "GATEWAY_REDIS_PORT")])


def test_chosen_ports_are_kept_unless_somebody_took_them(tmp_path: Path) -> None:
    book = tmp_path / "ports.json"
    port = PortBook(book).of("ocr")
    assert PortBook(book).of("ocr") == port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        other = PortBook(book).of("ocr")
    assert other != port
    assert is_free(other)


def test_a_log_is_cut_when_it_is_too_long_and_its_content_kept_once(tmp_path: Path) -> None:
    log = tmp_path / "ocr.log"
    assert not rotate(log, limit_bytes=10)
    with log.open("ab") as writer:
        writer.write(b"old old old old\n")
        writer.flush()
        assert rotate(log, limit_bytes=10)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "ocr.log.1").read_bytes() == b"old old old old\n"


def test_the_reason_of_a_death_is_its_last_line_in_plain_words(tmp_path: Path) -> None:
    log = tmp_path / "ocr.log"
    log.write_text('yesterday\n{"event":"no engine","error":"tesseract is missing","level":"error"}\n\n')
    assert death_reason(log, 0, 1) == "exit code 1: no engine tesseract is missing"
    assert death_reason(log, log.stat().st_size, 1) == "exit code 1"
    assert death_reason(log, 0, -9) == "ended by SIGKILL"


def test_last_lines_of_a_missing_log_are_none(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log", 5) == []


def test_states_survive_the_file_and_a_broken_file_is_no_states(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    states = [ServiceStatus("ocr-2", "ocr", 17, "ready", 9100, 1, "")]
    write_states(file, states)
    assert read_states(file) == states
    file.write_text("{")
    assert read_states(file) == []


def test_the_environment_wins_over_dotenv_and_default_folders_are_the_projects(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "# comment\nexport GATEWAY_HTTP_PORT='8081'\nGATEWAY_KAFKA_PORT=1\nGATEWAY_MODULES_DIR=mine\n"
    )
    env = read_environment({"GATEWAY_KAFKA_PORT": "2"}, root=tmp_path)
    assert env["GATEWAY_HTTP_PORT"] == "8081"
    assert env["GATEWAY_KAFKA_PORT"] == "2"
    assert env["GATEWAY_MODULES_DIR"] == str(tmp_path / "mine")
    assert env["GATEWAY_DATA_DIR"] == str(tmp_path / ".gateway")
    assert read_environment({"GATEWAY_DATA_DIR": "here"}, root=tmp_path)["GATEWAY_DATA_DIR"] == "here"
