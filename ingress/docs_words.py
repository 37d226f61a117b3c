"""The words of `/docs` in Korean and English, and which of the two a reader gets."""

from collections.abc import Mapping

from fastapi import Request

KOREAN: Mapping[str, str] = {
    "One door for all AI models: send a document, get a job, read its result. "
    "Every request needs an API key: `Authorization: Bearer KEY` or `X-API-Key: KEY`.": (
        "모든 AI 모델로 가는 하나의 문입니다. 문서를 보내고, 작업 번호를 받고, 결과를 읽습니다. "
        "모든 요청에는 API 키가 필요합니다: `Authorization: Bearer KEY` 또는 `X-API-Key: KEY`."
    ),
    "The machine-readable description is at": "기계가 읽는 명세는 여기에 있습니다:",
    "Examples": "예제",
    "Calls": "호출 (설명은 영어)",
    "Before the first call": "첫 호출 전에",
    "Submit a document, and keep the id of its job": "문서를 보내고 작업 번호 보관하기",
    "Submit several images as the pages of one document, safely repeatable": (
        "이미지 여러 장을 한 문서의 쪽으로 보내기 (같은 요청을 되풀이해도 한 번만 처리)"
    ),
    "Wait for the result": "결과 기다리기",
    "Follow a job": "작업의 진행 따라가기",
    "List your jobs": "내 작업 목록",
    "Cancel a job": "작업 취소",
    "Upload once, use it in several jobs": "한 번 올려 여러 작업에 쓰기",
    "What your service has used this month, by module and day": "이번 달 우리 서비스의 사용량, 모듈·날짜별",
    "What models there are, for any OpenAI client (its base_url is this address with /v1) or Ollama client": (
        "쓸 수 있는 모델 (OpenAI 클라이언트는 base_url에 이 주소와 /v1, Ollama 클라이언트도 가능)"
    ),
    "Write down a recording, as with OpenAI's client (also /v1/audio/translations)": (
        "녹음 받아쓰기, OpenAI 클라이언트와 같은 방식 (/v1/audio/translations도 가능)"
    ),
    "What modules there are": "쓸 수 있는 모듈",
}


def language_of(request: Request) -> str:
    """Return `ko` or `en`: what `?lang=` says, else the first of the two that the browser prefers, else English."""
    asked = request.query_params.get("lang", "")
    preferred = [part.partition(";")[0].strip()[:2].lower() for part in _accepted(request)]
    return next((tongue for tongue in (asked, *preferred) if tongue in ("ko", "en")), "en")


def word(text: str, language: str) -> str:
    """Return a text of the page in a language; what has no translation stays English."""
    return KOREAN.get(text, text) if language == "ko" else text


def _accepted(request: Request) -> list[str]:
    # Browsers send their preferences in order, so the weights need not be read.
    return request.headers.get("accept-language", "").split(",")
