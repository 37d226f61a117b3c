"""The trace of a request, or of a job, reaches the model server that works on it."""

from pathlib import Path

import pytest

from processors.llm.pool.models import Catalogue, PublicModel, Route, Upstream
from processors.llm.pool.opening import open_pool
from processors.llm.protocols.values import Dialect
from processors.llm.stage import LlmStage
from streams.settings import Settings
from streams.storage.checkpoints import MemoryCheckpoints
from tests.builders import own_stage, stage_request
from tests.integration.chat_harness import COMPATIBLE, NATIVE, chat_ingress, own_service, simulators
from tests.integration.ingress_harness import own_database
from tests.integration.worker_harness import bench
from tests.sim.launch import simulator

pytestmark = pytest.mark.kafka
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_a_calls_trace_goes_on_to_servers_of_both_kinds(kafka: str, redis_url: str, tmp_path: Path) -> None:
    with simulators() as sims:
        async with (
            chat_ingress(kafka, own_database(redis_url, 9), tmp_path, sims) as ingress,
            ingress.client(await ingress.key(own_service(), ("chat",))) as http,
        ):
            for model in (NATIVE, COMPATIBLE):
                body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
                for headers in ({"traceparent": TRACE}, {"traceparent": "garbage"}):
                    answer = await http.post("/v1/chat/completions", json=body, headers=headers)
                    assert answer.status_code == 200, answer.text
                given, own = (await sims.of(model).counts(each=True))["calls"]
                assert given["trace"] == TRACE
                assert len(own["trace"]) == len(TRACE), "a call without a trace begins one"


async def test_a_jobs_trace_goes_on_to_the_server(kafka: str) -> None:
    with simulator() as sim:
        catalogue = Catalogue(
            {"sim": Upstream("sim", Dialect.OLLAMA, sim.url, 8)},
            {"tiny": PublicModel("tiny", (Route("sim", "tiny:latest"),))},
        )
        async with open_pool(catalogue, discover=False) as pool:
            stage = LlmStage(Settings.from_env({}), {}, MemoryCheckpoints())
            stage.use(pool)
            async with bench(kafka, own_stage("llm")) as it, it.worker(stage.handle):
                request = stage_request(it.stage.kind)
                await it.send(request, headers={"traceparent": TRACE.encode()})
                assert (await it.result(request)).status == "done"
        assert [call["trace"] for call in (await sim.counts(each=True))["calls"]] == [TRACE]
