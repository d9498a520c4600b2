import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connectScript, listenScript, parseConnections, parseHolder, parseListening } from "./network-scripts.ts";

describe("what connectScript printed", () => {
  it.each([
    [0, "", "connected"],
    [124, "", "noAnswer"],
    [1, "bash: connect: Connection timed out", "noAnswer"],
    [1, "m1: connect: Connection refused m1: line 1: /dev/tcp/10.0.0.1/2380: Connection refused", "refused"],
    [1, "bash: connect: No route to host", "rejected"],
    [1, "bash: connect: Permission denied", "rejected"],
    [1, "bash: m9: Name or service not known", "unknownName"],
    [1, "bash: m9: Temporary failure in name resolution", "unknownName"],
    [127, "timeout: failed to run command 'bash': No such file or directory", "untried"],
  ])("with exit code %d and %s is %s", (exitCode, said, outcome) => {
    expect(parseConnections(`3\t${exitCode}\t${said}\n`)).toEqual(new Map([[3, outcome]]));
  });
});

describe("what holderScript printed", () => {
  it.each([
    [
      "a neighbor that answered",
      "0\t124\t\n10.0.0.9 dev eth0 lladdr 52:54:00:aa:bb:cc REACHABLE",
      { mac: "52:54:00:aa:bb:cc" },
    ],
    ["a neighbor that did not", "0\t124\t\n10.0.0.9 dev eth0  INCOMPLETE", null],
    ["no neighbor, and no route", "0\t1\tbash: connect: No route to host\n10.0.0.9 dev eth0  FAILED", null],
    ["a connection beyond a router", "0\t0\t", { mac: null }],
    ["a refusal beyond a router", "0\t1\tbash: connect: Connection refused", { mac: null }],
    ["nothing", "", null],
  ])("tells of %s", (_, printed, holder) => {
    expect(parseHolder(printed)).toEqual(holder);
  });
});

const missing = ["bash", "systemd-socket-activate", "timeout"].filter(
  (program) => spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0,
);

describe.skipIf(missing.length > 0)(`the scripts (skipped without bash and systemd-socket-activate)`, () => {
  const address = "127.77.66.1";
  const started: ReturnType<typeof spawn>[] = [];
  afterEach(() => {
    for (const shell of started.splice(0)) shell.kill("SIGKILL");
  });

  async function listenAt(ports: readonly number[]): Promise<{ shell: ReturnType<typeof spawn>; printed: string }> {
    const shell = spawn("sh", [], { stdio: ["pipe", "pipe", "inherit"] });
    started.push(shell);
    shell.stdin!.write(`{ ${listenScript(ports.map((port) => ({ address, port })))}\n} </dev/null; echo end\n`);
    let printed = "";
    for await (const chunk of shell.stdout!) {
      printed += String(chunk);
      if (printed.endsWith("end\n")) break;
    }
    return { shell, printed: printed.replace(/end\n$/, "") };
  }

  const isListening = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = createConnection({ host: address, port });
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });

  it("listen until the shell ends, and connect", async () => {
    const { shell, printed } = await listenAt([23_801, 23_802]);
    expect(parseListening(printed)).toEqual(new Set([0, 1]));
    const script = connectScript([
      { address, port: 23_801 },
      { address, port: 23_899 },
      { address: "no-such-name.invalid", port: 1 },
    ]);
    const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
    expect(parseConnections(stdout)).toEqual(
      new Map([
        [0, "connected"],
        [1, "refused"],
        [2, "unknownName"],
      ]),
    );
    shell.stdin!.end();
    await once(shell, "exit");
    await expect.poll(() => isListening(23_802), { timeout: 5_000 }).toBe(false);
  }, 20_000);

  it("end with a shell that is killed", async () => {
    const { shell } = await listenAt([23_805]);
    shell.kill("SIGKILL");
    await expect.poll(() => isListening(23_805), { timeout: 5_000 }).toBe(false);
  }, 20_000);

  it("tell a listener of another process, or at another address, from their own", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(23_803, "127.77.66.2", resolve));
    const other = createServer();
    await new Promise<void>((resolve) => void other.listen(23_804, "0.0.0.0", resolve));
    const { printed } = await listenAt([23_803, 23_804]);
    expect(parseListening(printed)).toEqual(new Set([0]));
    for (const each of [server, other]) await new Promise((resolve) => each.close(resolve));
  }, 20_000);
});
