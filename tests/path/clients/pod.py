# SPDX-License-Identifier: Apache-2.0
"""A pod read by Python's http.server: prints its port, then `METHOD TARGET BODY-IN-HEX` for each request it saw."""
import http.server
import threading

lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(self.headers.get("content-length") or 0)
            data = self.rfile.read(length)
            return data if len(data) == length else None
        data = b""
        while True:
            size = self.rfile.readline()
            if not size.endswith(b"\r\n"):
                return None
            size = int(size, 16)
            if size == 0:
                break
            chunk = self.rfile.read(size)
            if len(chunk) < size or self.rfile.read(2) != b"\r\n":
                return None
            data += chunk
        while (line := self.rfile.readline()) != b"\r\n":
            if not line:
                return None
        return data

    def answer(self):
        data = self.body()
        if data is None:
            self.close_connection = True
            return
        with lock:
            print(self.command, self.path, data.hex(), flush=True)
        answer = f"{self.command} {self.path}\n".encode() + data
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
