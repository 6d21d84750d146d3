"""What a model's provider did wrong, in the words of our protocol."""

import email.utils
import re
import time

_BUDGET = re.compile(
    r"insufficient (credits|quota|balance|funds)|insufficient_quota"
    r"|exceeded your current quota|billing|out of credits",
    re.I,
)
_CONTEXT = re.compile(r"context.{0,12}(length|window)|too many tokens|maximum context", re.I)
_UNAVAILABLE = {
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "BadGatewayError",
    "InternalServerError",
    "MidStreamFallbackError",
    "ServiceUnavailableError",
    "Timeout",
}
RETRY_AFTER_MAX_MS = 24 * 3600 * 1000


def kind(error):
    """authentication, rate_limit, context, unavailable, not_found, budget or other."""
    name, text = type(error).__name__, str(error)
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else 0
    if status == 402 or _BUDGET.search(text) or name == "BudgetExceededError":
        return "budget"
    if name == "ContextWindowExceededError" or (status in (400, 413) and _CONTEXT.search(text)):
        return "context"
    if status in (401, 403):
        return "authentication"
    if status == 429:
        return "rate_limit"
    if status == 404:
        return "not_found"
    if status == 408 or status >= 500 or name in _UNAVAILABLE:
        return "unavailable"
    return "other"


def retry_after_ms(error):
    """What the provider's Retry-After asks for, or None."""
    response = getattr(error, "response", None)
    for headers in (
        getattr(response, "headers", None),
        getattr(error, "litellm_response_headers", None),
        getattr(error, "headers", None),
    ):
        try:
            value = headers.get("retry-after") if headers else None
            if value is not None:
                return min(max(int(_seconds(value) * 1000), 0), RETRY_AFTER_MAX_MS)
        except (AttributeError, TypeError, ValueError, OverflowError):
            continue
    return None


def _seconds(value):
    """Seconds, or from now to an HTTP date (RFC 9110 10.2.3)."""
    try:
        return float(value)
    except ValueError:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()


def describe(error):
    """One bounded line of text."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 2000 else text[:2000] + " …"
