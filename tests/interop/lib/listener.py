"""An HTTP server of a scenario: notes what it is told, in order, and answers when the scenario lets it."""

import json
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listener:
    """What was heard, oldest first, each noted before it is answered; `pause` seconds lie between the two."""

    def __init__(self, answer=None, pause=0.0):
        listener = self
        self.heard, self.lock = [], threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with listener.lock:
                    listener.heard.append(types.SimpleNamespace(path=self.path.partition("?")[0], body=json.loads(body)))
                time.sleep(pause)
                content = json.dumps({} if answer is None else answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass  # who asked was killed

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def calls(self):
        with self.lock:
            return list(self.heard)

    def stop(self):
        self.server.shutdown()
