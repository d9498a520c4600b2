/** Attribute names as shown: in snake case, as in Terraform's output and for tools that read it. */
import type { ResourceChange } from "../../../src/plan/plan.ts";
import type { Attributes } from "../../../src/plan/resource.ts";

/** `clientUrl` is shown as `client_url`. */
export function shownName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function shownAttributes(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [shownName(name), value]));
}

/** The change with attribute names as shown. */
export function shownChange(change: ResourceChange): ResourceChange {
  return {
    ...change,
    before: change.before === null ? null : shownAttributes(change.before),
    after: change.after === null ? null : shownAttributes(change.after),
    unknownAfter: change.unknownAfter.map(shownName),
    sensitive: change.sensitive.map(shownName),
    forcesReplacement: change.forcesReplacement.map(shownName),
  };
}

/** Values without meaning for a reader: the reason or another attribute explains them. */
export function isOpaque(shown: string): boolean {
  return shown === "pid" || shown.endsWith("_digest");
}
