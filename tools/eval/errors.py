"""Why an evaluation cannot be made."""

from agent.base.errors import AgentError


class EvalError(AgentError):
    """Data, a peer's file or a package that the evaluation needs is missing."""
