"""What any process that we start may know of its caller's environment: nothing in it is a secret."""

from __future__ import annotations

from collections.abc import Collection, Mapping

BASE = frozenset(
    (
        *(
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TMPDIR",
            "TEMP",
            "TMP",
            "TERM",
        ),
        *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "VIRTUAL_ENV"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONHASHSEED", "PYTHONWARNINGS"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONFAULTHANDLER", "PYTHONASYNCIODEBUG"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "MALLOC_ARENA_MAX"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
        *("NO_PROXY", "no_proxy"),
    )
)
"""Where programs, files, languages and trusted certificates are; none of it is a secret."""

_BASE_PREFIXES = ("LC_",)


def picked(
    environment: Mapping[str, str], names: Collection[str] = (), prefixes: tuple[str, ...] = ()
) -> dict[str, str]:
    """Return those variables that belong to the base, have one of the names, or begin with a prefix."""
    wanted = (*_BASE_PREFIXES, *prefixes)
    return {
        name: value
        for name, value in environment.items()
        if name in BASE or name in names or name.startswith(wanted)
    }
