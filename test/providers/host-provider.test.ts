/** The contract of providers, kept by the program haplan-host that runs here as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostClient } from "../../src/host/host-client.ts";
import { decodeLogEvents, logFlags } from "../../src/host/log-lines.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { root } from "../structure/imports.ts";
import { describeProvider, probeProgram } from "./provider-contract.ts";
import { providerOfHost } from "./provider-of-host.ts";

type Session = { readonly client: HostClient; readonly child: ChildProcess };

async function startProgram(parent: string): Promise<Session> {
  const program = join(root, "dist/cmd/haplan-host/main.js");
  const place = ["--cluster=demo", `--root=${parent}`, `--programs-dir=${join(parent, "cmd")}`, "--detached"];
  const child = spawn(process.execPath, [program, ...place], { stdio: ["pipe", "pipe", "inherit"] });
  return { client: await HostClient.open({ fromHost: child.stdout, toHost: child.stdin }), child };
}

/** Each log is written by a process of its own. */
const logsIn = (parent: string): Provider["logs"] =>
  async function* (machine, request, signal) {
    const program = join(root, "dist/cmd/haplan-host/main.js");
    const place = ["--cluster=demo", `--root=${parent}`, "--detached"];
    const child = spawn(process.execPath, [program, ...place, ...logFlags(machine, request)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    signal.addEventListener("abort", () => child.stdin.end(), { once: true });
    const exited = once(child, "exit");
    yield* decodeLogEvents(child.stdout);
    const [exitCode] = await exited;
    if (exitCode !== 0) throw new Error(`haplan-host ended with exit code ${exitCode}`);
  };

describe("haplan-host as a process", () => {
  let parent: string;
  let session: Session;
  beforeAll(async () => {
    parent = mkdtempSync(join(tmpdir(), "haplan-host-"));
    mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
    writeFileSync(join(parent, "cmd", "probe", "main.js"), probeProgram);
    session = await startProgram(parent);
  });
  afterAll(async () => {
    await session.client.close();
    rmSync(parent, { recursive: true });
  });

  describeProvider("on a host", async () => ({
    // One process for all tests: each of them ends its session, and leaves no machine.
    provider: { ...providerOfHost(session.client, logsIn(parent)), close: async () => {} },
    again: async () => providerOfHost((await startProgram(parent)).client, logsIn(parent)),
    close: async () => {},
  }));

  it("says which host it runs on", async () => {
    const machineId = existsSync("/etc/machine-id") ? readFileSync("/etc/machine-id", "utf8").trim() : null;
    expect(await session.client.facts()).toEqual({ hostname: hostname(), machineId });
  });

  it("ends with exit code 0 once its standard input has", async () => {
    const { client, child } = await startProgram(parent);
    const exited = once(child, "exit");
    await client.close();
    expect(await exited).toEqual([0, null]);
  });
});
