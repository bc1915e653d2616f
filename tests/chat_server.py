"""A small chat server that speaks as OpenAI's does, for tests of captioners."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CAPTION = "A man in a red\n coat."
ANNOTATION = "gender: man; upper: red coat; lower: tartan kilt; hat: none"
TOLD = {"gender": "man", "upper": "coat", "upper_colour": "red", "hat": "none"}


@contextmanager
def server(answer):
    """A chat server; answer(number of the request, body, headers) -> (status, JSON object)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, dict(self.headers), body))
            status, reply = answer(len(asked), body, self.headers)
            data = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}/v1", asked
    finally:
        served.shutdown()
        served.server_close()


def completion(text):
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}}]}


def honest(number, body, headers):
    words = "".join(part.get("text", "") for part in body["messages"][0]["content"])
    return completion(ANNOTATION if "attribute annotations" in words else CAPTION)
