/** The nodes of a cluster that haplan reaches: its machines, by their names. */

import { specName } from "../../src/plan/resource.ts";
import { nearestName } from "../../src/spec/nearest-name.ts";
import type { CliContext } from "./cli-context.ts";
import { refuse } from "./refusal.ts";
import { type Session, sessionState } from "./session.ts";

export type ClusterNodes = {
  /** In the order of the spec; then those that only the state has. */
  readonly names: readonly string[];
  /** Members that haplan did not start: it does not reach their machines. */
  readonly adopted: ReadonlySet<string>;
};

export async function clusterNodes(context: CliContext, session: Session): Promise<ClusterNodes> {
  const { spec, provider } = session;
  const { masters } = spec.controlPlane;
  const adopted = new Set(masters.filter(({ adoptedAt }) => adoptedAt !== undefined).map(({ name }) => name));
  const state = await sessionState(context, session);
  const recorded = (state?.resources ?? [])
    .filter(({ type }) => type === "haplan_machine")
    .map(({ name }) => specName(name));
  const named = [...masters, ...provider.model.describeLoadBalancer(spec).hosts, ...spec.workers];
  const names = [...named.map(({ name }) => name), ...recorded].filter((name) => !adopted.has(name));
  return { names: [...new Set(names)], adopted };
}

/** @throws RefusalError if there is no such node */
export function requireNode({ names, adopted }: ClusterNodes, name: string): string {
  if (names.includes(name)) return name;
  if (adopted.has(name))
    throw refuse(
      "cli/adopted-node",
      `haplan does not reach ${name}`,
      "It is an adopted member: haplan did not start it, and knows only its endpoint.",
    );
  const isFile = /[/.]/.test(name);
  const nearest = nearestName(name, names);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  const detail = isFile ? "Name the spec with -spec." : `${hint}Its nodes are ${names.join(", ")}.`;
  throw refuse("cli/no-such-node", `The cluster has no node ${name}`, detail);
}
