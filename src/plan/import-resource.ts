/**
 * `haplan import`: adds one existing resource of the spec to the state. Pure; only the state changes: the next plan
 * shows what remains to be done.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import { nearestName } from "../spec/nearest-name.ts";
import { readClusterView } from "./cluster-view.ts";
import { type DesiredResource, desiredResources } from "./desired-resources.ts";
import { type FoundResource, foundResource } from "./found-resource.ts";
import { PlanBuilder } from "./plan-builder.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Planning } from "./planning.ts";
import { checkAdoption } from "./rules/adoption/adoption-checks.ts";
import { checkIdentity } from "./rules/preconditions.ts";
import type { State, StateResource } from "./state.ts";

export type ImportRequest = {
  readonly address: string;
  /** The id that must be found (see `foundResource`; for a member also its client URL); null accepts any. */
  readonly id: string | null;
};

export type ImportResult =
  | { readonly state: State; readonly resource: StateResource; readonly id: string; readonly refusal?: never }
  | { readonly refusal: readonly Diagnostic[] };

/** `newLineage` is called if there is neither a state nor a machine of this cluster. */
export function importResource(input: PlannerInput, request: ImportRequest, newLineage: () => string): ImportResult {
  const builder = new PlanBuilder();
  const view = readClusterView(input.spec, input.state, input.observed);
  const desired = desiredResources(input.spec, input.provider);
  const planning: Planning = { ...input, desired, view, builder };
  const wanted = desired.find(({ address }) => address === request.address);
  checkIdentity(planning);
  if (wanted === undefined) refuseUnknown(planning, request.address);
  else checkImportable(planning, wanted);
  if (wanted === undefined || builder.refusals.length > 0) return { refusal: builder.refusals };

  const found = foundResource(wanted, input.observed, view);
  if (found === null || !hasId(wanted, found, request.id, input)) {
    refuseMissing(wanted, found, request.id, builder);
    return { refusal: builder.refusals };
  }
  const resource = stateResource(wanted, found);
  const before: State = input.state ?? {
    version: 1,
    haplanVersion: input.haplanVersion,
    lineage: view.lineage ?? newLineage(),
    serial: 0,
    clusterName: input.spec.name,
    resources: [],
  };
  const resources = [...before.resources, resource];
  const state = { ...before, haplanVersion: input.haplanVersion, serial: before.serial + 1, resources };
  return { state, resource, id: found.id };
}

function checkImportable(planning: Planning, wanted: DesiredResource): void {
  const { state, desired, view, builder } = planning;
  const { address, type } = wanted;
  if (view.resources.has(address)) {
    builder.refuse(
      "import/managed",
      `${address} is already managed`,
      `The state contains it. To bind the address to something else, forget it first:`,
      address,
      [["state", "rm", address]],
    );
  } else if (type === "haplan_lb_backend") {
    builder.refuse(
      "import/not-importable",
      `${address} cannot be imported`,
      "The targets of the load balancer cannot be observed. Import haplan_load_balancer.load-balancer; the next apply sets them again.",
      address,
    );
  } else if (state === null && type !== "haplan_raft_member") {
    const first = desired.find((each) => each.type === "haplan_raft_member")?.address;
    builder.refuse(
      "import/members-first",
      `There is no state, and ${address} is not a member`,
      `A state without a member is that of a cluster which has never started, and the next plan would start it. Import a member first, or import everything that exists at once:`,
      address,
      [...(first === undefined ? [] : [["import", first]]), ["apply", "-refresh-only"]],
    );
  } else if (wanted.attributes["adopted"] === true) {
    checkAdoption(planning);
  }
}

/** Terraform requires the configuration first, too: without it, the next plan would destroy what was imported. */
function refuseUnknown({ spec, desired, builder }: Planning, address: string): void {
  const addresses: readonly string[] = desired.map((resource) => resource.address);
  const [, name = ""] = address.split(/\.(.*)/s);
  const adopted = spec.controlPlane.masters.some((master) => master.name === name && master.adoptedAt !== undefined);
  const nearest = nearestName(address, addresses);
  const hint = adopted
    ? `${name} is adopted: of such a master haplan manages only haplan_raft_member.${name}.`
    : `${nearest === null ? "" : `Did you mean "${nearest}"? `}Add it to the spec before importing it.`;
  builder.refuse("import/unknown-address", `The spec has no resource "${address}"`, hint);
}

function refuseMissing(
  wanted: DesiredResource,
  found: FoundResource | null,
  id: string | null,
  builder: PlanBuilder,
): void {
  const { address, type, name } = wanted;
  const takeOver =
    type === "haplan_raft_member" && wanted.attributes["adopted"] !== true
      ? ` A member that haplan did not start is adopted if the spec lists its client URL: controlPlane: { adopt: { endpoints: [${id?.includes("://") ? id : String(wanted.attributes["clientUrl"])}] } }.`
      : "";
  if (found === null) {
    builder.refuse(
      "import/not-found",
      `There is nothing to import as ${address}`,
      `${whereLooked(type, name)}${takeOver} Nothing was changed. To see what would create it, run:`,
      address,
      [["plan"]],
    );
    return;
  }
  builder.refuse(
    "import/other-id",
    `The resource found as ${address} is not ${id}`,
    `Its id is ${found.id}. Write that, or omit the id to accept what is found.${takeOver}`,
    address,
  );
}

function whereLooked(type: DesiredResource["type"], name: string): string {
  switch (type) {
    case "haplan_raft_member":
      return `No voter that answers is ${name}.`;
    case "haplan_ca":
    case "haplan_certificate":
      return "Its files do not exist.";
    case "haplan_machine":
      return `No machine ${name} has this cluster's lineage.`;
    default:
      return `No machine ${name} of this cluster runs it.`;
  }
}

function hasId(wanted: DesiredResource, found: FoundResource, id: string | null, { observed }: PlannerInput): boolean {
  if (id === null || id === found.id) return true;
  if (wanted.type !== "haplan_raft_member") return false;
  const member = observed.membership?.members.find((candidate) => candidate.id === found.id);
  const urls = [...(member?.clientUrls ?? []), member?.answeredAt, wanted.attributes["clientUrl"]];
  return urls.includes(id.replace(/\/$/, ""));
}

/** The observed generation is a field of the resource, not an attribute. */
function stateResource(wanted: DesiredResource, found: FoundResource): StateResource {
  const { generation: _, ...attributes } = found.attributes;
  const { address, type, name, sensitive, dependsOn } = wanted;
  return {
    address,
    type,
    name,
    generation: found.generation,
    status: "ready",
    attributes: { ...wanted.attributes, ...attributes },
    sensitive,
    dependsOn,
  };
}
