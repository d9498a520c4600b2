import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { HaplanError } from "../base/haplan-error.ts";
import { serveHost } from "../host-program/serve-host.ts";
import type { HostCalls } from "./host-calls.ts";
import { HostClient, type HostStreams } from "./host-client.ts";

type Line = { readonly fromHost: PassThrough; readonly toHost: PassThrough };

const line = (): Line => ({ fromHost: new PassThrough(), toHost: new PassThrough() });
const greeting = `${JSON.stringify({ protocol: 1, version: "0.1.0", pid: 1 })}\n`;

/** A client whose other end the test writes itself. */
async function openAlone(extra: Partial<HostStreams> = {}): Promise<Line & { readonly client: HostClient }> {
  const streams = line();
  streams.fromHost.write(greeting);
  return { ...streams, client: await HostClient.open({ ...streams, ...extra }) };
}

/** A client of `serveHost` over calls that the test writes. */
async function openServed(
  calls: Partial<HostCalls>,
): Promise<Line & { readonly client: HostClient; readonly served: Promise<void> }> {
  const streams = line();
  const served = serveHost({
    calls: calls as HostCalls,
    input: streams.toHost,
    output: streams.fromHost,
    version: "0.1.0",
  }).finally(() => streams.fromHost.end());
  return { ...streams, client: await HostClient.open(streams), served };
}

describe("calls to a host", () => {
  it("run concurrently, and each gets its own answer", async () => {
    const waiting: ((text: string) => void)[] = [];
    const { client, served } = await openServed({ unitLog: () => new Promise((resolve) => waiting.push(resolve)) });
    const calls = ["a", "b", "c"].map((unit) => client.unitLog("m1", unit, 1));
    await expect.poll(() => waiting.length).toBe(3);
    for (const [at, resolve] of [...waiting.entries()].reverse()) resolve(`log ${at}`);
    expect(await Promise.all(calls)).toEqual(["log 0", "log 1", "log 2"]);
    await client.close();
    await served;
  });

  it("reject with the code and the message that the host gives", async () => {
    const failing = async (): Promise<never> => {
      throw new HaplanError("provider/no-machine", 'there is no machine "m1"');
    };
    const { client } = await openServed({
      stopUnit: failing,
      removeUnit: () => Promise.reject(new TypeError("oh")),
    });
    await expect(client.stopUnit("m1", "agent", 1)).rejects.toMatchObject({
      code: "provider/no-machine",
      message: 'there is no machine "m1"',
    });
    await expect(client.removeUnit("m1", "agent")).rejects.toMatchObject({ code: "provider/host-failed" });
    await client.close();
  });

  it("reject for a result of another call, and leave the others alone", async () => {
    const { client, fromHost } = await openAlone();
    const calls = [client.unitLog("m1", "agent", 1), client.unitLog("m1", "agent", 1)];
    fromHost.write('{"id":1,"result":{"pid":3}}\n{"id":2,"result":"fine"}\n');
    await expect(calls[0]).rejects.toMatchObject({ code: "provider/bad-answer" });
    expect(await calls[1]).toBe("fine");
  });

  it("that are not read reject under their id, and the session goes on", async () => {
    const { client, toHost, fromHost } = await openServed({ unitLog: async () => "log" });
    const answers: string[] = [];
    fromHost.on("data", (chunk: Buffer) => answers.push(chunk.toString()));
    toHost.write('{"id":99,"call":"reboot","arguments":[]}\n');
    expect(await client.unitLog("m1", "agent", 1)).toBe("log");
    expect(answers.join("")).toContain('{"id":99,"error":{"code":"provider/bad-request"');
  });
});

describe("the end of a session", () => {
  it("rejects all calls under way, and those that come after it, with what is known of the reason", async () => {
    const { client, fromHost } = await openAlone({ whyEnded: async () => "ssh exited with code 255" });
    const calls = [client.facts(), client.observeOrphans()];
    fromHost.end();
    const lost = { code: "provider/connection-lost", message: expect.stringMatching(/: ssh exited with code 255$/) };
    for (const call of calls) await expect(call).rejects.toMatchObject(lost);
    await expect(client.facts()).rejects.toMatchObject(lost);
  });

  it.each<[string, (streams: Line) => void]>([
    ["the stream from the host fails", ({ fromHost }) => fromHost.destroy(new Error("ECONNRESET"))],
    [
      "the stream to the host fails and the other one ends",
      ({ fromHost, toHost }) => {
        toHost.destroy(new Error("EPIPE"));
        fromHost.end();
      },
    ],
    ["an answer is cut off", ({ fromHost }) => fromHost.end('{"id":1,"resu')],
  ])("is a lost connection when %s", async (_, breakIt) => {
    const { client, fromHost, toHost } = await openAlone();
    const call = client.facts();
    breakIt({ fromHost, toHost });
    await expect(call).rejects.toMatchObject({ code: "provider/connection-lost" });
  });

  it("comes with the first line that is not an answer", async () => {
    const { client, fromHost } = await openAlone();
    const call = client.facts();
    fromHost.write("Broadcast message from root\n");
    await expect(call).rejects.toMatchObject({ code: "provider/bad-answer" });
    expect(fromHost.destroyed).toBe(true);
  });

  it("lets the calls under way finish when the client closes", async () => {
    let finish: (log: string) => void = () => {};
    const { client, served } = await openServed({ unitLog: () => new Promise((resolve) => (finish = resolve)) });
    const call = client.unitLog("m1", "agent", 1);
    const closed = client.close();
    await new Promise(setImmediate);
    finish("late");
    expect(await call).toBe("late");
    await closed;
    await served;
  });

  it("ends the host with an error when a line is not a request, after the calls under way", async () => {
    const { client, toHost, served } = await openServed({ unitLog: async () => "log" });
    const call = client.unitLog("m1", "agent", 1);
    toHost.write("GET / HTTP/1.1\n");
    expect(await call).toBe("log");
    await expect(served).rejects.toMatchObject({ code: "provider/bad-request" });
  });
});

describe("an aborted call", () => {
  it("rejects at once with the signal's reason, and its late answer is dropped", async () => {
    const { client, fromHost } = await openAlone();
    const abort = new AbortController();
    const aborted = client.facts(abort.signal);
    const other = client.unitLog("m1", "agent", 1);
    abort.abort(new Error("stopped"));
    await expect(aborted).rejects.toThrow("stopped");
    fromHost.write('{"id":1,"result":null}\n{"id":2,"result":"log"}\n');
    expect(await other).toBe("log");
    await expect(client.facts(abort.signal)).rejects.toThrow("stopped");
  });
});

describe("opening a session", () => {
  it("fails when the host ends before its greeting, or greets as something else", async () => {
    const [gone, shell] = [line(), line()];
    gone.fromHost.end();
    const whyEnded = async (): Promise<string> => "haplan-host: not found";
    await expect(HostClient.open({ ...gone, whyEnded })).rejects.toMatchObject({
      code: "provider/connection-lost",
      message: "The connection to the host was lost: haplan-host: not found",
    });
    shell.fromHost.write("Welcome\n");
    await expect(HostClient.open(shell)).rejects.toMatchObject({ code: "provider/bad-greeting" });
    expect(shell.fromHost.destroyed).toBe(true);
  });

  it("is given up when its signal is aborted", async () => {
    const abort = new AbortController();
    const opening = HostClient.open(line(), abort.signal);
    abort.abort(new Error("stopped"));
    await expect(opening).rejects.toThrow("stopped");
  });
});
