"""Options for machines reached by SSH that are refused before any machine is: one line, and 254."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import call

TWO = "n1=root@192.0.2.1,n2=root@192.0.2.2"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, which is also the home, with a file that is no list of hosts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "bad").write_text("# two mistakes\nn1=root@192.0.2.1\nroot@192.0.2.2\nn3=root@192.0.2.3:many\n")
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--env", "ssh"), ["--env ssh", "--hosts n1=admin@10.0.0.1:22"]),
        (("--env", "ssh", "--hosts", "nowhere.txt"), ["--hosts nowhere.txt", "No such file"]),
        (("--env", "ssh", "--hosts", "bad"), ["line 3", "'root@192.0.2.2'", "line 4", "n3", "would be right"]),
        (("--env", "ssh", "--hosts", "n1=a,n1=b"), ["the name n1 is there twice"]),
        (("--env", "ssh", "--hosts", TWO, "--identity", "none"), ["--identity none", "no such file"]),
        (("--env", "ssh", "--hosts", TWO, "--known-hosts", "none"), ["--known-hosts none", "no such file"]),
        (("--env", "ssh", "--hosts", TWO, "--subnet", "10.9.0.0/24"), ["--subnet", "only --env docker"]),
        (("--env", "sim", "--hosts", TWO), ["--hosts", "only --env ssh"]),
        (("--env", "sim", "--clock", "libfaketime"), ["--clock libfaketime", "only real nodes have it"]),
        (("--env", "sim", "--accept-unknown-hosts"), ["--accept-unknown-hosts", "only --env ssh"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_option_is_one_line_that_says_what_would_be_right(
    options: tuple[str, ...], words: list[str], nowhere: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = call(["run", *options])
    out, err = capfd.readouterr()
    assert (code, out, err.count("\n")) == (254, "", 1), err
    assert all(word in err for word in words), err
    assert [file.name for file in nowhere.iterdir()] == ["bad"], "nothing is left of a run that never was"


def test_hosts_for_docker_are_refused(
    nowhere: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.environments.docker.DockerEnvironment.unavailable", classmethod(lambda cls: None))
    assert call(["run", "--env", "docker", "--hosts", TWO]) == 254
    assert f"--hosts {TWO}: only --env ssh has it" in capfd.readouterr().err
