"""RemoteJIT over TLS with tokens: certificates that are believed and that are not, and what the errors say to do.

SPDX-License-Identifier: Apache-2.0
"""

import subprocess

import numpy as np
import pytest

import rbc
from rbc._server import find_program


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def self_signed(folder, name, hosts):
    """A certificate that is its own authority: (certificate, key)."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 2,
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}", "-keyout", key, "-out", certificate)
    return certificate, key


class TlsFarm:
    def __init__(self, folder, hosts):
        self.certificate, key = self_signed(folder, "farm", hosts)
        config = folder / "rbc-farm.toml"
        config.write_text(f'[server]\nlisten = ["tls://127.0.0.1:0", "127.0.0.1:0"]\nstate_dir = "{folder}/state"\n'
                          f'[tls]\ncertificate = "{self.certificate}"\nkey = "{key}"\n'
                          f'[auth]\ntokens_file = "{folder}/tokens.toml"\n')
        self.token = self._program(config, "--new-token", "alice").strip()
        self._process = subprocess.Popen([find_program(), "--config", config, "--until-eof"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        _, tls, plain = self._process.stdout.readline().split()
        self.port, self.plain_port = (int(address.rsplit(":", 1)[1]) for address in (tls, plain))

    @staticmethod
    def _program(config, *arguments):
        return subprocess.run([find_program(), "--config", config, *arguments], check=True, capture_output=True,
                              text=True).stdout

    def stop(self):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def tls_farm(tmp_path_factory):
    farm = TlsFarm(tmp_path_factory.mktemp("tls"), "DNS:localhost,IP:127.0.0.1")
    yield farm
    farm.stop()


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("RBC_TOKEN", raising=False)
    monkeypatch.delenv("RBC_FARM", raising=False)


def add_one(rjit):
    @rjit("int64(int64)")
    def f(x):
        return x + 1

    return f(41)


def test_a_path_a_dict_and_an_address(tls_farm):
    ca = tls_farm.certificate
    for host, tls in (("localhost", ca), ("127.0.0.1", str(ca)), ("localhost", {"ca": ca})):
        rjit = rbc.RemoteJIT(host, tls_farm.port, tls=tls, token=tls_farm.token)
        assert rjit.address == f"tls://{host}:{tls_farm.port}"
        assert add_one(rjit) == 42
        rjit.close()
    rjit = rbc.RemoteJIT(f"tls://localhost:{tls_farm.port}", tls=ca, token=tls_farm.token)
    assert add_one(rjit) == 42
    rjit.close()


def test_arrays_that_stay_there(tls_farm):
    numbers = np.arange(3_000_000.0).reshape(1000, 3000)
    for port, tls in ((tls_farm.port, tls_farm.certificate), (tls_farm.plain_port, None)):
        rjit = rbc.RemoteJIT("127.0.0.1", port, tls=tls, token=tls_farm.token)
        there = rjit.to_device(numbers)
        assert np.array_equal(np.asarray(there), numbers)
        there[:, 1:] = -1.0
        assert there[:, :2].get().tolist() == [[row * 3000.0, -1.0] for row in range(1000)]


def test_the_users_file_and_the_environment(tls_farm, monkeypatch, tmp_path):
    (tmp_path / "rbc").mkdir()
    (tmp_path / "rbc" / "client.toml").write_text(
        f'default = "box"\n[farms.box]\naddress = "tls://localhost:{tls_farm.port}"\nca = "{tls_farm.certificate}"\n')
    monkeypatch.setenv("RBC_TOKEN", tls_farm.token)
    for rjit in (rbc.RemoteJIT("box"), rbc.RemoteJIT(), rbc.RemoteJIT(tls=True), rbc.RemoteJIT("box", tls=True)):
        assert add_one(rjit) == 42
        rjit.close()


def test_an_unknown_issuer_says_which_file_to_name(tls_farm, tmp_path):
    with pytest.raises(rbc.CertificateError, match=r"RemoteJIT\(tls=\"FILE\"\)") as caught:
        add_one(rbc.RemoteJIT("localhost", tls_farm.port, tls=True, token=tls_farm.token))
    assert isinstance(caught.value, rbc.ConnectionLost)
    assert caught.value.cause == "wrong certificate"
    assert "start_server" not in str(caught.value)
    other, _ = self_signed(tmp_path, "other", "DNS:localhost")
    with pytest.raises(rbc.CertificateError, match="other.pem"):
        add_one(rbc.RemoteJIT("localhost", tls_farm.port, tls=other, token=tls_farm.token))


def test_a_token_is_asked_for_and_checked(tls_farm):
    for token, words in ((None, "asks for a token"), ("rbc_" + "0" * 64, "does not know the token")):
        rjit = rbc.RemoteJIT("localhost", tls_farm.port, tls=tls_farm.certificate, token=token)
        with pytest.raises(rbc.PermissionDenied, match=words) as caught:
            add_one(rjit)
        assert "RemoteJIT(token=...)" in str(caught.value)
        assert isinstance(caught.value, PermissionError)


def test_plain_text_and_tls_mixed_up(tls_farm):
    with pytest.raises(rbc.InvalidArgument, match="write tls://"):
        add_one(rbc.RemoteJIT("127.0.0.1", tls_farm.port, token=tls_farm.token))
    with pytest.raises(rbc.ConnectionLost, match="leave out tls://"):
        add_one(rbc.RemoteJIT("127.0.0.1", tls_farm.plain_port, tls=tls_farm.certificate, token=tls_farm.token))


def test_what_tls_takes():
    with pytest.raises(rbc.InvalidArgument, match="cert"):
        rbc.RemoteJIT(tls={"cert": "x"})
    with pytest.raises(rbc.InvalidArgument, match="Unix socket"):
        rbc.RemoteJIT(unix="/x", tls=True)
    with pytest.raises(rbc.InvalidArgument, match="no_such.pem"):
        add_one(rbc.RemoteJIT("localhost", 1, tls="no_such.pem"))
