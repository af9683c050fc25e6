"""https with a generated certificate, and with a given one."""

from __future__ import annotations

import json
import ssl
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents_emulator.server import main
from agents_emulator.tls import local_certificate


def trust(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_a_generated_certificate_serves_this_machine(service: Any) -> None:
    running = service(process=True, options=["--tls"])
    ready = json.loads((running.data_dir / "ready.json").read_text(encoding="utf-8"))
    assert running.endpoint.startswith("https://127.0.0.1:")
    certificate = Path(ready["certificate"])
    assert certificate.parent == running.data_dir
    assert str(certificate) in (running.data_dir / "service.log").read_text(encoding="utf-8")
    context = trust(certificate)
    for host in ("127.0.0.1", "localhost"):
        url = running.endpoint.replace("127.0.0.1", host)
        assert httpx.get(f"{url}/assistants?api-version=v1", verify=context).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(running.endpoint)


def test_files_are_private_and_kept(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, "127.0.0.1")
    for path in (files.certificate, files.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = files.certificate.read_bytes()
    assert local_certificate(tmp_path, "localhost").certificate.read_bytes() == content
    local_certificate(tmp_path, "agents.example")
    renewed = files.certificate.read_bytes()
    assert renewed != content
    files.key.write_bytes(b"damaged")
    local_certificate(tmp_path, "127.0.0.1")
    assert files.certificate.read_bytes() != renewed


def test_a_given_certificate_is_served(service: Any, tmp_path: Path) -> None:
    files = local_certificate(tmp_path, "127.0.0.1")
    options = ["--certificate", str(files.certificate), "--key", str(files.key)]
    running = service(process=True, options=options)
    answer = httpx.get(f"{running.endpoint}/threads?api-version=v1", verify=trust(files.certificate))
    assert answer.status_code == 200


def test_an_unusable_certificate_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate", encoding="utf-8")
    options = ["--data-dir", str(tmp_path), "--model", f"scripted:{_rules(tmp_path)}"]
    assert main([*options, "--certificate", str(wrong), "--key", str(wrong)]) == 2
    assert f"cannot serve with --certificate {wrong}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*options, "--certificate", str(wrong)])
    assert "--certificate and --key go together" in capsys.readouterr().err


def _rules(folder: Path) -> Path:
    path = folder / "rules.yaml"
    path.write_text("default: {reply: {text: hello}}", encoding="utf-8")
    return path
