/** Combines planned actions, spec and state to the list of changes that a plan shows and programs read. */
import { sameJson } from "../base/canonical-json.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import { type DesiredResource, toldByTheSpec } from "./desired-resources.ts";
import { type FoundResource, foundResource } from "./found-resource.ts";
import type { ResourceChange } from "./plan.ts";
import type { DriftNote, PlanDraft, Verdict } from "./plan-draft.ts";
import type { Planning } from "./planning.ts";
import { type Attributes, parseAddress, type ResourceAddress, type ResourceType, resourceAddress } from "./resource.ts";
import type { StateResource } from "./state.ts";
import { isRememberedOnly } from "./unreachable-machines.ts";

export function resourceChanges(planning: Planning): readonly ResourceChange[] {
  const { observed, desired, world, draft } = planning;
  const wanted = new Set(desired.map((resource) => resource.address));
  const changes = desired.map((resource) => {
    const known = world.resources.get(resource.address);
    const found = known === undefined ? foundResource(resource, observed, world) : null;
    if (known !== undefined && isLeftAlone(planning, resource.address)) return leftAlone(known, draft);
    return change(planning, resource, known, found);
  });
  const leaving = [...draft.verdicts.entries()]
    .filter(([address]) => !wanted.has(address))
    .map(([address, verdict]) => deletion(address, world.resources.get(address), verdict));
  return [...changes, ...leaving];
}

function change(
  planning: Planning,
  resource: DesiredResource,
  known: StateResource | undefined,
  found: FoundResource | null,
): ResourceChange {
  const { draft, refreshOnly = false } = planning;
  const verdict: Verdict = draft.verdicts.get(resource.address) ?? { action: "noop", reason: null };
  const imported = found !== null && (verdict.action === "noop" || verdict.action === "update") ? found : null;
  const facts = { ...imported?.attributes, ...draft.facts.get(resource.address) };
  // A resource to be created does not exist, whatever the state says.
  const before = known === undefined || verdict.action === "create" ? null : visible(known);
  const replaced = verdict.action === "deleteThenCreate" || verdict.action === "createThenDelete";
  const fresh = before === null || replaced;
  // A resource changed in place keeps its known attributes, except those that the change renews.
  const remade = new Set(verdict.action === "update" ? remadeByUpdate(resource.type) : []);
  const kept = Object.fromEntries(Object.entries(fresh ? {} : before).filter(([name]) => !remade.has(name)));
  // The spec's value of a known resource is not yet applied: it does not make the state outdated.
  const notYet = refreshOnly && known !== undefined && toldByTheSpec.has(resource.type);
  const wanted = notYet ? {} : resource.attributes;
  const told = verdict.action === "noop" ? {} : carriedCertificate(planning, resource);
  const late = verdict.action === "noop" ? new Set<string>() : unknownAttributes(resource, planning.desired);
  const planned: Attributes = {
    ...kept,
    ...told,
    ...(replaced || verdict.action === "create" ? {} : facts),
    ...wanted,
  };
  const after: Attributes = Object.fromEntries(Object.entries(planned).filter(([name]) => !late.has(name)));
  return {
    address: resource.address,
    type: resource.type,
    name: resource.name,
    action: verdict.action,
    ...reasonOf(verdict),
    before,
    after,
    unknownAfter:
      verdict.action === "noop" ? [] : [...resource.unknown, ...late].filter((name) => after[name] === undefined),
    sensitive: [...new Set([...resource.sensitive, ...(known?.sensitive ?? [])])],
    forcesReplacement: verdict.forces ?? (replaced && before !== null ? differing(resource, before) : []),
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
function carriedCertificate({ world, draft }: Planning, { name, unknown }: DesiredResource): Attributes {
  if (!unknown.includes("certificate")) return {};
  const address = resourceAddress("haplan_certificate", name);
  const issued = (draft.verdicts.get(address)?.action ?? "noop") !== "noop";
  const certificate = world.resources.get(address)?.attributes["fingerprint"];
  return issued || typeof certificate !== "string" ? {} : { certificate };
}

function isLeftAlone({ world, draft }: Planning, address: ResourceAddress): boolean {
  const { unreachable } = world;
  return (draft.verdicts.get(address)?.action ?? "noop") === "noop" && isRememberedOnly(unreachable, address);
}

function leftAlone(known: StateResource, draft: PlanDraft): ResourceChange {
  const attributes = visible(known);
  return {
    address: known.address,
    type: known.type,
    name: known.name,
    action: "noop",
    ...reasonOf(draft.verdicts.get(known.address)),
    before: attributes,
    after: attributes,
    unknownAfter: [],
    sensitive: known.sensitive,
    forcesReplacement: [],
  };
}

function remadeByUpdate(type: ResourceType): readonly string[] {
  switch (type) {
    case "haplan_certificate":
      return ["fingerprint", "notAfter"];
    case "haplan_agent":
    case "haplan_load_balancer":
    case "haplan_worker":
      return ["pid", "definitionDigest", "certificate"];
    default:
      return [];
  }
}

function differing(resource: DesiredResource, before: Attributes): readonly string[] {
  return resource.replacedBy.filter((name) => !sameJson(before[name], resource.attributes[name]));
}

/** Attributes with secret values are never part of a plan; only their names are in `sensitive`. */
function visible(known: StateResource): Attributes {
  const hidden = new Set(known.sensitive);
  return Object.fromEntries(Object.entries(known.attributes).filter(([name]) => !hidden.has(name)));
}

function deletion(address: ResourceAddress, known: StateResource | undefined, verdict: Verdict): ResourceChange {
  return {
    address,
    ...parseAddress(address),
    action: verdict.action,
    ...reasonOf(verdict),
    before: known === undefined ? {} : visible(known),
    // While a part is destroyed, the rest may change or stay.
    after: verdict.action === "delete" || known === undefined ? null : visible(known),
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

function reasonOf(verdict: Verdict | undefined): Pick<ResourceChange, "reason" | "reasonCode"> {
  const reason = verdict?.reason ?? null;
  if (reason === null || typeof reason === "string") return { reason };
  return { reason: reason.text, reasonCode: reason.code };
}
