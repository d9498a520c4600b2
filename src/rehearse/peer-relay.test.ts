import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { PeerRelay } from "./peer-relay.ts";
import { type PeerRoutes, routePort } from "./peer-routes.ts";

it("passes bytes, holds them while a member is cut off, and delivers them afterwards", async () => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const routes: PeerRoutes = {
    host: "127.0.0.1",
    firstPort: 38_200,
    members: ["127.0.0.2", "127.0.0.1"],
    peerPorts: [port],
  };
  const relay = await PeerRelay.open(routes);
  const open = async (): Promise<{ socket: Socket; heard: () => string }> => {
    const socket = connect({ host: routes.host, port: routePort(routes, "127.0.0.2", "127.0.0.1", port)! });
    await once(socket, "connect");
    let text = "";
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString();
    });
    return { socket, heard: () => text };
  };
  const until = async (holds: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 200 && !holds(); turn += 1) await sleep(5);
  };
  const first = await open();
  first.socket.write("a");
  await until(() => first.heard() === "a");
  expect(first.heard()).toBe("a");

  relay.cutOff("127.0.0.2");
  const late = await open();
  first.socket.write("b");
  late.socket.write("c");
  await sleep(60);
  expect([first.heard(), late.heard(), first.socket.destroyed]).toEqual(["a", "", false]);

  relay.restore("127.0.0.2");
  await until(() => first.heard() === "ab" && late.heard() === "c");
  expect([first.heard(), late.heard()]).toEqual(["ab", "c"]);
  for (const { socket } of [first, late]) socket.destroy();
  await relay.close();
  server.close();
});

it("has a port of its own for each pair of members and each of their ports", () => {
  const routes: PeerRoutes = { host: "h", firstPort: 1_000, members: ["a", "b", "c"], peerPorts: [2380, 2480] };
  const ports = routes.members.flatMap((from) =>
    routes.members.flatMap((to) => routes.peerPorts.map((port) => routePort(routes, from, to, port))),
  );
  expect(new Set(ports).size).toBe(18);
  expect(routePort(routes, "a", "b", 2379)).toBeNull();
  expect(routePort(routes, "a", "elsewhere", 2380)).toBeNull();
});
