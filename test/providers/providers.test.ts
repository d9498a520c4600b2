/** The contract of providers: kept by the local one, and by one behind a connection that loses calls and answers. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { boundedProvider } from "../../src/providers/bounded-provider.ts";
import { localLimits } from "../../src/providers/local/local-model.ts";
import { createLocalProvider } from "../../src/providers/local/local-provider.ts";
import { MachineCalls, type MachineCallsOptions } from "../../src/providers/machine-calls.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { FakeRemote, type Fault } from "./fake-remote.ts";
import { describeProvider, type OpenedProvider, probeProgram } from "./provider-contract.ts";

const unstopped = (): Omit<MachineCallsOptions, "limits"> => ({
  clock: systemClock,
  signal: new AbortController().signal,
  log: () => {},
});
const limits = { machinesAtOnce: 3, callTimeoutMs: 10_000 };

function makeLocal(): { readonly local: Provider; readonly close: () => Promise<void> } {
  const parent = mkdtempSync(join(tmpdir(), "haplan-provider-"));
  mkdirSync(join(parent, "cmd", "probe"), { recursive: true });
  writeFileSync(join(parent, "cmd", "probe", "main.js"), probeProgram);
  const local = createLocalProvider({ root: join(parent, ".haplan", "demo"), programsDir: join(parent, "cmd") });
  return { local, close: async () => rmSync(parent, { recursive: true, force: true }) };
}

async function openLocal(): Promise<OpenedProvider> {
  const { local, close } = makeLocal();
  const again = async (): Promise<Provider> =>
    boundedProvider(local, new MachineCalls({ limits: localLimits, ...unstopped() }));
  return { provider: await again(), again, close };
}

/** Every call fails in each of these ways before one goes through. */
function openBehind(...pattern: readonly Fault[]): () => Promise<OpenedProvider> {
  return async () => {
    const { local, close } = makeLocal();
    const remote = new FakeRemote(local);
    remote.faults = Array.from({ length: 200 }, () => pattern).flat();
    const again = async (): Promise<Provider> => remote.session({ attempts: pattern.length, limits, ...unstopped() });
    return { provider: await again(), again, close };
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
    const { local, close } = makeLocal();
    const remote = new FakeRemote(local);
    const session = remote.session({ limits, ...unstopped() });
    const machine = { name: "m1", address: "127.77.18.1", zone: null, lineage: "lineage-a", generation: 1 };
    await session.createMachine(machine);
    await session.createMachine({ ...machine, name: "m2" });
    remote.cutOff.add("m1");
    expect(await session.observe("lineage-a", [])).toMatchObject({
      machines: [{ name: "m2" }],
      unreachable: [{ name: "m1", reason: "no route to host" }],
    });
    await Promise.all(["m1", "m2"].map((name) => local.destroyMachine(name)));
    await session.close();
    expect(remote.open).toBe(0);
    await close();
  });
});
