"""Every call of a model goes through LiteLLM's `completion`: here it is counted, with
the provider's own token numbers, and its streamed text is passed on as it comes."""

import interrupts


class Meter:
    """updates: where usage and streamed text go. context_size(): of the main model."""

    def __init__(self, updates, context_size):
        self._updates = updates
        self._context_size = context_size
        self._litellm = None

    @property
    def attached(self):
        return self._litellm is not None

    def attach(self, litellm):
        """Puts itself before litellm.completion."""
        self._completion = litellm.completion
        litellm.completion = self.completion
        self._litellm = litellm

    def completion(self, *args, **kwargs):
        kwargs.setdefault("max_retries", 0)  # aider retries by itself, and says so
        if kwargs.get("stream"):
            kwargs.setdefault("stream_options", {"include_usage": True})
            stream = self._completion(*args, **kwargs)
            return MeteredStream(self, stream, kwargs)
        answer = self._completion(*args, **kwargs)
        self.record(kwargs["model"], getattr(answer, "usage", None), answer)
        return answer

    def record(self, model, usage, answer=None, estimated=False):
        if usage is None:
            return
        tokens_in = int(getattr(usage, "prompt_tokens", 0) or 0)
        tokens_out = int(getattr(usage, "completion_tokens", 0) or 0)
        call = {
            "model": model,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "tokens_cached": _cached(usage),
            "dollars": self._dollars(model, usage, answer),
        }
        if estimated:
            call["estimated"] = True
        with interrupts.masked():
            self._updates.usage(call, self._context_size())

    def _dollars(self, model, usage, answer):
        """What the provider says it cost; else LiteLLM's price; else aider's own
        metadata; else None."""
        told = getattr(usage, "cost", None)
        if isinstance(told, (int, float)):
            return float(told)
        litellm = self._litellm
        try:
            if answer is None:
                answer = litellm.ModelResponse(model=model, usage=usage)
            return float(litellm.completion_cost(completion_response=answer, model=model))
        except Exception:  # LiteLLM raises a bare Exception for a model without a price
            pass
        from aider.models import model_info_manager

        info = model_info_manager.get_model_info(model)
        price_in, price_out = info.get("input_cost_per_token"), info.get("output_cost_per_token")
        if price_in is None or price_out is None:
            return None
        cached = _cached(usage)
        price_cached = info.get("cache_read_input_token_cost")
        price_cached = price_in if price_cached is None else price_cached
        full = max(int(usage.prompt_tokens or 0) - cached, 0)
        tokens_out = int(usage.completion_tokens or 0)
        return full * price_in + cached * price_cached + tokens_out * price_out

    def estimate(self, kwargs, text):
        """Usage of a stream that was cut off: counted here, since no number came."""
        litellm = self._litellm
        model = kwargs["model"]
        try:
            tokens_in = litellm.token_counter(model=model, messages=kwargs["messages"])
            tokens_out = litellm.token_counter(model=model, text=text) if text else 0
        except Exception:  # no tokenizer for the model: four characters a token
            tokens_in = sum(len(str(m.get("content") or "")) for m in kwargs["messages"]) // 4
            tokens_out = len(text) // 4
        return litellm.Usage(
            prompt_tokens=tokens_in,
            completion_tokens=tokens_out,
            total_tokens=tokens_in + tokens_out,
        )

    def delta(self, text, thought):
        if thought:
            self._updates.thought(thought)
        if text:
            self._updates.message(text)


def _cached(usage):
    details = getattr(usage, "prompt_tokens_details", None)
    for owner, name in (
        (details, "cached_tokens"),
        (usage, "cache_read_input_tokens"),
        (usage, "prompt_cache_hit_tokens"),
    ):
        value = getattr(owner, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return 0


class MeteredStream:
    """Passes chunks on as they come; the last one, which says why it ended, is held
    until the usage that follows it is known, because aider may stop reading there."""

    def __init__(self, meter, stream, kwargs):
        self._meter = meter
        self._kwargs = kwargs
        self._text = []
        self._stream = stream
        self.usage = None  # read by aider when the stream has ended
        self._chunks = self._run()

    def __iter__(self):
        return self._chunks

    def close(self):
        """Ends it where it is; what came is counted."""
        self._chunks.close()

    def _run(self):
        held = []
        counted = False
        try:
            for chunk in self._stream:
                self.usage = getattr(chunk, "usage", None) or self.usage
                choices = getattr(chunk, "choices", None)
                if not choices:
                    continue
                self._show(choices[0])
                if held or getattr(choices[0], "finish_reason", None):
                    held.append(chunk)
                else:
                    yield chunk
            counted = True
            told = self._told()
            self.usage = told or self.usage
            if self.usage is None:
                self._count_here()
            else:
                self._meter.record(self._kwargs["model"], self.usage, estimated=told is None)
            yield from held
        finally:
            if not counted:
                with interrupts.masked():
                    self._hang_up()
                    if self._text:
                        self._count_here()

    def _told(self):
        """The provider's own numbers. LiteLLM's last chunk has its own count for some
        providers (OpenRouter), and drops the cost for all; what came is kept beside it."""
        for chunk in reversed(getattr(self._stream, "chunks", None) or []):
            usage = getattr(chunk, "usage", None)
            if usage is not None and getattr(usage, "prompt_tokens", 0):
                return usage
        return None

    def _hang_up(self):
        """Closes the connection, so that the provider stops too."""
        try:
            self._stream.completion_stream.close()
        except Exception:  # not every provider's stream can be closed
            pass

    def _show(self, choice):
        delta = getattr(choice, "delta", None)
        text = getattr(delta, "content", None)
        thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if text:
            self._text.append(text)
        self._meter.delta(text, thought)

    def _count_here(self):
        self.usage = self._meter.estimate(self._kwargs, "".join(self._text))
        self._meter.record(self._kwargs["model"], self.usage, estimated=True)
