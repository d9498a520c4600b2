/** Which instance has an address: Session Manager reaches instances by their ids. */
import type { Json } from "../../base/json.ts";
import type { RecordedMachine } from "../provider-options.ts";
import type { FoundInstance } from "./instances.ts";

export class InstanceIds {
  readonly #ids: Map<string, string> = new Map();

  constructor(recorded: readonly RecordedMachine[]) {
    for (const { attributes } of recorded) this.#set(attributes["address"], attributes["instance_id"]);
  }

  add({ address, id }: Pick<FoundInstance, "address" | "id">): void {
    this.#set(address, id);
  }

  at(address: string): string | null {
    return this.#ids.get(address) ?? null;
  }

  #set(address: Json | undefined, id: Json | undefined): void {
    if (typeof address === "string" && typeof id === "string") this.#ids.set(address, id);
  }
}
