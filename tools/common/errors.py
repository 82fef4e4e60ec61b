"""The error of every developer tool."""

from agent.base.errors import AgentError


class ToolError(AgentError):
    """A tool cannot do what it was asked; nothing is reported in place of a result."""
