/** The contract of providers: kept by the local one, and by one behind a connection that loses calls and answers. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
    const cutOff = (name: string): (() => void) => {
      remote.cutOff.add(name);
      return () => remote.cutOff.delete(name);
    };
    return { provider: await again(), again, close, cutOff };
  };
}

describeProvider("local", openLocal);
// The long form: they wait for real processes.
if (process.env["HAPLAN_TEST_EVERYTHING"] !== undefined) {
  describeProvider("behind a connection that loses every answer first", openBehind("noAnswer", "none"));
  describeProvider("behind a connection that loses every call first", openBehind("lost", "none"));
  describeProvider("behind a connection that loses and delays", openBehind("noAnswer", "lost", "late"));
}
