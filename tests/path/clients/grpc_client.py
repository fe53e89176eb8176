# SPDX-License-Identifier: Apache-2.0
"""A gRPC client of all four kinds. Arguments: address, a file of whom to believe (plain text without). Prints `ok`."""
import queue
import sys

import grpc

options = [("grpc.default_authority", "grpc.test"), ("grpc.ssl_target_name_override", "grpc.test")]
if len(sys.argv) > 2:
    with open(sys.argv[2], "rb") as file:
        channel = grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(file.read()), options)
else:
    channel = grpc.insecure_channel(sys.argv[1], options)
WAIT = 20


def failed(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("it did not fail")


# Unary, with metadata before and after.
ask = channel.unary_unary("/test.Test/Unary")
answer, call = ask.with_call(b"abc", timeout=WAIT, metadata=(("say", "so"),))
assert answer == b"cba"
assert ("first", "1") in [tuple(field) for field in call.initial_metadata()], call.initial_metadata()
last = dict((field.key, field.value) for field in call.trailing_metadata())
assert last["last-bin"] == b"\x00\xff" and last["said"] == "so", last
big = bytes(range(256)) * 12000
assert ask(big, timeout=WAIT) == big[::-1]
assert ask(b"", timeout=WAIT) == b""

# Streams: up, down, and both ways, where each message waits for the answer to the one before.
assert channel.stream_unary("/test.Test/Up")(iter([b"a", b"bc", big]), timeout=WAIT) == b"1,2,%d" % len(big)
assert list(channel.unary_stream("/test.Test/Down")(b"500", timeout=WAIT)) == [b"%d" % number for number in range(500)]
words = queue.Queue()
answers = channel.stream_stream("/test.Test/Both")(iter(words.get, None), timeout=WAIT)
for number in range(50):
    words.put(b"%d" % number)
    assert next(answers) == b"<%d>" % number
words.put(None)
assert list(answers) == [] and answers.code() is grpc.StatusCode.OK

# Trailers only; a service nobody knows; a health probe.
refuse = channel.unary_unary("/test.Test/Refuse")
assert failed(lambda: refuse(b"", timeout=WAIT)) == (grpc.StatusCode.FAILED_PRECONDITION, "not now: ü")
unknown = channel.unary_unary("/test.Test/Unknown")
assert failed(lambda: unknown(b"", timeout=WAIT))[0] is grpc.StatusCode.UNIMPLEMENTED
probe = channel.unary_unary("/grpc.health.v1.Health/Check")
assert probe(b"", timeout=WAIT) == b"\x08\x01"
assert failed(lambda: probe(b"\x0a\x01b", timeout=WAIT))[0] is grpc.StatusCode.NOT_FOUND

# A deadline, and a call that is cancelled in the middle.
endless = channel.unary_stream("/test.Test/Endless")
assert failed(lambda: list(endless(b"late", timeout=0.5)))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
given_up = endless(b"cancelled", timeout=WAIT)
next(given_up)
given_up.cancel()
assert given_up.code() is grpc.StatusCode.CANCELLED

# Many at once.
calls = [(number, ask.future(b"%d" % number, timeout=WAIT)) for number in range(300)]
assert all(call.result() == (b"%d" % number)[::-1] for number, call in calls)
print("ok")
