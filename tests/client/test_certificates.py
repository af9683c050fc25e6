"""The certificates of connections are read once, and again when others are named."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from agent_tasks.client.certificates import trusted_certificates


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of one certificate, which `SSL_CERT_FILE` names."""
    path = tmp_path / "bundle.pem"
    path.write_text(_certificates(1))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def _certificates(number: int) -> str:
    end = "-----END CERTIFICATE-----\n"
    return "".join(f"{one}{end}" for one in Path(certifi.where()).read_text().split(end)[:number])


def test_clients_share_what_was_read(bundle: Path) -> None:
    assert trusted_certificates() is trusted_certificates()


def test_a_file_that_is_replaced_is_read_again(bundle: Path) -> None:
    assert len(trusted_certificates().get_ca_certs()) == 1
    bundle.write_text(_certificates(2))
    assert len(trusted_certificates().get_ca_certs()) == 2


def test_another_variable_is_another_context(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = trusted_certificates()
    monkeypatch.delenv("SSL_CERT_FILE")
    assert trusted_certificates() is not named
    assert len(trusted_certificates().get_ca_certs()) > 10


def test_a_file_that_is_missing_is_said(bundle: Path) -> None:
    bundle.unlink()
    with pytest.raises(FileNotFoundError):
        trusted_certificates()
