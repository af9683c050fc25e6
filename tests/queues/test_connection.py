"""Connections by the settings of Azure Functions; secrets stay secret."""

from __future__ import annotations

import pytest

from agent_tasks.errors import ConfigurationError, InsecureEndpointError
from agent_tasks.queues import Storage, StorageConnection

ACCOUNT = (
    "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"
)


@pytest.mark.parametrize("name", ["STORAGE", "AzureWebJobsSTORAGE"])
async def test_connection_string_is_found_under_both_names(name: str) -> None:
    connection = StorageConnection.from_settings("STORAGE", {name: ACCOUNT})
    async with Storage(connection) as storage:
        assert storage.address == "https://acme.queue.core.windows.net"
        assert storage.queue("calls").address == "https://acme.queue.core.windows.net/calls"


def test_identity_form() -> None:
    settings = {
        "STORAGE__queueServiceUri": "https://acme.queue.core.windows.net/",
        "STORAGE__credential": "managedidentity",
        "STORAGE__clientId": "1234",
    }
    connection = StorageConnection.from_settings("STORAGE", settings)
    assert connection.queue_endpoint == "https://acme.queue.core.windows.net"
    assert (connection.identity, connection.client_id) == ("managedidentity", "1234")
    assert connection.connection_string is None


async def test_address_of_blobs_is_told_from_that_of_queues() -> None:
    connection = StorageConnection(queue_endpoint="https://acme.queue.core.windows.net")
    async with Storage(connection) as storage:
        assert storage.container("values").url == "https://acme.blob.core.windows.net/values"
    other = StorageConnection(queue_endpoint="https://127.0.0.1:1/acme", name="STORAGE")
    async with Storage(other) as storage:
        with pytest.raises(ConfigurationError, match="STORAGE__blobServiceUri"):
            storage.container("values")


async def test_development_storage_is_azurite_on_its_usual_ports() -> None:
    async with Storage(StorageConnection.from_string("UseDevelopmentStorage=true")) as storage:
        assert storage.address == "http://127.0.0.1:10001/devstoreaccount1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "STORAGE is not set: set STORAGE to a connection string, or STORAGE__queueServiceUri"),
        ({"STORAGE": "hunter2"}, "STORAGE is no connection string"),
        ({"STORAGE__queueServiceUri": "ftp://x"}, "no address of a storage account"),
        (
            {"STORAGE__queueServiceUri": "https://x.queue.core.windows.net", "STORAGE__credential": "magic"},
            "STORAGE__credential is 'magic'",
        ),
    ],
)
def test_unusable_settings_name_the_setting_and_the_remedy(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        StorageConnection.from_settings("STORAGE", settings)
    assert "hunter2" not in str(caught.value)


def test_identity_never_signs_in_over_plain_http() -> None:
    with pytest.raises(InsecureEndpointError, match="plain http"):
        StorageConnection(queue_endpoint="http://127.0.0.1:10001/devstoreaccount1")


def test_secret_is_in_no_text() -> None:
    connection = StorageConnection.from_string(ACCOUNT)
    assert "c2VjcmV0" not in f"{connection} {connection!r}"


KEY = "t0p-secret-key=="
STRING = f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"X": f"{STRING};QueueEndpiont=http://127.0.0.1:1/a"},
            "Did you mean 'QueueEndpoint'",
        ),
        (
            {"X": f"AccuontName=a;AccountKey={KEY};QueueEndpoint=https://a.example"},
            "Did you mean 'AccountName'",
        ),
        ({"X": f"https://a.example/?sig={KEY}"}, "is no connection string"),
        ({"X": ""}, "X is set, but empty"),
        ({"X": " ", "AzureWebJobsX": STRING}, "X is set, but empty"),
        ({"X": STRING, "AzureWebJobsX": STRING.replace("Name=a", "Name=b")}, "Unset all but one"),
        ({"X": STRING, "X__queueServiceUri": "https://b.queue.core.windows.net"}, "Unset all but one"),
        ({"X__queueServiceUrl": "https://b.queue.core.windows.net"}, "Did you mean 'queueServiceUri'"),
        (
            {"X__queueServiceUri": "https://b.queue.core.windows.net", "X__clientSecret": KEY},
            "'clientSecret' is not known",
        ),
        (
            {"X__queueServiceUri": "https://b.queue.core.windows.net", "X__clientID": "c"},
            "Did you mean 'clientId'",
        ),
    ],
)
def test_a_mistake_never_leaves_another_account_in_force(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        StorageConnection.from_settings("X", settings)
    assert said in str(refused.value)
    assert KEY not in str(refused.value)


def test_the_same_account_may_be_said_twice() -> None:
    StorageConnection.from_settings("X", {"X": STRING, "AzureWebJobsX": STRING})
