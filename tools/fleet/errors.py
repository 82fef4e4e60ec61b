"""What can go wrong with a fleet's files."""

from agent.base.errors import AgentError


class FleetError(AgentError):
    """A certificate, a name or a broker's folder is not as it must be."""
