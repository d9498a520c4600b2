import { once } from "node:events";
import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import { LoadBalancer } from "./load-balancer.ts";
import type { LoadedLoadBalancerConfig } from "./load-balancer-config.ts";

/**
 * A member as the load balancer sees it: HTTP for probes, and for everything else on the same port a stream that
 * says its name and then echoes. Told apart by the first byte, as a real member tells TLS from plain.
 */
class Member implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  port = 0;
  readyStatus: number | "silent" = 200;
  readonly sockets = new Set<Socket>();
  readonly #http: HttpServer;
  readonly #tcp: ReturnType<typeof createServer>;

  constructor(name: string, address: string) {
    this.name = name;
    this.address = address;
    this.#http = createHttpServer((request, response) => {
      if (request.url === "/version") response.end("{}");
      else if (this.readyStatus !== "silent") response.writeHead(this.readyStatus).end("ok");
    });
    this.#tcp = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.sockets.delete(socket));
      socket.once("data", (first) => {
        socket.pause();
        socket.unshift(first);
        if (first.toString().startsWith("GET ")) this.#http.emit("connection", socket);
        else {
          socket.write(`${name}:`);
          socket.pipe(socket);
        }
        process.nextTick(() => socket.resume());
      });
    });
  }

  async listen(port = 0): Promise<this> {
    this.#tcp.listen(port, this.address);
    await once(this.#tcp, "listening");
    this.port = (this.#tcp.address() as { port: number }).port;
    return this;
  }

  /** As when its process is killed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.resetAndDestroy();
    if (this.#tcp.listening) await new Promise((resolve) => this.#tcp.close(resolve));
  }
}

const cleanup: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of cleanup.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function members(...names: string[]): Promise<Member[]> {
  const made = await Promise.all(names.map((name, i) => new Member(name, `127.77.18.${10 + i}`).listen()));
  cleanup.push(...made);
  return made;
}

function configFor(backends: readonly Member[], listens = ["127.77.18.100:0"]): LoadedLoadBalancerConfig {
  return {
    config: {
      listens,
      backends: backends.map(({ name, address, port }) => ({ name, address, port })),
      healthCheck: { path: "/readyz", intervalMs: 50, timeoutMs: 200 },
      tls: null,
    },
    tls: null,
  };
}

async function start(backends: readonly Member[]): Promise<LoadBalancer> {
  const balancer = await LoadBalancer.start(configFor(backends), () => undefined);
  cleanup.push(balancer);
  return balancer;
}

async function until(balancer: LoadBalancer, states: Record<string, string>): Promise<void> {
  const now = (): Record<string, string> =>
    Object.fromEntries(balancer.backends().map((backend) => [backend.name, backend.state]));
  for (let i = 0; i < 300 && JSON.stringify(now()) !== JSON.stringify(states); i++) await systemClock.sleep(10);
  expect(now()).toEqual(states);
}

function open(balancer: LoadBalancer, allowHalfOpen = false): Socket {
  const { address, port } = balancer.addresses()[0]!;
  const socket = connect({ host: address, port, allowHalfOpen });
  socket.on("error", () => undefined);
  return socket;
}

/** Sends `text`, ends its side, and returns all that comes back. */
async function exchange(balancer: LoadBalancer, text: string | Buffer): Promise<string> {
  const socket = open(balancer, true);
  socket.end(text);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Opens a connection and returns it with the name of the member it was taken to. */
async function hold(balancer: LoadBalancer): Promise<{ socket: Socket; name: string }> {
  const socket = open(balancer);
  socket.write("x");
  const [first] = (await once(socket, "data")) as [Buffer];
  return { socket, name: first.toString().split(":")[0]! };
}

describe("the load balancer", () => {
  it("14/4: holds clients without a failure, closes what is open, and forwards those that wait to other backends", async () => {
    const [old, next] = await members("old", "new");
    const balancer = await start([old!]);
    await until(balancer, { old: "ready" });
    const before = await hold(balancer);
    const closed = once(before.socket, "close");
    const listens = ["127.77.18.100:0"];
    await balancer.reconfigure({ ...configFor([old!], listens), hold: { id: "a", forMs: 5_000 } });
    await closed;
    const waiting = exchange(balancer, "during the hold");
    for (let i = 0; i < 100 && balancer.counters().held?.complete !== true; i++) await systemClock.sleep(10);
    expect(balancer.counters().held).toEqual({ id: "a", complete: true, cut: 0 });
    await balancer.reconfigure(configFor([next!], listens));
    expect(await waiting).toBe("new:during the hold");
    expect(balancer.counters()).not.toHaveProperty("held");
  });

  it("14/4: releases clients by itself if nothing else does", async () => {
    const [old] = await members("old");
    const balancer = await start([old!]);
    await until(balancer, { old: "ready" });
    const listens = ["127.77.18.100:0"];
    await balancer.reconfigure({ ...configFor([old!], listens), hold: { id: "a", forMs: 100 } });
    expect(await exchange(balancer, "x")).toBe("old:x");
  });

  it("14/4: another hold begins anew with its whole time, and those that wait for an earlier one continue to", async () => {
    const [old, next] = await members("old", "new");
    const balancer = await start([old!]);
    await until(balancer, { old: "ready" });
    const listens = ["127.77.18.100:0"];
    await balancer.reconfigure({ ...configFor([old!], listens), hold: { id: "a", forMs: 200 } });
    let isForwarded = false;
    const waiting = exchange(balancer, "x").finally(() => (isForwarded = true));
    await balancer.reconfigure({ ...configFor([old!], listens), hold: { id: "b", forMs: 60_000 } });
    await systemClock.sleep(400);
    expect([isForwarded, balancer.counters().held]).toEqual([false, { id: "b", complete: true, cut: 0 }]);
    await balancer.reconfigure(configFor([next!], listens));
    expect(await waiting).toBe("new:x");
  });

  it("14/4: a hold that has ended by itself does not begin again when the configuration is read again", async () => {
    const [old] = await members("old");
    const balancer = await start([old!]);
    await until(balancer, { old: "ready" });
    const held = { ...configFor([old!], ["127.77.18.100:0"]), hold: { id: "a", forMs: 100 } };
    await balancer.reconfigure(held);
    expect(await exchange(balancer, "x")).toBe("old:x");
    await balancer.reconfigure(held);
    expect(balancer.counters()).not.toHaveProperty("held");
  });

  it("carries bytes both ways, spreads connections and keeps half-open ones", async () => {
    const pool = await members("m1", "m2", "m3");
    const balancer = await start(pool);
    await until(balancer, { m1: "ready", m2: "ready", m3: "ready" });
    const answers = await Promise.all(["a", "b", "c"].map((text) => exchange(balancer, text)));
    expect(answers.map((answer) => answer.slice(3)).sort()).toEqual(["a", "b", "c"]);
    expect(new Set(answers.map((answer) => answer.slice(0, 2))).size).toBe(3);
    expect(balancer.counters().connections).toBe(0);
    expect(balancer.backends().map((backend) => backend.connections)).toEqual([0, 0, 0]);
  });

  it("carries many megabytes through a client that reads slowly", async () => {
    const balancer = await start(await members("m1"));
    await until(balancer, { m1: "ready" });
    const payload = Buffer.alloc(8 * 1024 * 1024, "haplan ");
    const socket = open(balancer, true);
    socket.pause();
    socket.end(payload);
    await systemClock.sleep(50);
    let received = 0;
    for await (const chunk of socket) received += (chunk as Buffer).length;
    expect(received).toBe(payload.length + "m1:".length);
  });

  it("tries the next backend when one does not take the connection, and never comes back to it", async () => {
    const pool = await members("m1", "m2");
    const balancer = await start(pool);
    await until(balancer, { m1: "ready", m2: "ready" });
    await pool[0]![Symbol.asyncDispose]();
    const answers = await Promise.all([1, 2, 3, 4].map(() => exchange(balancer, "x")));
    expect(answers).toEqual(["m2:x", "m2:x", "m2:x", "m2:x"]);
    await until(balancer, { m1: "dead", m2: "ready" });
  });

  it("closes the connections of a dead backend at once, lets others live, and takes it back when it is well", async () => {
    const pool = await members("m1", "m2");
    const balancer = await start(pool);
    await until(balancer, { m1: "ready", m2: "ready" });
    const held = [await hold(balancer), await hold(balancer)];
    const onFirst = held.find((one) => one.name === "m1")!;
    const onSecond = held.find((one) => one.name === "m2")!;
    const closed = once(onFirst.socket, "close");
    await pool[0]![Symbol.asyncDispose]();
    await closed;
    onSecond.socket.write("still here");
    expect(String((await once(onSecond.socket, "data"))[0])).toBe("still here");
    const back = await new Member("m1", pool[0]!.address).listen(pool[0]!.port);
    cleanup.push(back);
    await until(balancer, { m1: "ready", m2: "ready" });
    onSecond.socket.destroy();
  });

  it("moves connections away from a member that is no longer ready while another is", async () => {
    const pool = await members("m1", "m2");
    const balancer = await start(pool);
    await until(balancer, { m1: "ready", m2: "ready" });
    const held = [await hold(balancer), await hold(balancer)];
    const onFirst = held.find((one) => one.name === "m1")!;
    pool[0]!.readyStatus = 503;
    await once(onFirst.socket, "close");
    await until(balancer, { m1: "alive", m2: "ready" });
    expect((await hold(balancer)).name).toBe("m2");
  });

  it("T11: sends no new client to a member that is about to stop, and leaves it those that it has", async () => {
    const pool = await members("m1", "m2");
    const { config, tls } = configFor(pool);
    const healthCheck = { ...config.healthCheck, path: "/readyz?stopping=404" };
    const balancer = await LoadBalancer.start({ config: { ...config, healthCheck }, tls }, () => undefined);
    cleanup.push(balancer);
    await until(balancer, { m1: "ready", m2: "ready" });
    const held = [await hold(balancer), await hold(balancer)];
    const onFirst = held.find((one) => one.name === "m1")!;
    pool[0]!.readyStatus = 404;
    await until(balancer, { m1: "stopping", m2: "ready" });
    for (let i = 0; i < 3; i++) expect((await hold(balancer)).name).toBe("m2");
    await systemClock.sleep(300);
    onFirst.socket.write("still here");
    expect(String((await once(onFirst.socket, "data"))[0])).toBe("still here");
  });

  it("sends clients to members that are alive when none is ready, and keeps their connections", async () => {
    const pool = await members("m1", "m2");
    const balancer = await start(pool);
    await until(balancer, { m1: "ready", m2: "ready" });
    const held = await hold(balancer);
    pool[0]!.readyStatus = 503;
    pool[1]!.readyStatus = 503;
    await until(balancer, { m1: "alive", m2: "alive" });
    pool[1]!.readyStatus = "silent";
    for (let i = 0; i < 100 && !balancer.backends()[1]!.reason.includes("in time"); i++) await systemClock.sleep(20);
    expect(await exchange(balancer, "serializable")).toMatch(/^m[12]:serializable$/);
    expect(held.socket.closed).toBe(false);
    expect(balancer.backends().map((backend) => backend.reason)).toEqual([
      "/readyz answered 503",
      "/readyz did not answer in time",
    ]);
  });

  it("turns clients away at once when every backend is dead", async () => {
    const pool = await members("m1");
    await pool[0]![Symbol.asyncDispose]();
    const balancer = await start(pool);
    await until(balancer, { m1: "dead" });
    const socket = open(balancer);
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
    expect(balancer.counters()).toMatchObject({ connections: 0, refused: 1 });
  });

  it("notices a backend that takes connections and never answers", async () => {
    const frozen = createServer(() => undefined);
    frozen.listen(0, "127.77.18.20");
    await once(frozen, "listening");
    const where = { name: "m9", address: "127.77.18.20", port: (frozen.address() as { port: number }).port };
    const balancer = await start([where as unknown as Member]);
    await until(balancer, { m9: "dead" });
    expect(balancer.backends()[0]?.reason).toBe("did not answer in time");
    frozen.close();
  });

  it("takes up a new configuration without touching what it does not concern", async () => {
    const pool = await members("m1", "m2", "m3");
    const balancer = await start(pool.slice(0, 2));
    await until(balancer, { m1: "ready", m2: "ready" });
    const held = [await hold(balancer), await hold(balancer)];
    const onFirst = held.find((one) => one.name === "m1")!;
    const onSecond = held.find((one) => one.name === "m2")!;
    const closed = once(onFirst.socket, "close");
    await balancer.reconfigure(configFor(pool.slice(1)));
    await until(balancer, { m2: "ready", m3: "ready" });
    // A member that leaves finishes its calls.
    onFirst.socket.write("going");
    expect(String((await once(onFirst.socket, "data"))[0])).toBe("going");
    onSecond.socket.write("still here");
    expect(String((await once(onSecond.socket, "data"))[0])).toBe("still here");
    expect((await hold(balancer)).name).toBe("m3");
    await closed;
    await balancer.reconfigure(configFor(pool.slice(1), ["127.77.18.101:0"]));
    expect(balancer.addresses().map((bound) => bound.address)).toEqual(["127.77.18.101"]);
  });

  it("finishes the call that is under way on a connection when it stops", async () => {
    const [member] = await members("m1");
    const balancer = await start([member!]);
    await until(balancer, { m1: "ready" });
    const { socket } = await hold(balancer);
    const chunks: string[] = [];
    socket.on("data", (chunk) => chunks.push(String(chunk)));
    const [upstream] = [...member!.sockets].filter((one) => one.bytesRead === 1);
    upstream!.unpipe().resume();
    upstream!.on("data", () => setTimeout(() => upstream!.write("committed"), 150));
    socket.write("write");
    await once(upstream!, "data");
    const closed = once(socket, "close");
    await balancer[Symbol.asyncDispose]();
    expect(chunks).toEqual(["committed"]);
    expect(await closed).toEqual([false]);
  });

  it("says which address it cannot listen on", async () => {
    const taken = createServer();
    taken.listen(0, "127.77.18.102");
    await once(taken, "listening");
    const listen = `127.77.18.102:${(taken.address() as { port: number }).port}`;
    await expect(LoadBalancer.start(configFor([], [listen]), () => undefined)).rejects.toMatchObject({
      code: "load-balancer/cannot-listen",
      message: expect.stringContaining(listen),
    });
    taken.close();
  });
});
