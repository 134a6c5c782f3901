"""The dashboard's server: this machine only, this host name only, nothing from elsewhere.

A page of another site in the same browser must not read or steer the dashboard, so that every request is checked for
its host (DNS rebinding), every websocket for its origin, and every answer forbids frames and foreign scripts.
"""

import ipaddress
import sys
import threading

import panel as pn
from tornado.web import ErrorHandler, OutputTransform

from app import console
from app.page import create

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class ServeRefused(ValueError):
    """The server cannot start as asked."""


def serve(store, port=5006, run=None, open=False, address="127.0.0.1", hosts=(), tell=sys.stderr.write):
    """Serve the dashboard until it is interrupted.

    Parameters
    ----------
    store : path
        Folder of the store; need not exist yet, the page says so then.
    port : int
        0 takes a free one.
    run : str, optional
        Id of the run to show first; else the newest.
    open : bool
        Open a browser.
    address : str
        A loopback address: any other would need a login, which there is not.
    hosts : sequence of str
        Further `host:port` under which a proxy on this machine reaches the server.
    tell : function
        Gets the address to open, as a line of text.
    """
    server = started(store, port, run, address, hosts)
    url = f"http://{address if ':' not in address else f'[{address}]'}:{server.port}/"
    tell(f"Dashboard at {url} (Ctrl-C ends it)\n")
    if open:
        server.io_loop.add_callback(server.show, "/")
    threading.Thread(target=preload, name="frontmonth: preload", daemon=True).start()
    server.start()  # what looks for visits that have ended and frees what they held
    try:
        server.io_loop.start()
    except KeyboardInterrupt:
        tell("stopped\n")
    finally:
        server.stop()


def preload():
    """Load what draws the pages beside the first one, so that nobody waits for it there."""
    import holoviews.plotting.bokeh  # noqa: F401


def started(store, port=0, run=None, address="127.0.0.1", hosts=()):
    """A server that listens and is guarded; its loop is not running yet."""
    if not loopback(address):
        raise ServeRefused(
            f"--address {address} would let others in, and there is no login; allowed is a loopback address such as "
            "127.0.0.1 (from another machine: ssh -L 5006:127.0.0.1:5006 HOST)"
        )
    allowed = set(hosts)
    pages = {
        "/": lambda: create(store, run).put(pn.state.curdoc),
        "/data": lambda: console.create(store).put(pn.state.curdoc),
    }
    try:
        server = pn.io.server.get_server(
            pages, port=port, address=address, websocket_origin=["localhost"],
            title="frontmonth", start=False, show=False, verbose=False, use_index=False,
        )  # fmt: skip
    except OSError as error:
        raise ServeRefused(
            f"port {port} of {address} cannot be used ({error.strerror}); choose another with --port"
        ) from error
    names = ("127.0.0.1", "localhost", "[::1]", f"[{address}]" if ":" in address else address)
    allowed |= {f"{name}:{server.port}" for name in names}
    server._tornado.websocket_origins.update(allowed)
    guard(server._tornado, allowed)
    return server


def loopback(address):
    """Whether only this machine can reach an address.

    >>> [loopback(a) for a in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "192.168.1.2", "example.org")]
    [True, True, True, False, False, False]
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def guard(application, allowed):
    """Put the checks and headers around every route of a tornado application."""
    find = application.find_handler

    def checked(request, **kwargs):
        reason = refusal(request, allowed)
        if reason:
            return application.get_handler_delegate(request, ErrorHandler, {"status_code": reason})
        return find(request, **kwargs)

    application.find_handler = checked
    application.add_transform(Headers)


def refusal(request, allowed):
    """403 for a request that no page of ours would send, else 0."""
    headers = request.headers
    if request.host not in allowed:
        return 403
    socket = headers.get("Upgrade", "").lower() == "websocket" or request.path.endswith("/ws")
    origin = headers.get("Origin")
    if socket and origin is None:
        return 403
    if origin is not None and origin.partition("://")[2] not in allowed:
        return 403
    foreign = headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Mode") != "navigate"
    return 403 if foreign else 0


class Headers(OutputTransform):
    """Adds the house's headers to every answer, errors and files too."""

    def transform_first_chunk(self, status_code, headers, chunk, finishing):
        """Called by tornado before the first byte."""
        for name, value in HEADERS.items():
            headers[name] = value
        if "Server" in headers:
            del headers["Server"]
        return status_code, headers, chunk
