"""What a benchmark cannot do."""

from agent.base.errors import AgentError


class BenchError(AgentError):
    """A figure cannot be measured; nothing is reported in its place."""
