/** The state's machines at the start of the run, and those that were created since. */
import type { Attributes } from "../../plan/resource.ts";
import type { RecordedMachine } from "../provider-options.ts";

export class RecordedMachines {
  readonly #machines: RecordedMachine[];

  constructor(machines: readonly RecordedMachine[]) {
    this.#machines = [...machines];
  }

  all(): readonly RecordedMachine[] {
    return this.#machines;
  }

  add(machine: RecordedMachine): void {
    this.#machines.push(machine);
  }

  rename(from: string, to: string): void {
    for (const [at, machine] of this.#machines.entries())
      if (machine.name === from) this.#machines[at] = { ...machine, name: to };
  }

  /** The newest of a name. */
  attributesOf(name: string): Attributes {
    return this.#machines.findLast((each) => each.name === name)?.attributes ?? {};
  }

  /** The data volume of a machine. */
  volumeOf(name: string, generation: number): string | null {
    const machine = this.#machines.findLast((each) => each.name === name && each.generation === generation);
    const id = machine?.attributes["volume_id"];
    return typeof id === "string" ? id : null;
  }

  /** The data volumes of a machine, of all of its generations or of one. */
  volumesOf(name: string, generation?: number): readonly string[] {
    const found = this.#machines.filter(
      (each) => each.name === name && (generation ?? each.generation) === each.generation,
    );
    return found.flatMap(({ attributes: { volume_id: id } }) => (typeof id === "string" ? [id] : []));
  }

  /** The host key that was read from the console when the instance was created. */
  learnedKey(name: string): { readonly host_key?: string } {
    const key = this.attributesOf(name)["host_key"];
    return typeof key === "string" ? { host_key: key } : {};
  }

  /** How the host of a machine is reached. */
  reach(name: string, attributes: Attributes): Attributes {
    return reachWith(this.learnedKey(name), attributes);
  }
}

/** With a host key that was learned, unless the spec has one. */
export function reachWith({ host_key: key }: { readonly host_key?: string }, attributes: Attributes): Attributes {
  return key === undefined ? attributes : { ssh_host_key: key, ...attributes };
}
