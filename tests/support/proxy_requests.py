"""A request as LiteLLM's Proxy keeps it and passes it to each hook of a callback."""

from __future__ import annotations

from litellm.proxy._types import UserAPIKeyAuth

MESSAGES = [{"role": "user", "content": "Count the rows."}]


class Request:
    """One request: what the Proxy keeps of it, and passes to each hook."""

    def __init__(self, handler, user="alice", **caller):
        self.handler, self.key = handler, UserAPIKeyAuth(end_user_id=user, **caller)
        self.data = {"model": "cheap", "messages": MESSAGES, "max_tokens": 10, "metadata": {}}

    async def admit(self):
        await self.handler.async_pre_call_hook(self.key, None, self.data, "acompletion")

    async def answer(self, router):
        response = await router.acompletion(**self.data)
        await self.handler.async_post_call_success_hook(self.data, self.key, response)
        return response

    async def stream(self, router, *, is_left=False):
        response = await router.acompletion(**self.data, stream=True)
        passing = self.handler.async_post_call_streaming_iterator_hook(
            self.key, response, self.data
        )
        async for _ in passing:
            if is_left:
                break
        await passing.aclose()

    async def fail(self, **lifted):
        data = self.data | lifted
        await self.handler.async_post_call_failure_hook(data, TimeoutError(), self.key)

    async def log(self, response, cost=None):
        kwargs = {"litellm_params": {"metadata": dict(self.data["metadata"])}}
        kwargs["response_cost"] = response._hidden_params["response_cost"] if cost is None else cost
        await self.handler.async_log_success_event(kwargs, response, None, None)

    async def log_failure(self, **told):
        kwargs = {"litellm_params": {"metadata": dict(self.data["metadata"])}} | told
        await self.handler.async_log_failure_event(kwargs, None, None, None)
