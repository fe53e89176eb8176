// SPDX-License-Identifier: Apache-2.0
// Node's servers: every shape of traffic that an application may have. Argument: 1 or 2, the version. Prints its port.
import http from "node:http";
import http2 from "node:http2";

let events;

function answer(request, response) {
  switch (request.url) {
    case "/events":
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 0\n\n");
      events = { response, next: 1 };
      return;
    case "/next":
      // The client has seen all there was.
      response.end();
      if (events.next === 3) events.response.end();
      else events.response.write(`data: ${events.next++}\n\n`);
      return;
    case "/early":
      response.writeEarlyHints({ link: "</a>; rel=preload" });
      setTimeout(() => response.end("late"), 50);
      return;
    default:
      response.writeHead(200, { "x-seen-expect": request.headers.expect ?? "none" });
      response.flushHeaders();
      request.on("data", (data) => response.write(data) || request.pause());
      response.on("drain", () => request.resume());
      request.on("end", () => {
        response.addTrailers({ "x-got": request.trailers["x-sum"] ?? "none" });
        response.end();
      });
  }
}

const server = process.argv[2] === "2" ? http2.createServer(answer) : http.createServer(answer);
server.on("checkContinue", (request, response) => {
  if (request.url === "/refuse") {
    response.writeHead(403);
    response.end("no");
  } else {
    response.writeContinue();
    answer(request, response);
  }
});
if (process.argv[2] === "1") {
  server.on("upgrade", (request, socket, head) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`);
    socket.write(head);
    socket.pipe(socket);
  });
  server.on("connect", (request, socket, head) => {
    socket.write(`HTTP/1.1 200 OK\r\nX-Target: ${request.url}\r\n\r\n`);
    socket.write(head);
    socket.pipe(socket);
  });
}
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
