// SPDX-License-Identifier: Apache-2.0
// Node's clients of HTTP/1.1 and HTTP/2: a GET, 8 MiB by POST in pieces, a HEAD, many at once. Prints `ok`.
import assert from "node:assert";
import http from "node:http";
import http2 from "node:http2";

const [host, port] = process.argv[2].split(":");
const big = Buffer.alloc(8 << 20, "node");

function one(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent, headers: { host: "app.test" } }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve([answer.statusCode, Buffer.concat(parts)]));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function two(session, method, path, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ":authority": "app.test" });
    let status = 0;
    const parts = [];
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (part) => parts.push(part));
    stream.on("end", () => resolve([status, Buffer.concat(parts)]));
    stream.on("error", reject);
    stream.end(body);
  });
}

async function all(ask) {
  assert.deepEqual(await ask("GET", "/a?b=c"), [200, Buffer.from("GET /a?b=c\n")]);
  assert.deepEqual(await ask("HEAD", "/head"), [200, Buffer.alloc(0)]);
  const [status, body] = await ask("POST", "/big", big);
  assert.equal(status, 200);
  assert.ok(body.equals(Buffer.concat([Buffer.from("POST /big\n"), big])));
  const words = [...Array(50).keys()].map((number) => `/many-${number}`);
  const answers = await Promise.all(words.map((word) => ask("GET", word)));
  answers.forEach(([, body], number) => assert.equal(body.toString(), `GET ${words[number]}\n`));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
await all(one);
agent.destroy();
const session = http2.connect(`http://${host}:${port}`);
await all((...request) => two(session, ...request));
session.close();
console.log("ok");
