"""From a word in the settings to a credential of azure-identity."""

from __future__ import annotations

from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from pydantic import SecretStr

from agent_tasks.errors import ConfigurationError
from agent_tasks.loopback import is_loopback
from agent_tasks.settings import CredentialKind


def make_credential(
    kind: CredentialKind, token: SecretStr | None = None, *, endpoint: str
) -> TokenCredential | SecretStr | None:
    """The credential of a kind. Nothing is asked of the network before the first request.

    The blocking credentials are used (in a thread, by the client): the async ones would need a second HTTP
    stack.

    Args:
        kind: which.
        token: a bearer token for the Agents service, for kind `token`.
        endpoint: where it is for. A service on this machine is not Azure: `default` is no credential there.

    Raises:
        ConfigurationError: kind `token` without a token.
    """
    if kind is CredentialKind.TOKEN:
        if token is None or not token.get_secret_value():
            raise ConfigurationError(
                "The credential kind is `token`, but there is none: set AGENT_TASKS_TOKEN or the block's."
            )
        return token
    if kind is CredentialKind.DEFAULT and is_loopback(urlsplit(endpoint).hostname or ""):
        return None
    from azure import identity  # half a second: only where somebody signs in

    match kind:
        case CredentialKind.DEFAULT:
            return identity.DefaultAzureCredential()
        case CredentialKind.MANAGED_IDENTITY:
            return identity.ManagedIdentityCredential()
        case CredentialKind.WORKLOAD:
            return identity.WorkloadIdentityCredential()
        case CredentialKind.CLI:
            return identity.AzureCliCredential()
        case CredentialKind.ENVIRONMENT:
            return identity.EnvironmentCredential()
