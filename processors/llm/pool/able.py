"""Which of a model's servers can take a call, judged by their protocol alone. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from processors.llm.pool.models import PublicModel, Upstream
from processors.llm.protocols.requests import upstream_request
from processors.llm.protocols.values import Call
from schemas.errors import InvalidInput


def able(model: PublicModel, call: Call, upstreams: Mapping[str, Upstream]) -> PublicModel:
    """Return a model with those of its servers whose protocol can express a call.

    One whose servers are all of a kind is returned as it is: sending the call tells what is wrong with it.
    """
    kinds = {upstreams[route.upstream].kind for route in model.routes}
    if len(kinds) < 2:
        return model
    try:
        for kind in kinds - {call.dialect}:
            upstream_request(call, kind, model.name)
    except InvalidInput:
        own = tuple(route for route in model.routes if upstreams[route.upstream].kind is call.dialect)
        return replace(model, routes=own)
    return model
