/** The contract of providers: kept by the local one, and by one behind a connection that loses calls and answers. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLocalProvider } from "../../src/providers/local/local-provider.ts";
import { type Fault, FaultyConnection } from "./faulty-connection.ts";
import { describeProvider, type OpenedProvider, probeProgram } from "./provider-contract.ts";

async function openLocal(): Promise<OpenedProvider> {
  const parent = mkdtempSync(join(tmpdir(), "haplan-provider-"));
  mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
  writeFileSync(join(parent, "cmd", "probe", "main.js"), probeProgram);
  const provider = createLocalProvider({
    root: join(parent, ".haplan", "demo"),
    programsDir: join(parent, "cmd"),
  });
  return { provider, close: async () => rmSync(parent, { recursive: true, force: true }) };
}

/** Every call fails in each of these ways before one goes through. */
function openBehind(...pattern: readonly Fault[]): () => Promise<OpenedProvider> {
  return async () => {
    const { provider, close } = await openLocal();
    const connection = new FaultyConnection(provider);
    connection.faults = Array.from({ length: 200 }, () => pattern).flat();
    return { provider: connection.over(pattern.length), close };
  };
}

describeProvider("local", openLocal);
describeProvider("behind a connection that loses every answer first", openBehind("noAnswer", "none"));
// The long form: they wait for real processes.
if (process.env["HAPLAN_TEST_EVERYTHING"] !== undefined) {
  describeProvider("behind a connection that loses every call first", openBehind("lost", "none"));
  describeProvider("behind a connection that loses and delays", openBehind("noAnswer", "lost", "late"));
}

describe("a machine that is cut off", () => {
  it("is unreachable, not gone, and the others are found", async () => {
    const { provider, close } = await openLocal();
    const connection = new FaultyConnection(provider);
    const remote = connection.over(1);
    const machine = { name: "m1", address: "127.77.18.1", zone: null, lineage: "lineage-a", generation: 1 };
    await remote.createMachine(machine);
    await remote.createMachine({ ...machine, name: "m2" });
    connection.cutOff.add("m1");
    expect(await remote.observe("lineage-a", [])).toMatchObject({
      machines: [{ name: "m2" }],
      unreachable: [{ name: "m1", reason: "no route to host" }],
    });
    await Promise.all(["m1", "m2"].map((name) => provider.destroyMachine(name)));
    await close();
  });
});
