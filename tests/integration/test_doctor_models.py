"""What `gateway doctor` says of the model servers, those of `models.yml` included."""

from pathlib import Path

from cli.doctor import Check, Installation, check_model_servers
from cli.stack.launch import Stack
from streams.settings import Settings
from tests.integration.chat_harness import Sims

_FILE = """\
upstreams:
  native: {{kind: ollama, url: "{native}"}}
  paid: {{kind: openai, url: "{compatible}/v1", key_env: SIM_KEY}}
  gone: {{kind: ollama, url: "http://127.0.0.1:1"}}
models:
  tiny: {{upstreams: [{{upstream: native, model: "{model}"}}, {{upstream: paid, model: any}}{more}]}}
"""
_GONE = ", {upstream: gone, model: tiny}"


async def examined(folder: Path, text: str, key: str = "sim-secret", **env: str) -> Check:
    """Have the doctor look at an installation with this `models.yml`."""
    (folder / "models.yml").write_text(text)
    env |= {
        "GATEWAY_DATA_DIR": str(folder),
        "GATEWAY_MODELS_FILE": str(folder / "models.yml"),
        "SIM_KEY": key,
    }
    settings = Settings.from_env(env)
    return await check_model_servers(Installation(env, Stack(env, settings)))


def written(sims: Sims, model: str = "tiny", more: str = _GONE) -> str:
    """A file over the simulators."""
    return _FILE.format(native=sims.native.url, compatible=sims.compatible.url, model=model, more=more)


async def test_a_server_that_is_down_is_named_with_what_to_do(sims: Sims, tmp_path: Path) -> None:
    check = await examined(tmp_path, written(sims))
    assert (check.ok, check.detail) == (False, "gone cannot be reached")
    assert "models.yml" in check.remedy


async def test_a_wrong_key_and_a_missing_model_are_told(sims: Sims, tmp_path: Path) -> None:
    check = await examined(tmp_path, written(sims, model="nowhere"), key="wrong")
    native, paid, _ = check.detail.split("; ", 2)
    assert native == "native lacks nowhere"
    assert paid.startswith("paid refuses us (status 401)")
    assert "wrong" not in check.detail


async def test_all_is_well_when_all_answer(sims: Sims, tmp_path: Path) -> None:
    lines = [line for line in written(sims, more="").splitlines() if "gone" not in line]
    check = await examined(tmp_path, "\n".join(lines))
    assert (check.ok, check.remedy) == (True, "")


async def test_a_key_may_come_from_a_file_of_keys(sims: Sims, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the simulator\n\nSIM_KEY = sim-secret\n")
    lines = [line for line in written(sims, more="").splitlines() if "gone" not in line]
    check = await examined(tmp_path, "\n".join(lines), key="", GATEWAY_UPSTREAM_KEYS_FILE=str(tmp_path / "keys"))
    assert (check.ok, check.remedy) == (True, "")


async def test_a_file_that_cannot_be_used_is_told_with_its_place(tmp_path: Path) -> None:
    check = await examined(tmp_path, "models: {}")
    assert not check.ok
    assert "models.yml" in check.detail
    assert check.remedy


async def test_an_ollama_that_refuses_our_name_for_it_is_told_from_one_that_is_down(sims: Sims, tmp_path: Path) -> None:
    await sims.native.set(refuse_host=True)
    check = await examined(tmp_path, written(sims, more=""))
    await sims.native.reset()
    assert not check.ok
    assert check.detail.startswith("native refuses us (status 403)")
    assert "Host header that is a name" in check.detail
