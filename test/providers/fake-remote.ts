/**
 * A provider whose machines are reached over a connection that fails: calls are lost before they arrive, are carried out
 * without an answer, are answered late, or hang until they are given up. Machines may be cut off altogether. It serves few
 * machines at once, and counts them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import type { UnreachableMachine } from "../../src/plan/observed-cluster.ts";
import { boundedProvider } from "../../src/providers/bounded-provider.ts";
import type { LogEvent } from "../../src/providers/log-entry.ts";
import { MachineCalls, type MachineCallsOptions } from "../../src/providers/machine-calls.ts";
import type { FoundMachines, Provider } from "../../src/providers/provider.ts";

/** `hangs`: until it is aborted; `isDeaf`: forever, even if it is aborted. */
export type Fault = "lost" | "noAnswer" | "late" | "hangs" | "isDeaf" | "none";

export class FakeRemote {
  /** The faults of the coming calls, in turn; none once the list is at its end. */
  faults: Fault[] = [];
  /** Machines that no call reaches. */
  readonly cutOff: Set<string> = new Set();
  /** Machines that take every call and answer none. */
  readonly hung: Set<string> = new Set();
  /** How long each call is under way. */
  latencyMs = 0;
  /** The most machines that were served at once. */
  mostAtOnce = 0;
  /** Sessions that are open. */
  open = 0;
  readonly #provider: Provider;
  #atOnce = 0;

  constructor(provider: Provider) {
    this.#provider = provider;
  }

  /** Opens a session. `attempts`: how often a call is made until it is given up. */
  session(options: MachineCallsOptions & { readonly attempts?: number }): Provider {
    const { attempts = 1, limits } = options;
    this.open += 1;
    const provider = this.#provider;
    const calls = new MachineCalls(options);
    const act = <Result>(
      machine: string | null,
      signal: AbortSignal | undefined,
      work: () => Promise<Result>,
    ): Promise<Result> => this.#repeat(attempts, () => this.#once(machine, signal, work));
    const nameOf = (machine: string | { readonly name: string }): string =>
      typeof machine === "string" ? machine : machine.name;
    const inner: Provider = {
      model: provider.model,
      limits,
      observe: (lineage, names, signal) => this.#observe(calls, { lineage, names, signal, attempts }),
      observeOrphans: (signal) => act(null, signal, () => provider.observeOrphans()),
      preflight: (request, signal) => act(null, signal, () => provider.preflight(request)),
      check: (request, signal) => act(null, signal, () => provider.check(request)),
      createMachine: (machine, signal) => act(machine.name, signal, () => provider.createMachine(machine)),
      updateMachine: (machine, change, signal) =>
        act(nameOf(machine), signal, () => provider.updateMachine(machine, change)),
      renameMachine: (from, to, signal) => act(from, signal, () => provider.renameMachine(from, to)),
      destroyMachine: (machine, signal) => act(nameOf(machine), signal, () => provider.destroyMachine(machine)),
      startUnit: (machine, unit, signal) => act(nameOf(machine), signal, () => provider.startUnit(machine, unit)),
      artifact: () => provider.artifact(),
      revertUnit: (machine, unit, signal) => act(nameOf(machine), signal, () => provider.revertUnit(machine, unit)),
      stopUnit: (machine, unit, graceMs, signal) =>
        act(nameOf(machine), signal, () => provider.stopUnit(machine, unit, graceMs)),
      disturbUnit: (machine, unit, fault) =>
        act(nameOf(machine), undefined, () => provider.disturbUnit(machine, unit, fault)),
      restoreData: (machine, request, signal) =>
        act(nameOf(machine), signal, () => provider.restoreData(machine, request)),
      readData: (machine, request, signal) => act(nameOf(machine), signal, () => provider.readData(machine, request)),
      exportData: (machine, request, signal) =>
        act(nameOf(machine), signal, () => provider.exportData(machine, request)),
      removeUnit: (machine, unit, signal) => act(nameOf(machine), signal, () => provider.removeUnit(machine, unit)),
      unitLog: (machine, unit, lines, signal) =>
        act(nameOf(machine), signal, () => provider.unitLog(machine, unit, lines)),
      logs: (machine, request, signal) =>
        this.#logs(nameOf(machine), attempts, () => provider.logs(machine, request, signal)),
      shell: (machine, request) => act(nameOf(machine), undefined, () => provider.shell(machine, request)),
      runTask: (machine, unit, task, signal) =>
        act(nameOf(machine), signal, () => provider.runTask(machine, unit, task)),
      startTask: (machine, unit, task, signal) =>
        act(nameOf(machine), signal, () => provider.startTask(machine, unit, task)),
      taskReport: (machine, unit, task, signal) =>
        act(nameOf(machine), signal, () => provider.taskReport(machine, unit, task)),
      readUnitFile: (machine, unit, path, signal) =>
        act(nameOf(machine), signal, () => provider.readUnitFile(machine, unit, path)),
      askUnit: (machine, unit, socket, question, signal) =>
        act(nameOf(machine), signal, () => provider.askUnit(machine, unit, socket, question)),
      answersLocally: (machine, unit, url, signal) =>
        act(nameOf(machine), signal, () => provider.answersLocally(machine, unit, url)),
      lock: (run, options) => provider.lock(run, options),
      reinstall: () => provider.reinstall(),
      prepare: (machines) => provider.prepare(machines),
      removeLeftovers: (request) => provider.removeLeftovers(request),
      close: async () => {
        this.open -= 1;
        await provider.close();
      },
    };
    return boundedProvider(inner, calls);
  }

  /** Asks each machine by itself, as a provider over a network has to. */
  async #observe(
    calls: MachineCalls,
    { lineage, names, signal, attempts }: ObserveCall & { readonly attempts: number },
  ): Promise<FoundMachines> {
    const { machines } = await this.#provider.observe(lineage, names);
    const present = [...new Set([...machines.map(({ name }) => name), ...this.cutOff, ...this.hung])];
    const unreachable: UnreachableMachine[] = [];
    await Promise.all(
      present.map(async (name) => {
        try {
          const call = { what: `observe ${name}`, signal };
          await calls.run(call, (given) => this.#repeat(attempts, () => this.#once(name, given, async () => {})));
        } catch (error) {
          if (error instanceof HaplanError && error.code === "provider/aborted") throw error;
          unreachable.push({ name, reason: errorText(error) });
        }
      }),
    );
    return { machines: machines.filter(({ name }) => !unreachable.some((each) => each.name === name)), unreachable };
  }

  /** A log is read over a connection of its own, which is made once. */
  async *#logs(machine: string, attempts: number, read: () => AsyncIterable<LogEvent>): AsyncGenerator<LogEvent> {
    await this.#repeat(attempts, () => this.#once(machine, undefined, async () => {}));
    for await (const event of read()) {
      if (this.cutOff.has(machine)) throw new HaplanError("fake/no-route", "no route to host");
      yield event;
    }
  }

  async #repeat<Result>(attempts: number, act: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await act();
      } catch (error) {
        const isLost = error instanceof HaplanError && error.code === "fake/connection-lost";
        if (!isLost || attempt >= attempts) throw error;
      }
    }
  }

  async #once<Result>(
    machine: string | null,
    signal: AbortSignal | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (machine !== null) this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    try {
      if (machine !== null && this.cutOff.has(machine)) throw new HaplanError("fake/no-route", "no route to host");
      const fault = machine !== null && this.hung.has(machine) ? "hangs" : (this.faults.shift() ?? "none");
      if (fault === "hangs" || fault === "isDeaf") await hang(fault === "isDeaf" ? undefined : signal);
      if (fault === "lost") throw lost("before the call arrived");
      if (fault === "late") await sleep(20);
      if (this.latencyMs > 0) await sleep(this.latencyMs);
      const result = await work();
      if (fault === "noAnswer") throw lost("before the answer came");
      return result;
    } finally {
      if (machine !== null) this.#atOnce -= 1;
    }
  }
}

type ObserveCall = {
  readonly lineage: string | null;
  readonly names: readonly string[];
  readonly signal: AbortSignal | undefined;
};

function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function lost(when: string): HaplanError {
  return new HaplanError("fake/connection-lost", `The connection was lost ${when}`);
}
