"""The llm process: `python -m processors.llm`. Letters, calls to models where there are model servers, the no-op."""

import os

from processors.llm.gongmun_stage import GONGMUN, GongmunStage
from processors.llm.stage import NO_SERVER, LlmStage
from processors.noop import NOOP
from schemas.topics import LLM
from streams.runtime.run import run
from streams.settings import Settings
from streams.storage.checkpoints import open_checkpoints


def main() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_env(os.environ)
    served = [NOOP] if settings.noop else []
    preload = ("processors.llm.gongmun.child", "processors.llm.answer_check", "processors.llm.filling")
    if not (settings.ollama_urls or settings.models_file.exists()):
        run(GONGMUN, *served, settings=settings, name="llm", preload=preload, absent={LLM.kind: NO_SERVER})
        return
    stage = LlmStage(settings, os.environ, open_checkpoints(settings.blob_url))
    letters = GongmunStage(stage.pool).processor
    run(letters, *served, stage.processor, settings=settings, name="llm", preload=preload, prepare=stage.open)


if __name__ == "__main__":
    main()
