/** The gateway's streams over WebSocket: the same conversations with one of our members and a real etcd. */
import { once } from "node:events";
import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { type ClusterProcesses, type Engine, isEtcdInstalled, startCluster } from "./member-processes.ts";

const host = "127.77.40.5";
const engines: readonly Engine[] = ["agent", "etcd"];
const watchA = { create_request: { key: "YQ==" } };
const created = expect.objectContaining({ created: true });

type Talk = {
  readonly path: string;
  /** Objects are sent as JSON. */
  readonly sent: readonly (string | Buffer | object)[];
  readonly received: readonly unknown[];
};

/** Received messages are shown without the headers of members, which differ. */
const talks: readonly (readonly [string, Talk])[] = [
  ["a watch", { path: "/v3/watch", sent: [watchA], received: [{ result: created }] }],
  ["a watch by its old path", { path: "/v3beta/watch", sent: [watchA], received: [{ result: created }] }],
  [
    "binary messages",
    { path: "/v3/watch", sent: [Buffer.from(JSON.stringify(watchA))], received: [{ result: created }] },
  ],
  [
    "two requests in a message",
    {
      path: "/v3/watch",
      sent: [JSON.stringify(watchA).repeat(2)],
      received: [{ result: created }, { result: expect.objectContaining({ created: true, watch_id: "1" }) }],
    },
  ],
  [
    "an event",
    {
      path: "/v3/watch",
      sent: [{ create_request: { key: "Yg==", start_revision: "1" } }],
      received: [{ result: created }, { result: { events: [expect.objectContaining({ kv: expect.anything() })] } }],
    },
  ],
  [
    "keepalives",
    {
      path: "/v3/lease/keepalive",
      sent: [{ ID: "77" }, { ID: "78" }],
      received: [{ result: { ID: "77" } }, { result: { ID: "78" } }],
    },
  ],
  ["a unary call", { path: "/v3/kv/put", sent: [{ key: "Yw==" }], received: [{}] }],
  [
    "what is no JSON",
    { path: "/v3/watch", sent: ["nonsense"], received: [expect.objectContaining({ error: expect.anything() })] },
  ],
  ["an unknown path", { path: "/v3/nothing", sent: [{}], received: ["Not Found"] }],
];

describe.each(engines)("WebSockets of %s", (engine) => {
  const isMissing = engine === "etcd" && !isEtcdInstalled();
  let cluster: ClusterProcesses;
  let url: string;
  beforeAll(async () => {
    if (isMissing) return;
    cluster = await startCluster(engine, host, { members: 1 });
    url = cluster.urls[0]!;
    await fetch(`${url}/v3/kv/put`, { method: "POST", body: JSON.stringify({ key: "Yg==" }) });
  });
  afterAll(() => cluster?.stop());

  it.skipIf(isMissing).each(talks)("carry %s", async (_, { path, sent, received }) => {
    const messages: unknown[] = [];
    const webSocket = connect(path);
    const all = new Promise<void>((resolve) =>
      webSocket.on("message", (message, isBinary) => {
        expect(isBinary).toBe(false);
        messages.push(withoutHeader(String(message)));
        if (messages.length === received.length) resolve();
      }),
    );
    await once(webSocket, "open");
    for (const one of sent) webSocket.send(typeof one === "string" || Buffer.isBuffer(one) ? one : JSON.stringify(one));
    await all;
    expect(messages).toEqual(received);
    webSocket.close();
    await once(webSocket, "close");
  });

  it.skipIf(isMissing)("take the token as a subprotocol", async () => {
    const webSocket = connect("/v3/watch", ["Bearer", "nobody.1"]);
    await once(webSocket, "open");
    expect(webSocket.protocol).toBe("Bearer");
    webSocket.terminate();
  });

  it.skipIf(isMissing)("leave requests to upgrade to something else to other handlers", async () => {
    const headers = { Connection: "Upgrade", Upgrade: "h2c" };
    const [response] = await once(get(`${url}/version`, { headers }), "response");
    expect(response.statusCode).toBe(200);
    response.resume();
  });

  if (engine === "agent") {
    it("are closed cleanly when the response ends", async () => {
      const [code] = await once(connect("/v3/nothing"), "close");
      expect(code).toBe(1005);
    });

    it("cancel the call when the client disconnects", async () => {
      const watchers = async (): Promise<number> => {
        const page = await (await fetch(`${url}/metrics`)).text();
        return Number(/^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(page)?.[1]);
      };
      await expect.poll(watchers).toBe(0);
      const webSocket = connect("/v3/watch");
      await once(webSocket, "open");
      webSocket.send(JSON.stringify(watchA));
      await expect.poll(watchers).toBe(1);
      webSocket.terminate();
      await expect.poll(watchers).toBe(0);
    });
  }

  function connect(path: string, protocols: string[] = []): WebSocket {
    return new WebSocket(url.replace("http", "ws") + path, protocols);
  }
});

function withoutHeader(message: string): unknown {
  if (!message.startsWith("{")) return message;
  return JSON.parse(message, (name, value) => (name === "header" ? undefined : value));
}
