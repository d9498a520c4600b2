import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { serveWebSockets } from "./websocket.ts";

const host = "127.77.41.5";
let server: Server;
beforeAll(async () => {
  // Every response takes a moment, like one that needs consensus.
  const answer: RequestListener = (request, response) => void setTimeout(() => response.end(request.url), 20);
  server = createServer(answer);
  const withoutUpgrades = createServer(answer);
  serveWebSockets(server, (socket) => withoutUpgrades.emit("connection", socket));
  await once(server.listen(0, host), "listening");
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

it("an upgrade offer that is not accepted is answered in order, after earlier pending requests", async () => {
  const socket = connect({ host, port: (server.address() as AddressInfo).port });
  const lines = "HTTP/1.1\r\nHost: m\r\n";
  const offer = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
  socket.write(
    `GET /one ${lines}\r\nGET /two ${lines}\r\nGET /three ${lines}${offer}\r\nGET /four ${lines}${offer}\r\n`,
  );
  let answers = "";
  for await (const chunk of socket.setEncoding("latin1")) {
    answers += chunk;
    if (answers.includes("/four")) break;
  }
  expect(answers.match(/\/(one|two|three|four)/g)).toEqual(["/one", "/two", "/three", "/four"]);
});
