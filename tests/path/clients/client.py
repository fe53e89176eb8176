# SPDX-License-Identifier: Apache-2.0
"""Python's http.client on one connection: a GET, a HEAD, 8 MiB by length and in chunks, `Expect`. Prints `ok`."""
import http.client
import sys

HOST = {"Host": "app.test"}
connection = http.client.HTTPConnection(sys.argv[1], timeout=20)


def ask(method, path, body=None, headers=None):
    connection.request(method, path, body, {**HOST, **(headers or {})})
    answer = connection.getresponse()
    return answer.status, answer.read()


assert ask("GET", "/a?b=c") == (200, b"GET /a?b=c\n")
socket = connection.sock
assert ask("HEAD", "/head") == (200, b"")
big = b"python" * (8 << 18)
assert ask("POST", "/big", big) == (200, b"POST /big\n" + big)
pieces = (big[at:at + 70000] for at in range(0, len(big), 70000))
assert ask("POST", "/chunks", pieces) == (200, b"POST /chunks\n" + big)
assert ask("PUT", "/wait", b"x" * 2000, {"Expect": "100-continue"}) == (200, b"PUT /wait\n" + b"x" * 2000)
assert connection.sock is socket, "the connection was not kept"
print("ok")
