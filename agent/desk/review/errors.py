"""What `fleeting review` raises."""

from agent.base.errors import AgentError


class ReviewError(AgentError):
    """A folder, a key or an answer cannot be used; the text says what to do."""
