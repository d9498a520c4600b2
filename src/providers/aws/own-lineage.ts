/** Which cluster a run changes: another one of the same account may have the same name. */
import { HaplanError } from "../../base/haplan-error.ts";

export class OwnLineage {
  #lineage: string | null = null;

  claim(lineage: string): void {
    this.#lineage = lineage;
  }

  /** @throws HaplanError `aws/no-lineage` before it is known: what only has the name of the cluster is never removed */
  get(): string {
    if (this.#lineage !== null) return this.#lineage;
    throw new HaplanError("aws/no-lineage", "It is not known which objects of this name are those of this cluster");
  }

  has({ lineage }: { readonly lineage: string | null }): boolean {
    return lineage === this.get();
  }
}
