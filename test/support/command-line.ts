/** Whole command lines in tests: against a world in memory, with specs, state and journal in a directory on disk. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExitCode } from "../../cmd/haplan/cli-context.ts";
import { runHaplan } from "../../cmd/haplan/run-haplan.ts";
import type { ForeignExitCode } from "../../cmd/haplan/run-in-terminal.ts";
import { StopRequests } from "../../cmd/haplan/stop-requests.ts";
import { createScriptedTerminal, type ScriptedTerminal } from "../../cmd/haplan/terminal.fake.ts";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { ProviderOptions } from "../../src/providers/provider-options.ts";
import type { HostReach, SurveyedHost } from "../../src/providers/spec-draft.ts";
import { unitLoadBalancer } from "../../src/providers/unit-load-balancer.ts";
import { FakeWorld } from "./fake-world.ts";

export const exampleSpec: string = new URL("../../examples/ha-3-masters.yaml", import.meta.url).pathname;

export type CliRun = {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
  readonly terminal: ScriptedTerminal;
};

export type CliFixture = {
  /** Holds `three.yaml`, a copy of the example. */
  readonly cwd: string;
  readonly world: FakeWorld;
  /** Of the haplan that runs; may be set. */
  version: string;
  /** Environment variables of the runs to come. */
  readonly environment: Record<string, string>;
  /** Standard input of the runs to come. */
  input: string;
  /** What stops the runs to come. */
  stop: StopRequests;
  /** What a host is. @throws where it is not reached */
  askHost: (reach: HostReach, sought: string | null) => SurveyedHost;
  /** Command lines that ran in the terminal; each ended with exit code 7. */
  readonly processes: string[];
  /** Opens the provider of the runs to come, over the one of the world in memory. */
  openProvider: (options: ProviderOptions, inMemory: Provider) => Provider | Promise<Provider>;
  /**
   * Runs one command line, split at spaces unless it is split already; `answers` null: it cannot ask. `onPrint` gets what it
   * prints while it runs.
   */
  haplan(
    line: string | readonly string[],
    answers?: readonly string[] | null,
    onPrint?: (text: string) => void,
  ): Promise<CliRun>;
  /** What `show -json` prints of the plan that `plan` with these words makes. */
  planDocument<Document>(words: string): Promise<Document>;
  remove(): void;
};

/** For runs that nothing stops. */
export function unstoppable(): StopRequests {
  return new StopRequests({ leave: () => {}, say: () => {}, monotonicMs: () => 0 });
}

/** Waits a fiftieth of what it is asked to: the world in memory is always ready. */
const impatientClock: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) };

/** `directory` is made; without it, one of a new name is. */
export function createCliFixture(directory?: string): CliFixture {
  const cwd = directory ?? mkdtempSync(join(tmpdir(), "haplan-cli-"));
  mkdirSync(cwd, { recursive: true });
  cpSync(exampleSpec, join(cwd, "three.yaml"));
  const world = new FakeWorld();
  const environment: Record<string, string> = {};
  const fixture: CliFixture = {
    cwd,
    world,
    version: "9.9.9",
    environment,
    input: "",
    stop: unstoppable(),
    processes: [],
    askHost: ({ host }) => {
      throw new HaplanError("ssh/no-route", `There is no route to ${host}`);
    },
    openProvider: (_, inMemory) => inMemory,
    planDocument: async (words) => {
      await fixture.haplan(`plan ${words} -out=document.plan`);
      return JSON.parse((await fixture.haplan("show -json document.plan")).out);
    },
    remove: () => rmSync(cwd, { recursive: true, force: true }),
    haplan: async (line, answers = null, onPrint = () => {}) => {
      const scripted = createScriptedTerminal(answers, false, fixture.input);
      const terminal: ScriptedTerminal = {
        ...scripted,
        print: (text) => {
          scripted.print(text);
          onPrint(text);
        },
      };
      const { provider, authority, connect, probeWrites, askPresented } = world.ports();
      const code = await runHaplan(typeof line === "string" ? line.split(" ").filter(Boolean) : line, {
        cwd,
        terminal,
        clock: impatientClock,
        loadDependencies: async () => ({
          openProvider: async (options) => fixture.openProvider(options, provider),
          openLoadBalancer: (_, opened, clock) => world.cloud ?? unitLoadBalancer(opened, clock),
          openAuthority: () => authority,
          openOperatorAuthority: () => authority,
          openAdoptedAuthority: () => authority,
          connect,
          probeWrites,
          askPresented,
          askHost: async (reach, sought) => fixture.askHost(reach, sought),
          runInTerminal: async ({ file, arguments: given }) => {
            fixture.processes.push([file, ...given].join(" "));
            return 7 as ForeignExitCode;
          },
          rehearsedProgram: null,
          openWatcherLease: () => ({ hold: async () => ({ held: true }), close: async () => {} }),
          readWorkerReports: async () => [
            { name: "w1", endpoint: "", lastSuccessAt: "2026-01-01T00:00:00Z", readLatencyMs: 1, pid: 1 },
          ],
        }),
        environment,
        version: fixture.version,
        stop: fixture.stop,
      });
      return { code, out: terminal.output(), err: terminal.errors(), terminal };
    },
  };
  return fixture;
}
