/**
 * A provider behind a connection that fails: calls are lost before they arrive, or carried out without an answer, or
 * answered late. Machines may be cut off altogether.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { Provider } from "../../src/providers/provider.ts";

export type Fault = "lost" | "noAnswer" | "late" | "none";

export class FaultyConnection {
  /** The faults of the coming calls, in turn; none once the list is at its end. */
  faults: Fault[] = [];
  readonly cutOff: Set<string> = new Set();
  readonly #provider: Provider;

  constructor(provider: Provider) {
    this.#provider = provider;
  }

  /** The same provider over this connection. `attempts`: how often a call is made until it is given up. */
  over(attempts: number): Provider {
    const provider = this.#provider;
    const call = <Arguments extends unknown[], Result>(
      act: (...given: Arguments) => Promise<Result>,
    ): ((...given: Arguments) => Promise<Result>) => {
      return (...given) => this.#repeat(attempts, () => act(...given));
    };
    return {
      observe: call(async (lineage, names) => {
        const { machines } = await provider.observe(lineage, names);
        return {
          machines: machines.filter(({ name }) => !this.cutOff.has(name)),
          unreachable: [...this.cutOff].map((name) => ({ name, reason: "no route to host" })),
        };
      }),
      observeOrphans: call(provider.observeOrphans),
      preflight: call(provider.preflight),
      createMachine: call(provider.createMachine),
      renameMachine: call(provider.renameMachine),
      destroyMachine: call(provider.destroyMachine),
      startUnit: call(provider.startUnit),
      stopUnit: call(provider.stopUnit),
      removeUnit: call(provider.removeUnit),
      unitLog: call(provider.unitLog),
      readUnitFile: call(provider.readUnitFile),
    };
  }

  async #repeat<Result>(attempts: number, act: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(act);
      } catch (error) {
        const isLost = error instanceof HaplanError && error.code === "fake/connection-lost";
        if (!isLost || attempt >= attempts) throw error;
      }
    }
  }

  async #once<Result>(act: () => Promise<Result>): Promise<Result> {
    const fault = this.faults.shift() ?? "none";
    if (fault === "lost") throw lost("before the call arrived");
    if (fault === "late") await sleep(20);
    const result = await act();
    if (fault === "noAnswer") throw lost("before the answer came");
    return result;
  }
}

function lost(when: string): HaplanError {
  return new HaplanError("fake/connection-lost", `The connection was lost ${when}`);
}
