"""Visitor: somebody with a browser, as far as a dashboard's server can tell, without the weight of one."""

import asyncio
import json
import re

from bokeh.client.websocket import WebSocketClientConnectionWrapper
from bokeh.document import Document
from bokeh.models import BoxSelectTool
from bokeh.plotting import figure
from bokeh.protocol import Protocol
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.protocol.receiver import Receiver
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

PATIENCE = 60  # for an answer [s]


class Visitor:
    """A page, its websocket, gestures: `load`, `open`, `read`, then `brush` as often as you like, `leave`.

    Attributes
    ----------
    received : int
        What came over the websocket so far. [bytes]
    """

    def __init__(self, port):
        self.address, self.received = f"127.0.0.1:{port}", 0

    async def load(self):
        """Get the page; returns its text."""
        client = AsyncHTTPClient(max_body_size=10**8)
        page = (await client.fetch(f"http://{self.address}/", request_timeout=PATIENCE)).body.decode()
        self.token = re.search(r'"token":"([^"]+)"', page)[1]
        return page

    async def open(self):
        """Open the websocket, get the document of the page, say that it is drawn, get the rest."""
        request = HTTPRequest(f"ws://{self.address}/ws", headers={"Origin": f"http://{self.address}"})
        self.socket = await websocket_connect(request, subprotocols=["bokeh", self.token], max_message_size=10**9)
        self.socket.protocol.stream.set_nodelay(True)  # as browsers do
        self.wire, protocol = WebSocketClientConnectionWrapper(self.socket), Protocol()
        self.receiver = Receiver(protocol)
        assert (await self.message()).msgtype == "ACK"
        await protocol.create("PULL-DOC-REQ").send(self.wire)
        self.held = await self.message()
        ready = {"type": "event", "name": "document_ready", "values": {"type": "map"}}
        await self.send({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": ready})

    def read(self):
        """Make models of what came; a second's work of this process."""
        document = Document()
        self.held.push_to_document(document)
        self.plot = next(p for p in document.select({"type": figure}) if p.select({"type": BoxSelectTool}))
        self.wish = document.select_one({"name": "frontmonth-wish"})

    async def brush(self, number):
        """Drag over some days of the equity and wait until the server has sent what changes."""
        first, last = self.plot.x_range.start, self.plot.x_range.end
        low = first + (last - first) * 0.05 * (1 + number % 8)
        high = first + (last - first) * (0.6 + 0.02 * (number % 17))
        asked = json.dumps({"do": "range", "field": "days", "ends": [low, high], "live": False, "n": number})
        await self.send({"kind": "ModelChanged", "model": {"id": self.wish.id}, "attr": "value", "new": asked})

    def leave(self):
        """Close the page."""
        self.socket.close()

    async def send(self, event):
        """Tell the server of an event, and wait until it has answered, and changed something."""
        await patch_doc(patch_doc.create_header(), {}, {"events": [event]}).send(self.wire)
        awaited = {"OK", "PATCH-DOC"}
        while awaited:
            awaited.discard((await self.message()).msgtype)

    async def message(self):
        """The next whole message of the server."""
        while True:
            fragment = await asyncio.wait_for(self.socket.read_message(), PATIENCE)
            assert fragment is not None, "the server has closed the websocket"
            self.received += len(fragment)
            if message := await self.receiver.consume(fragment):
                return message
