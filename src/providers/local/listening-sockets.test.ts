import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { listeningSockets, parseHostPort, parseSocketTable, socketAt } from "./listening-sockets.ts";
import { ownerOfSocket } from "./process-table.ts";

describe("the kernel's socket table", () => {
  it("is read for listeners of both families and every address", () => {
    const table = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 01127F7F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0",
      "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0",
      "   2: 0100007F:0016 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0",
      "   3: 00000000000000000000000001000000:094B 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4714 1",
      "   4: 0000000000000000FFFF00000100007F:094C 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4715 1",
    ].join("\n");
    const sockets = parseSocketTable(table);
    expect(sockets).toEqual([
      { address: "127.127.18.1", port: 2379, inode: "4711" },
      { address: null, port: 22, inode: "4712" },
      { address: "::1", port: 2379, inode: "4714" },
      // An IPv4 address that a socket of IPv6 listens on.
      { address: "127.0.0.1", port: 2380, inode: "4715" },
    ]);
    expect(socketAt(sockets, "10.0.0.1", 22)?.inode).toBe("4712");
    expect(socketAt(sockets, "127.0.0.1", 2379)).toBeUndefined();
  });

  it.skipIf(listeningSockets() === null)("leads from a real listener to its process", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.77.18.3", resolve));
    const { port } = server.address() as { port: number };
    const found = socketAt(listeningSockets() ?? [], "127.77.18.3", port);
    expect(ownerOfSocket(found!.inode)).toBe(process.pid);
    server.close();
  });
});

it.each([
  ["127.0.0.1:2379", { host: "127.0.0.1", port: 2379 }],
  ["[::1]:80", { host: "::1", port: 80 }],
  ["m1.example:0", { host: "m1.example", port: 0 }],
  ["::1:80", null],
  ["[m1]:80", null],
  ["m1", null],
  ["m1:70000", null],
  ["", null],
])("an address %j is taken apart as %j", (text, expected) => {
  expect(parseHostPort(text)).toEqual(expected);
});
