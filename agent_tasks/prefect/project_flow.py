"""Flows with a parameter `project`: what is wrong in it is refused before the server is told of the run."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from pydantic import ValidationError

from agent_tasks.errors import ConfigurationError
from agent_tasks.prefect.blocks import AgentsProject

P = ParamSpec("P")
R = TypeVar("R")


class ProjectFlow(Flow[..., Any]):
    """A flow whose parameter `project` is checked, and its token hidden, before a flow run is made.

    Prefect sends the parameters as they were given, and checks them after that: a token, also one under a
    misspelt name, would stand on the server in clear text.
    """

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as the server keeps them.

        Raises:
            ConfigurationError: the project has an unknown field, or an impossible value.
        """
        given = parameters.get("project")
        if isinstance(given, dict) and "$ref" not in given:  # a reference to a saved block has no values
            parameters = {**parameters, "project": _checked(given)}
        return super().serialize_parameters(parameters)

    def with_options(self, **options: Any) -> Any:
        """A flow with other options, of the same kind."""
        return closed(super().with_options(**options))


def closed(flow: Flow[P, R]) -> Flow[P, R]:
    """Make a flow a `ProjectFlow`. Above `@flow`, which Prefect looks for when it reads a file."""
    made: Any = flow
    made.__class__ = ProjectFlow
    return flow


def _checked(given: dict[str, Any]) -> AgentsProject:
    try:
        return AgentsProject.model_validate(dict(given))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
        raise ConfigurationError(
            f"The parameter `project` is not a project block: {said}. Nothing was started.", setting="project"
        ) from None
