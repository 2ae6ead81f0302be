"""Reading which machines the user named, and what ~/.ssh/config adds. Nothing is connected to."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.environments.ssh_access import SshAccess, endpoint, node_address
from harness.environments.ssh_hosts import SshHost, ssh_hosts
from harness.errors import UsageError

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
ports = st.none() | st.integers(1, 65535)
addresses = st.none() | st.ip_addresses(v=4).map(str)
names = st.lists(words, min_size=1, max_size=5, unique=True)


@st.composite
def hosts(draw: st.DrawFn) -> tuple[SshHost, ...]:
    """Machines with different names and addresses."""
    return tuple(
        SshHost(name, f"{name}.example", draw(st.none() | words), draw(ports), draw(addresses)) for name in draw(names)
    )


def written(host: SshHost) -> str:
    user = f"{host.user}@" if host.user else ""
    port = f":{host.port}" if host.port else ""
    address = f"/{host.address}" if host.address else ""
    return f"{host.node}={user}{host.host}{port}{address}"


def distinct(named: tuple[SshHost, ...]) -> bool:
    return len({host.address or host.host for host in named}) == len(named)


@given(hosts().filter(distinct))
def test_what_is_written_is_read(named: tuple[SshHost, ...]) -> None:
    assert ssh_hosts(",".join(map(written, named))) == named


@given(hosts().filter(distinct), st.lists(st.sampled_from(["", "   ", "# n9=nobody@nowhere", "\t# x"]), max_size=5))
def test_a_file_says_the_same_as_a_list(
    tmp_path_factory: pytest.TempPathFactory, named: tuple[SshHost, ...], noise: list[str]
) -> None:
    file = tmp_path_factory.mktemp("hosts") / "hosts"
    file.write_text("\n".join([*noise, *(f"  {written(host)}  # {host.node}" for host in named), *noise]))
    assert ssh_hosts(str(file)) == named


@given(st.text(max_size=30))
def test_nonsense_is_a_usage_error_of_one_line(text: str) -> None:
    try:
        read = ssh_hosts(f"n1={text}")
    except UsageError as error:
        said = str(error)
    else:
        assert read[0].node == "n1"
        return
    assert len(said.splitlines()) == 1
    assert "n1=admin@10.0.0.1:22 would be right" in said


def test_an_ipv6_address_is_in_brackets() -> None:
    assert ssh_hosts("n1=[fe80::1]:2222/10.0.0.1") == (SshHost("n1", "fe80::1", None, 2222, "10.0.0.1"),)


@pytest.mark.parametrize(
    ("option", "mistakes"),
    [
        ("n1=a,n1=b", ["the name n1 is there twice"]),
        ("n1=a,n2=a", ["the address a is there twice"]),
        ("n1=u@a:22,n2=v@a:23", ["the address a is there twice"]),
        ("n1=a/10.0.0.1,n2=b/10.0.0.1", ["the address 10.0.0.1 is there twice"]),
        ("n 1=a", ["'n 1' is no name for a node"]),
        ("n1=a:0,n2=b:70000", ["n1: 0 is no port", "n2: 70000 is no port"]),
        ("n1=a/host.example", ["n1: 'host.example' is no IPv4 address"]),
        ("n1=a b,n2", ["n1: 'a b' is not USER@HOST:PORT", "'n2' has no name"]),
        (",=,", ["'' is no name for a node"]),
    ],
)
def test_all_mistakes_are_told_at_once(option: str, mistakes: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        ssh_hosts(option)
    assert [mistake for mistake in mistakes if mistake not in str(raised.value)] == []
    assert "would be right" in str(raised.value)


def test_mistakes_in_a_file_are_told_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("# machines\nn1=a\nn2=\n")
    with pytest.raises(UsageError, match=r"^--hosts: line 3: n2: '' is not USER@HOST:PORT; such as "):
        ssh_hosts(str(tmp_path / "hosts"))


def test_a_file_that_is_not_there_or_names_nobody_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--hosts nowhere: No such file or directory; a file, or a list such as "):
        ssh_hosts("nowhere")
    (tmp_path / "hosts").write_text("# nobody\n")
    with pytest.raises(UsageError, match="no host is named"):
        ssh_hosts(str(tmp_path / "hosts"))


@pytest.mark.parametrize("option", ["", "  "])
def test_no_name_at_all_is_no_name_of_a_file(option: str) -> None:
    with pytest.raises(UsageError, match=r"^--hosts: no host is named; such as n1=admin@10\.0\.0\.1:22 would be"):
        ssh_hosts(option)


# -- what follows from the configuration of ssh ------------------------------------------------------------------------


def test_what_was_not_said_follows_from_the_configuration(own_home: Path) -> None:
    (own_home / ".ssh" / "config").write_text(
        "Host first\n  HostName 192.0.2.7\n  Port 2200\n  User alice\n  IdentityFile ~/.ssh/id\n"
    )
    (own_home / ".ssh" / "id").touch()
    found = endpoint(SshHost("n1", "first"), SshAccess())
    assert (str(found), found.identities) == ("alice@192.0.2.7:2200", (str(own_home / ".ssh" / "id"),))


def test_what_was_said_comes_before_the_configuration(own_home: Path, tmp_path: Path) -> None:
    (own_home / ".ssh" / "config").write_text("Host first\n  Port 2200\n  User alice\n  IdentityFile ~/.ssh/id\n")
    (tmp_path / "mine").touch()
    found = endpoint(SshHost("n1", "first", "bob", 22), SshAccess(identity=tmp_path / "mine"))
    assert (str(found), found.identities) == ("bob@first:22", (str(tmp_path / "mine"),))


def test_without_a_configuration_the_user_is_who_we_are(own_home: Path) -> None:
    assert str(endpoint(SshHost("n1", "first"), SshAccess())) == f"{getpass.getuser()}@first:22"


def test_the_address_of_a_node_is_the_one_named_or_the_one_of_its_host(own_home: Path) -> None:
    named, unnamed, v6 = (
        SshHost("n1", "127.0.0.1", address="10.0.0.1"),
        SshHost("n2", "127.0.0.2"),
        SshHost("n3", "::1"),
    )
    assert node_address(named, endpoint(named, SshAccess())) == "10.0.0.1"
    assert node_address(unnamed, endpoint(unnamed, SshAccess())) == "127.0.0.2"
    with pytest.raises(UsageError, match=r"^n3: ::1 has no IPv4 address .*: name it after a slash$"):
        node_address(v6, endpoint(v6, SshAccess()))


def test_a_key_that_is_not_there_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--identity .*/none: there is no such file"):
        SshAccess(identity=tmp_path / "none")
    with pytest.raises(UsageError, match=r"^--known-hosts .*/none: there is no such file"):
        SshAccess(known_hosts=tmp_path / "none")
