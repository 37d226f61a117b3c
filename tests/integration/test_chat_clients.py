"""The official clients of OpenAI and Ollama, unchanged, against ingress over both kinds of model servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import ollama
import openai
import orjson
import pytest
import pytest_asyncio

from tests.integration.chat_harness import COMPATIBLE, NATIVE, OnTheLog, Sims, chat_ingress, own_service
from tests.integration.ingress_harness import Ingress, own_database

pytestmark = pytest.mark.kafka
MODELS = pytest.mark.parametrize("model", [NATIVE, COMPATIBLE])
ASK: Any = [{"role": "user", "content": "안녕하세요, what is new?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA: Any = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
Run = Callable[[Callable[[], Any]], Awaitable[Any]]


@pytest_asyncio.fixture(scope="module")
async def ingress(
    kafka: str, redis_url: str, sims: Sims, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ingress]:
    folder = tmp_path_factory.mktemp("chat")
    async with chat_ingress(kafka, own_database(redis_url, 8), folder, sims) as running:
        yield running


@pytest_asyncio.fixture
async def service(sims: Sims) -> str:
    await sims.reset()
    return own_service()


@pytest_asyncio.fixture
async def key(ingress: Ingress, service: str) -> str:
    return await ingress.key(service, ("chat",))


@pytest_asyncio.fixture
async def asking(ingress: Ingress, key: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{ingress.base_url}/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def native(ingress: Ingress, key: str) -> ollama.AsyncClient:
    return ollama.AsyncClient(ingress.base_url, headers={"Authorization": f"Bearer {key}"})


@MODELS
async def test_openai_chat_whole(asking: openai.AsyncOpenAI, model: str, sims: Sims) -> None:
    answer = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=9)
    assert (answer.model, answer.object) == (model, "chat.completion")
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage
    counts = await sims.of(model).idle()
    assert (answer.usage.completion_tokens, answer.usage.prompt_tokens) == (9, counts["prompt_tokens"])


@MODELS
@pytest.mark.parametrize("include_usage", [True, False])
async def test_openai_chat_streamed(asking: openai.AsyncOpenAI, model: str, include_usage: bool) -> None:
    more: Any = {"stream_options": {"include_usage": True}} if include_usage else {}
    stream = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=7, stream=True, **more)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert {c.model for c in chunks} == {model}
    told = [c.usage for c in chunks if c.usage]
    assert [u.completion_tokens for u in told] == ([7] if include_usage else [])


@MODELS
async def test_openai_sync_client(ingress: Ingress, key: str, model: str) -> None:
    def ask() -> tuple[str | None, str, int]:
        with openai.OpenAI(base_url=f"{ingress.base_url}/v1", api_key=key, max_retries=0) as client:
            whole = client.chat.completions.create(model=model, messages=ASK, max_tokens=5, seed=1)
            parts = client.chat.completions.create(model=model, messages=ASK, max_tokens=5, seed=1, stream=True)
            text = "".join(c.choices[0].delta.content or "" for c in parts if c.choices)
            vectors = client.embeddings.create(model=model, input=["a", "b", "c"])
            return whole.choices[0].message.content, text, len(vectors.data)

    whole, streamed, vectors = await asyncio.to_thread(ask)
    assert whole == streamed
    assert vectors == 3


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_openai_tools(asking: openai.AsyncOpenAI, model: str, stream: bool) -> None:
    if stream:
        arguments, name, finish = "", "", ""
        async for chunk in await asking.chat.completions.create(model=model, messages=ASK, tools=[TOOL], stream=True):
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or []:
                    assert call.function
                    name += call.function.name or ""
                    arguments += call.function.arguments or ""
    else:
        answer = await asking.chat.completions.create(model=model, messages=ASK, tools=[TOOL])
        (call,) = answer.choices[0].message.tool_calls or []
        name, arguments, finish = call.function.name, call.function.arguments, answer.choices[0].finish_reason
    assert (name, finish) == ("weather", "tool_calls")
    assert "city" in orjson.loads(arguments)


@MODELS
async def test_openai_json_schema(asking: openai.AsyncOpenAI, model: str) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
    answer = await asking.chat.completions.create(model=model, messages=ASK, response_format=form)
    assert set(orjson.loads(answer.choices[0].message.content or "")) == {"name", "age"}


@MODELS
async def test_openai_log_probabilities_stops_json_objects_and_images(asking: openai.AsyncOpenAI, model: str) -> None:
    told = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=5, logprobs=True, top_logprobs=2)
    assert told.choices[0].logprobs
    assert [len(token.top_logprobs) for token in told.choices[0].logprobs.content or []] == [2] * 5

    whole = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=9, seed=6)
    text = whole.choices[0].message.content or ""
    stop = text.split()[2]
    short = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=9, seed=6, stop=[stop])
    said = short.choices[0].message.content or ""
    assert text.startswith(said)
    assert stop not in said
    assert said
    assert short.choices[0].finish_reason == "stop"

    form: Any = {"type": "json_object"}
    answer = await asking.chat.completions.create(model=model, messages=ASK, response_format=form)
    assert isinstance(orjson.loads(answer.choices[0].message.content or ""), dict)

    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    seen: Any = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    assert (await asking.chat.completions.create(model=model, messages=seen, max_tokens=3)).choices[0].message.content


@MODELS
async def test_openai_completions(asking: openai.AsyncOpenAI, model: str) -> None:
    whole = await asking.completions.create(model=model, prompt="Once upon", max_tokens=6, seed=3)
    stream = await asking.completions.create(model=model, prompt="Once upon", max_tokens=6, seed=3, stream=True)
    assert whole.choices[0].text == "".join([c.choices[0].text async for c in stream if c.choices])


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_openai_completions_tell_log_probabilities_in_their_own_shape(
    asking: openai.AsyncOpenAI, model: str, stream: bool
) -> None:
    asked: Any = await asking.completions.create(
        model=model, prompt="Once upon", max_tokens=6, seed=3, logprobs=2, stream=stream
    )
    choices = [c.choices[0] async for c in asked if c.choices] if stream else [asked.choices[0]]
    told = [choice.logprobs for choice in choices if choice.logprobs]
    tokens = [token for one in told for token in one.tokens]
    assert len(tokens) == 6
    assert "".join(tokens) == "".join(choice.text for choice in choices)
    assert [at for one in told for at in one.text_offset] == [len("".join(tokens[:i])) for i in range(6)]
    values = [value for one in told for value in one.token_logprobs]
    alternatives = [top for one in told for top in one.top_logprobs]
    assert all(top[token] == value for token, value, top in zip(tokens, values, alternatives, strict=True))
    assert all(len(top) >= 2 for top in alternatives)


@MODELS
async def test_openai_embeddings(asking: openai.AsyncOpenAI, model: str) -> None:
    # The client asks for base64 by itself, and decodes it.
    answer = await asking.embeddings.create(model=model, input=["one", "two"])
    floats = await asking.embeddings.create(model=model, input=["one", "two"], encoding_format="float")
    assert [len(e.embedding) for e in answer.data] == [64, 64]
    assert answer.data[0].embedding == pytest.approx(floats.data[0].embedding, rel=1e-5)


async def test_openai_models(asking: openai.AsyncOpenAI) -> None:
    assert [m.id async for m in asking.models.list()] == [NATIVE, COMPATIBLE]
    assert (await asking.models.retrieve(NATIVE)).id == NATIVE


async def test_openai_errors(asking: openai.AsyncOpenAI, ingress: Ingress, service: str) -> None:
    with pytest.raises(openai.NotFoundError, match=r"'nope' not found.*tiny, gpt"):
        await asking.chat.completions.create(model="nope", messages=ASK)
    with pytest.raises(openai.PermissionDeniedError, match="not open to the service"):
        await asking.chat.completions.create(model="secret", messages=ASK)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        await asking.chat.completions.create(model=NATIVE, messages=ASK, temperature=-1)
    image: Any = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    with pytest.raises(openai.BadRequestError, match="fetches nothing"):
        await asking.chat.completions.create(model=NATIVE, messages=[{"role": "user", "content": image}])
    form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
    with pytest.raises(openai.BadRequestError, match="JSON Schema"):
        await asking.chat.completions.create(model=NATIVE, messages=ASK, response_format=form)
    with pytest.raises(openai.AuthenticationError, match="not known") as refused:
        await asking.with_options(api_key=f"gw_{'0' * 12}_{'0' * 40}").models.list()
    assert refused.value.code == "invalid_key"
    jobs_only = await ingress.key(service, ("jobs",))
    with pytest.raises(openai.PermissionDeniedError, match="scope chat"):
        await asking.with_options(api_key=jobs_only).chat.completions.create(model=NATIVE, messages=ASK)


@MODELS
async def test_ollama_chat(native: ollama.AsyncClient, model: str, sims: Sims) -> None:
    whole = await native.chat(model, ASK, options={"num_predict": 6, "seed": 4})
    parts = [p async for p in await native.chat(model, ASK, options={"num_predict": 6, "seed": 4}, stream=True)]
    assert whole.message.content == "".join(p.message.content or "" for p in parts)
    for last in (whole, parts[-1]):
        assert (last.model, last.done, last.eval_count) == (model, True, 6)
    assert whole.prompt_eval_count == (await sims.of(model).idle())["prompt_tokens"] // 2


@MODELS
async def test_ollama_sync_client(ingress: Ingress, key: str, model: str) -> None:
    def ask() -> tuple[str | None, str]:
        client = ollama.Client(ingress.base_url, headers={"Authorization": f"Bearer {key}"})
        whole = client.generate(model, "Once", options={"num_predict": 5, "seed": 2})
        parts = client.generate(model, "Once", options={"num_predict": 5, "seed": 2}, stream=True)
        return whole.response, "".join(p.response or "" for p in parts)

    whole, streamed = await asyncio.to_thread(ask)
    assert whole
    assert whole == streamed


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_ollama_log_probabilities_of_a_raw_prompt(ingress: Ingress, key: str, model: str, stream: bool) -> None:
    """A raw prompt goes to /v1/completions where the server is OpenAI-compatible, whose shape is another."""
    body = {"model": model, "prompt": "Once", "raw": True, "logprobs": True, "top_logprobs": 2, "stream": stream}
    async with ingress.client(key) as http:
        answer = await http.post("/api/generate", json={**body, "options": {"num_predict": 4, "seed": 3}})
    events = [orjson.loads(line) for line in answer.text.splitlines()]
    told = [entry for event in events for entry in event.get("logprobs") or ()]
    assert "".join(entry["token"] for entry in told) == "".join(event["response"] for event in events)
    assert [sorted(entry) for entry in told] == [["bytes", "logprob", "token", "top_logprobs"]] * 4
    assert all(len(entry["top_logprobs"]) >= 2 for entry in told)


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_ollama_tools(native: ollama.AsyncClient, model: str, stream: bool) -> None:
    calls: list[Any] = []
    if stream:
        async for part in await native.chat(model, ASK, tools=[TOOL], stream=True):
            calls += part.message.tool_calls or []
    else:
        calls += (await native.chat(model, ASK, tools=[TOOL])).message.tool_calls or []
    assert [(c.function.name, list(c.function.arguments)) for c in calls] == [("weather", ["city"])]


@MODELS
async def test_ollama_json_schema_and_embeddings(native: ollama.AsyncClient, model: str) -> None:
    answer = await native.chat(model, ASK, format=SCHEMA)
    assert set(orjson.loads(answer.message.content or "")) == {"name", "age"}
    embedded = await native.embed(model, ["a", "b"])
    assert [len(v) for v in embedded.embeddings] == [64, 64]


async def test_ollama_listings(native: ollama.AsyncClient, ingress: Ingress, key: str) -> None:
    assert [m.model for m in (await native.list()).models] == [NATIVE, COMPATIBLE]
    shown = await native.show(NATIVE)
    assert shown.capabilities
    async with ingress.client(key) as http:
        assert (await http.get("/api/version")).json()["version"]


async def test_ollama_errors(native: ollama.AsyncClient, ingress: Ingress) -> None:
    with pytest.raises(ollama.ResponseError, match="'nope' not found") as unknown:
        await native.chat("nope", ASK)
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="num_predict") as wrong:
        await native.chat(NATIVE, ASK, options={"num_predict": 0})
    assert wrong.value.status_code == 400
    with pytest.raises(ollama.ResponseError) as anonymous:
        await ollama.AsyncClient(ingress.base_url).chat(NATIVE, ASK)
    assert anonymous.value.status_code == 401


@MODELS
@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_is_on_the_log_and_on_the_ledger(
    asking: openai.AsyncOpenAI, on_the_log: OnTheLog, service: str, sims: Sims, model: str, stream: bool
) -> None:
    asked: Any = await asking.chat.completions.create(model=model, messages=ASK, max_tokens=8, stream=stream)
    if stream:
        _ = [chunk async for chunk in asked]
    (used,) = await on_the_log.usage_of(service)
    (request,) = on_the_log.requests_of(service)
    counts = await sims.of(model).idle()
    assert (used.usage.completion_tokens, used.usage.prompt_tokens) == (counts["tokens_sent"], counts["prompt_tokens"])
    assert (used.outcome, used.module, used.model, used.lane, used.final) == (
        "done",
        "chat",
        model,
        "interactive",
        True,
    )
    assert used.upstream == ("native" if model == NATIVE else "compatible")
    assert used.request_id == request.request_id
    assert request.content
    assert orjson.loads(request.content.inline or b"")["messages"] == ASK
    assert (request.dialect, request.task, request.model, request.stream) == ("openai", "chat", model, stream)
