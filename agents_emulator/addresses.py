"""Which addresses are anybody's on the internet, and which lead into a private network or this machine.

An IPv6 address may stand for one of IPv4 (mapped, NAT64, 6to4, ISATAP), which a router or the kernel turns
back: it is as public as that one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarks and other protocols of their own
        "2001:db8::/32",  # documentation
        "3fff::/20",
    )
)
_REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "192.0.0.0/24",  # protocols of their own
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the platform of Azure, as its machines see it
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(text: str) -> bool:
    """Whether an IP address, as text, is one that anybody may ask."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return _public_v4(address) if isinstance(address, IPv4Address) else _public_v6(address)


def is_loopback(text: str) -> bool:
    """Whether an IP address, as text, is this machine's own."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_local(host: str) -> bool:
    """Whether a host of an address, as text, is this machine by its name or address; nothing is looked up."""
    return host.lower().rstrip(".") == "localhost" or is_loopback(host.strip("[]"))


def _public_v4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _REFUSED_V4)
    )


def _public_v6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    inner = _inner_v4(address)
    if inner is not None and not _public_v4(inner):
        return False
    if address.ipv4_mapped is not None or address in _NAT64:
        return True
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and not any(address in network for network in _REFUSED_V6)
    )


def _inner_v4(address: IPv6Address) -> IPv4Address | None:
    """The address of IPv4 that this one stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    low = int(address) & 0xFFFFFFFF
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    return IPv4Address(low) if address in _NAT64 or is_isatap else None
