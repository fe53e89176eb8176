# SPDX-License-Identifier: Apache-2.0
"""A gRPC server of all four kinds, with bytes for messages: prints its port, then what became of calls that were given up."""
import concurrent.futures
import time

import grpc


def unary(message, context):
    context.send_initial_metadata((("first", "1"),))
    context.set_trailing_metadata((("last-bin", b"\x00\xff"), ("said", dict(context.invocation_metadata()).get("say", ""))))
    return message[::-1]


def up(messages, context):
    return b",".join(b"%d" % len(message) for message in messages)


def down(message, context):
    for number in range(int(message)):
        yield b"%d" % number


def both(messages, context):
    for message in messages:
        yield b"<" + message + b">"


def refuse(message, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: ü")


def endless(message, context):
    context.add_callback(lambda: print("over", message.decode(), flush=True))
    while context.is_active():
        yield b"x" * 1000
        time.sleep(0.01)


def healthy(message, context):
    return b"\x08\x01" if message in (b"", b"\x0a\x01a") else context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")


kinds = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Up": grpc.stream_unary_rpc_method_handler(up),
    "Down": grpc.unary_stream_rpc_method_handler(down),
    "Both": grpc.stream_stream_rpc_method_handler(both),
    "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
}
server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("test.Test", kinds),
    grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(healthy)}),
))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
