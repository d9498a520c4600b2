/** Converts any document to the draft that the rules check. */

import type { Json } from "../base/json.ts";
import type { ClusterShapes } from "./declaration/cluster.ts";
import type { ControlPlaneDraft, HostDraft, LocatedPart, SpecDraft } from "./draft.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import { isSupportedMemberCount } from "./quorum-table.ts";
import { type LocatedList, locate } from "./schema/located.ts";
import type { Shapes } from "./schema/shape.ts";

/** The draft of any `document`. */
export function draftSpec(document: Json, provider: ProviderSchema, shapes: Shapes): SpecDraft {
  const spec = locate<ClusterShapes, "cluster">("cluster", shapes, document)?.entries.spec?.entries;
  const controlPlane = spec?.controlPlane ?? null;
  const loadBalancer = spec?.loadBalancer ?? null;
  const list = controlPlane?.entries.masters ?? null;
  const masters = list === null ? null : { pointer: list.pointer, hosts: hostsOf("master", list) };
  return {
    provider: spec?.provider ?? null,
    state: spec?.state ?? null,
    backup: spec?.backup ?? null,
    controlPlane,
    loadBalancer,
    kubernetes: spec?.kubernetes ?? null,
    repair: spec?.repair ?? null,
    derivesMasters: provider.deriveMasters !== null,
    hasBalancerHosts: provider.hasBalancerHosts,
    masters,
    hosts: [
      ...(masters?.hosts ?? derivedHosts(controlPlane, provider)),
      ...(loadBalancer === null ? [] : balancersOf(loadBalancer)),
      ...(spec === undefined ? [] : hostsOf("worker", spec.workers)),
      ...sparesOf(spec?.repair ?? null),
    ],
  };
}

function hostsOf(kind: HostDraft["kind"], { items }: LocatedList<LocatedPart<"host"> | null>): readonly HostDraft[] {
  return items.map((host) =>
    host === null
      ? { kind, name: null, address: null, entries: {} }
      : { kind, name: host.entries.name, ...addressAndEntries(host) },
  );
}

function sparesOf(repair: LocatedPart<"repair"> | null): readonly HostDraft[] {
  const spares = repair?.entries.replace?.entries.spares ?? null;
  return spares === null ? [] : hostsOf("spare host", spares);
}

/** Machines of load balancers. One on the host of a master or worker has neither name nor address of its own. */
function balancersOf(loadBalancer: LocatedPart<"loadBalancer">): readonly HostDraft[] {
  const kind = "load balancer";
  const { hosts } = loadBalancer.entries;
  if (!loadBalancer.written.includes("hosts")) return [{ kind, name: null, ...addressAndEntries(loadBalancer) }];
  return (hosts?.items ?? []).flatMap((host) =>
    host === null || host.entries.address === null
      ? []
      : [{ kind, name: host.entries.name, ...addressAndEntries(host) }],
  );
}

function addressAndEntries({
  entries,
}: LocatedPart<"host"> | LocatedPart<"loadBalancer"> | LocatedPart<"loadBalancerHost">): Pick<
  HostDraft,
  "address" | "entries"
> {
  return { address: entries.address, entries };
}

/** If neither a list nor anything else is written in its place. */
function derivedHosts(controlPlane: ControlPlaneDraft | null, { deriveMasters }: ProviderSchema): readonly HostDraft[] {
  const members = controlPlane?.entries.members ?? null;
  if (controlPlane === null || members === null || deriveMasters === null) return [];
  if (controlPlane.written.includes("masters") || !isSupportedMemberCount(members.value)) return [];
  const { pointer } = members;
  return deriveMasters.derive(members.value).map(({ name, address }) => ({
    kind: "master",
    name: { pointer, value: name },
    address: { pointer, value: address },
    entries: {},
  }));
}
