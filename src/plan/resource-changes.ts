/** Combines planned actions, spec and state to the list of changes that a plan shows and programs read. */
import { sameJson } from "../base/canonical-json.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import { type DesiredResource, toldByTheSpec } from "./desired-resources.ts";
import { type FoundResource, foundResource } from "./found-resource.ts";
import type { ResourceChange } from "./plan.ts";
import type { DriftNote, PlanBuilder, PlannedAction } from "./plan-builder.ts";
import type { Planning } from "./planning.ts";
import { type Attributes, parseAddress, type ResourceAddress, type ResourceType, resourceAddress } from "./resource.ts";
import type { StateResource } from "./state.ts";
import { isKnownFromStateOnly } from "./unreachable-machines.ts";

export function resourceChanges(planning: Planning): readonly ResourceChange[] {
  const { observed, desired, view, builder } = planning;
  const wanted = new Set(desired.map((resource) => resource.address));
  const changes = desired.map((resource) => {
    const known = view.resources.get(resource.address);
    const found = known === undefined ? foundResource(resource, observed, view) : null;
    if (known !== undefined && isLeftAlone(planning, resource.address)) return leftAlone(known, builder);
    return change(planning, resource, known, found);
  });
  const leaving = [...builder.actions.entries()]
    .filter(([address]) => !wanted.has(address))
    .map(([address, decision]) => deletion(address, view.resources.get(address), decision));
  return [...changes, ...leaving];
}

function change(
  planning: Planning,
  resource: DesiredResource,
  known: StateResource | undefined,
  found: FoundResource | null,
): ResourceChange {
  const { builder, refreshOnly = false } = planning;
  const decision: PlannedAction = builder.actions.get(resource.address) ?? { action: "noop", reason: null };
  const imported = found !== null && (decision.action === "noop" || decision.action === "update") ? found : null;
  const facts = { ...imported?.attributes, ...builder.facts.get(resource.address) };
  // A resource to be created does not exist, whatever the state says.
  const before = known === undefined || decision.action === "create" ? null : visible(known);
  const replaced = decision.action === "deleteThenCreate" || decision.action === "createThenDelete";
  const fresh = before === null || replaced;
  // A resource changed in place keeps its known attributes, except those that the change renews.
  const remade = new Set(decision.action === "update" ? (decision.renews ?? remadeByUpdate(resource.type)) : []);
  const kept = Object.fromEntries(Object.entries(fresh ? {} : before).filter(([name]) => !remade.has(name)));
  // The spec's value of a known resource is not yet applied: it does not make the state outdated.
  const notYet = refreshOnly && known !== undefined && toldByTheSpec.has(resource.type);
  const wanted = notYet ? {} : resource.attributes;
  const told = decision.action === "noop" ? {} : carriedCertificate(planning, resource);
  const late = decision.action === "noop" ? new Set<string>() : unknownAttributes(resource, planning.desired);
  const planned: Attributes = {
    ...kept,
    ...told,
    ...(replaced || decision.action === "create" ? {} : facts),
    ...wanted,
    // Its name changes when another one replaces it.
    ...(resource.type === "haplan_ca" && decision.action !== "create" ? facts : {}),
  };
  const after: Attributes = Object.fromEntries(Object.entries(planned).filter(([name]) => !late.has(name)));
  return {
    address: resource.address,
    type: resource.type,
    name: resource.name,
    action: decision.action,
    ...reasonOf(decision),
    before,
    after,
    unknownAfter:
      decision.action === "noop" ? [] : [...resource.unknown, ...late].filter((name) => after[name] === undefined),
    sensitive: [...new Set([...resource.sensitive, ...(known?.sensitive ?? [])])],
    forcesReplacement: decision.forces ?? (replaced && before !== null ? differing(resource, before) : []),
    ...(imported === null ? {} : { importing: { id: imported.id } }),
  };
}

/** What waits for an address, and digests of configurations that hold one. */
function unknownAttributes(resource: DesiredResource, desired: readonly DesiredResource[]): ReadonlySet<string> {
  const waits = (value: unknown): boolean => unknownAddresses(value).length > 0;
  const names = Object.entries(resource.attributes).flatMap(([name, value]) => (waits(value) ? [name] : []));
  const targets =
    resource.type === "haplan_load_balancer" ? desired.filter(({ type }) => type === "haplan_lb_backend") : [];
  const hasUnknownAddresses = names.length > 0 || targets.some(({ attributes }) => waits(attributes));
  return new Set(hasUnknownAddresses && "configDigest" in resource.attributes ? [...names, "configDigest"] : names);
}

/** The certificate that a program is started with: known, unless this plan issues it. */
function carriedCertificate({ view, builder }: Planning, resource: DesiredResource): Attributes {
  if (!resource.unknown.includes("certificate")) return {};
  const own = resource.dependsOn.find((each) => parseAddress(each).type === "haplan_certificate");
  const address = own ?? resourceAddress("haplan_certificate", resource.name);
  const issued = (builder.actions.get(address)?.action ?? "noop") !== "noop";
  const certificate = view.resources.get(address)?.attributes["fingerprint"];
  return issued || typeof certificate !== "string" ? {} : { certificate };
}

function isLeftAlone({ view, builder }: Planning, address: ResourceAddress): boolean {
  const { unreachable } = view;
  if ((builder.actions.get(address)?.action ?? "noop") !== "noop") return false;
  return isKnownFromStateOnly(unreachable, address) || builder.isLeftAsRecorded(address);
}

function leftAlone(known: StateResource, builder: PlanBuilder): ResourceChange {
  const attributes = visible(known);
  return {
    address: known.address,
    type: known.type,
    name: known.name,
    action: "noop",
    ...reasonOf(builder.actions.get(known.address)),
    before: attributes,
    after: attributes,
    unknownAfter: [],
    sensitive: known.sensitive,
    forcesReplacement: [],
  };
}

function remadeByUpdate(type: ResourceType): readonly string[] {
  switch (type) {
    case "haplan_ca":
    case "haplan_certificate":
      return ["fingerprint", "notAfter"];
    case "haplan_agent":
    case "haplan_worker":
    case "haplan_kubeadm_config":
      return ["pid", "definitionDigest", "certificate"];
    case "haplan_load_balancer":
      return ["pid", "definitionDigest", "certificate", "virtualAddressDigest"];
    default:
      return [];
  }
}

function differing(resource: DesiredResource, before: Attributes): readonly string[] {
  return resource.replacedBy.filter((name) => !sameJson(before[name] ?? null, resource.attributes[name] ?? null));
}

/** Attributes with secret values are never part of a plan; only their names are in `sensitive`. */
function visible(known: StateResource): Attributes {
  const hidden = new Set(known.sensitive);
  return Object.fromEntries(Object.entries(known.attributes).filter(([name]) => !hidden.has(name)));
}

function deletion(address: ResourceAddress, known: StateResource | undefined, decision: PlannedAction): ResourceChange {
  return {
    address,
    ...parseAddress(address),
    action: decision.action,
    ...reasonOf(decision),
    before: known === undefined ? {} : visible(known),
    // While a part is destroyed, the rest may change or stay.
    after: decision.action === "delete" || known === undefined ? null : visible(known),
    unknownAfter: [],
    sensitive: known?.sensitive ?? [],
    forcesReplacement: [],
  };
}

export function driftChanges(drift: readonly DriftNote[]): readonly ResourceChange[] {
  return drift.map((note) => {
    return {
      address: note.address,
      ...parseAddress(note.address),
      action: note.action,
      reason: note.reason,
      before: note.before,
      after: note.after,
      unknownAfter: [],
      sensitive: [],
      forcesReplacement: [],
    };
  });
}

function reasonOf(decision: PlannedAction | undefined): Pick<ResourceChange, "reason" | "reasonCode"> {
  const reason = decision?.reason ?? null;
  if (reason === null || typeof reason === "string") return { reason };
  return { reason: reason.text, reasonCode: reason.code };
}
