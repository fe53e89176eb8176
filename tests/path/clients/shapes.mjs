// SPDX-License-Identifier: Apache-2.0
// Node's clients: http, http2 and fetch, each shape of traffic. Arguments: host:port, the version of the pod. Prints `ok`.
import assert from "node:assert";
import crypto from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";

const [host, port] = process.argv[2].split(":");
const pod = process.argv[3];
const piece = crypto.randomBytes(1 << 20);
const session = http2.connect(`http://${host}:${port}`);
await once(session, "connect");

// What comes with an event; nobody need wait for it.
function first(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

// One request of either version: what is written, and events with the same names and arguments.
function one(method, path, headers = {}, trailers) {
  const request = http.request({ host, port, method, path, agent: false, headers: { host: "app.test", ...headers } });
  request.flushHeaders();
  const head = once(request, "response").then(([answer]) => ({
    status: answer.statusCode,
    headers: answer.headers,
    body: answer,
    trailers: () => answer.trailers,
  }));
  const end = (last) => {
    if (trailers) request.addTrailers(trailers);
    request.end(last);
  };
  return { to: request, head, end, information: first(request, "information").then((said) => said.statusCode) };
}

function two(method, path, headers = {}, trailers) {
  const names = { ":method": method, ":path": path, ":authority": "app.test", ...headers };
  const stream = session.request(names, { waitForTrailers: Boolean(trailers), endStream: false });
  if (trailers) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  let last = {};
  stream.on("trailers", (fields) => (last = fields));
  const head = once(stream, "response").then(([fields]) => ({
    status: fields[":status"],
    headers: fields,
    body: stream,
    trailers: () => last,
  }));
  const information = first(stream, "headers").then((fields) => fields[":status"]);
  return { to: stream, head, end: (data) => stream.end(data), information };
}

async function whole(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

// Each word is sent when the one before has come back.
async function ping(to, from) {
  let got = "";
  from.setEncoding("utf8");
  const parts = from[Symbol.asyncIterator]();
  for (let number = 0; number < 20; number++) {
    const word = `ping ${number};`;
    to.write(word);
    while (!got.endsWith(word)) {
      const { value, done } = await parts.next();
      assert.ok(!done, `it ended after ${got}`);
      got += value;
    }
  }
  return parts;
}

async function shapes(ask) {
  const chunked = ask === one ? { "transfer-encoding": "chunked", trailer: "x-sum" } : {};
  const sum = ask("POST", "/trailers", chunked, { "x-sum": "6" });
  sum.end("abc");
  let answer = await sum.head;
  assert.equal(await whole(answer.body), "abc");
  assert.equal(answer.trailers()["x-got"], "6");

  const duplex = ask("POST", "/duplex");
  answer = await duplex.head;
  const rest = await ping(duplex.to, answer.body);
  duplex.end();
  while (!(await rest.next()).done);

  const early = ask("GET", "/early");
  early.end();
  assert.equal(await early.information, 103);
  assert.equal(await whole((await early.head).body), "late");

  const patient = ask("POST", "/patient", { expect: "100-continue", "content-length": 4 });
  await once(patient.to, "continue");
  patient.end("body");
  answer = await patient.head;
  assert.equal(await whole(answer.body), "body");

  await big(ask);
}

// 64 MiB up and, as they arrive, down.
async function big(ask) {
  const request = ask("POST", "/big");
  const sending = (async () => {
    for (let count = 0; count < 64; count++) if (!request.to.write(piece)) await once(request.to, "drain");
    request.end();
  })();
  const answer = await request.head;
  let count = 0;
  for await (const part of answer.body) {
    const at = count % piece.length;
    const first = part.subarray(0, piece.length - at);
    const is_same = first.equals(piece.subarray(at, at + first.length));
    assert.ok(is_same && part.subarray(first.length).equals(piece.subarray(0, part.length - first.length)), `at ${count}`);
    count += part.length;
  }
  await sending;
  assert.equal(count, 64 * piece.length);
}

async function refused() {
  const request = one("POST", "/refuse", { expect: "100-continue", "content-length": 4 });
  request.to.on("continue", () => assert.fail("told to go on"));
  const answer = await request.head;
  assert.deepEqual([answer.status, await whole(answer.body)], [403, "no"]);
  request.to.destroy();
}

// An event is sent when the one before was seen.
async function events() {
  const answer = await fetch(`http://${host}:${port}/events`);
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  let [text, next] = ["", 0];
  for await (const part of answer.body) {
    text += Buffer.from(part).toString();
    if (text.endsWith(`data: ${next}\n\n`)) {
      next++;
      await (await fetch(`http://${host}:${port}/next`)).text();
    }
  }
  assert.equal(text, "data: 0\n\ndata: 1\n\ndata: 2\n\n");
}

async function tunnels() {
  const headers = { host: "app.test", connection: "upgrade", upgrade: "echo/1" };
  const upgrade = http.request({ host, port, agent: false, headers, path: "/" });
  upgrade.end();
  const [answer, socket] = await once(upgrade, "upgrade");
  assert.deepEqual([answer.statusCode, answer.headers.upgrade], [101, "echo/1"]);
  await ping(socket, socket);
  socket.destroy();

  const connect = http.request({ host, port, agent: false, method: "CONNECT", path: "app.test:80" });
  connect.end();
  const [said, tunnel] = await once(connect, "connect");
  assert.deepEqual([said.statusCode, said.headers["x-target"]], [200, "app.test:80"]);
  await ping(tunnel, tunnel);
  tunnel.destroy();

  const stream = session.request({ ":method": "CONNECT", ":authority": "app.test:80" }, { endStream: false });
  const [fields] = await once(stream, "response");
  assert.equal(fields[":status"], 200);
  await ping(stream, stream);
  stream.close();
}

async function all() {
  for (const [name, shape] of Object.entries({
    one: () => shapes(one),
    two: () => shapes(two),
    // A pod of HTTP/2 is not asked before: the gateway tells the client to go on.
    refused: () => (pod === "1" ? refused() : undefined),
    events,
    tunnels: () => (pod === "1" ? tunnels() : undefined),
  })) {
    at = name;
    await shape();
  }
}

let at;
setTimeout(() => {
  console.error(`no end of ${at}`);
  process.exit(1);
}, 40_000).unref();
process.on("unhandledRejection", (error) => {
  console.error(at, error);
  process.exit(1);
});
await all();
console.log("ok");
process.exit(0);
