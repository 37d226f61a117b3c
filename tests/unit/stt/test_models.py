"""Finding a model: by directory or name, complete, and never from the network."""

from pathlib import Path

import pytest

from processors.stt.models import ModelMissing, find_model, model_folders

FILES = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json")


def make_model(folder: Path, *, without: str = "") -> Path:
    """Lay down the files of a model, all but one."""
    folder.mkdir(parents=True)
    for name in FILES:
        if name != without:
            (folder / name).write_bytes(b"x" * 10)
    return folder


def test_a_directory_is_taken_as_it_is(tmp_path: Path) -> None:
    """Its last part names the model in results."""
    folder = make_model(tmp_path / "my-whisper")
    model = find_model(str(folder), ())
    assert (model.name, model.directory, model.size) == ("my-whisper", str(folder), 10)


@pytest.mark.parametrize("missing", FILES)
def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path, missing: str) -> None:
    """Without the check, a missing tokenizer would become a look-up on the hub."""
    folder = make_model(tmp_path / "m", without=missing)
    with pytest.raises(ModelMissing, match=missing) as raised:
        find_model(str(folder), ())
    assert "model.bin" in raised.value.remedy
    assert raised.value.code == "stt_model_missing"


def test_a_name_is_found_in_the_gateways_own_folder(tmp_path: Path) -> None:
    """Aliases are those that faster-whisper has."""
    make_model(tmp_path / "large-v3-turbo")
    assert find_model("turbo", [tmp_path]).name == "turbo"
    assert find_model("", [tmp_path]).name == "large-v3-turbo"


@pytest.mark.parametrize(
    ("name", "cached"),
    [
        ("tiny", "models--Systran--faster-whisper-tiny"),
        ("turbo", "models--mobiuslabsgmbh--faster-whisper-large-v3-turbo"),
        ("distil-large-v3", "models--Systran--faster-distil-whisper-large-v3"),
        ("some/whisper-ko", "models--some--whisper-ko"),
    ],
)
def test_a_name_is_found_in_the_hubs_cache(tmp_path: Path, name: str, cached: str) -> None:
    """What somebody downloaded before is used; the newest snapshot of several."""
    folder = make_model(tmp_path / cached / "snapshots" / "0123abcd")
    assert find_model(name, [tmp_path / "none", tmp_path]).directory == str(folder)


def test_tiny_is_not_tiny_en(tmp_path: Path) -> None:
    """Names are matched whole."""
    make_model(tmp_path / "models--Systran--faster-whisper-tiny.en" / "snapshots" / "0")
    with pytest.raises(ModelMissing):
        find_model("tiny", [tmp_path])


def test_an_unknown_name_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """And where to put it."""
    with pytest.raises(ModelMissing, match="nope") as raised:
        find_model("nope", [tmp_path])
    assert str(tmp_path) in raised.value.message
    assert "GATEWAY_STT_MODEL" in raised.value.remedy


def test_an_absolute_path_that_is_not_there_is_not_taken_for_a_name(tmp_path: Path) -> None:
    """No searching about for `/srv/models/x`."""
    with pytest.raises(ModelMissing):
        find_model(str(tmp_path / "gone"), [tmp_path])


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    """The hub's own variables decide where its cache is."""
    assert model_folders(tmp_path, {"HF_HUB_CACHE": "/h"})[1] == Path("/h")
    assert model_folders(tmp_path, {"HF_HOME": "/h"})[1] == Path("/h/hub")
    assert model_folders(tmp_path, {"HOME": "/u"}) == (tmp_path / "models", Path("/u/.cache/huggingface/hub"))
