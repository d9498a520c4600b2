/** One load balancer, with the backends that the step names. */
import { type Attributes, resourceAddress } from "../../plan/resource.ts";
import type { StepAction } from "../../plan/step.ts";
import {
  balancerOf,
  loadBalancerBlueprint,
  loadBalancerConfig,
  relayBlueprint,
} from "../../units/load-balancer-unit.ts";
import { loadBalancerUnitName } from "../../units/unit-definition.ts";
import { virtualAddressBlueprint } from "../../units/virtual-address.ts";
import { carriedCertificate } from "../carried-certificate.ts";
import { materializeUnit } from "../materialize-unit.ts";
import type { StepOutputs } from "../state-edits.ts";
import { pollIntervalMs, type StepContext } from "../step-context.ts";
import { startWatched } from "./upgrade-steps.ts";

/** How long keepalived may take to find that its load balancer serves. */
const virtualAddressTimeoutMs = 10_000;

/** Starting and updating are the same operation: it runs with exactly this configuration on return. */
export async function startLoadBalancer(
  context: StepContext,
  action: StepAction & { readonly kind: "startLoadBalancer" | "updateLoadBalancer" },
): Promise<StepOutputs> {
  const { plan, ports, keeper, signal } = context;
  const name = balancerOf(action);
  const blueprint = loadBalancerBlueprint(plan.spec, action);
  const relay = relayBlueprint(plan.spec, action);
  const isLeaving = leavesItsHost(context, name);
  const holder = action.listensAt === undefined && !isLeaving ? virtualAddressBlueprint(plan.spec, name) : null;
  const { hosts, attributes } = ports.provider.model.describeLoadBalancer(plan.spec);
  const wanted = {
    name,
    lineage: keeper.state.lineage,
    attributes,
    config: loadBalancerConfig(plan.spec, action),
    unit: () => materializeUnit(blueprint, ports.authority),
    relay: relay === null ? null : () => materializeUnit(relay, ports.authority),
    virtualAddress: holder === null ? null : () => materializeUnit(holder, ports.authority),
  };
  if (holder === null && !isLeaving && hasVirtualAddress(context, name))
    await ports.loadBalancer.removeVirtualAddress(name, signal);
  const address = resourceAddress("haplan_load_balancer", name);
  const ensure = (): Promise<Attributes> => ports.loadBalancer.ensure(wanted, signal);
  const runsHaplan = hosts.length > 0 && blueprint.definition.program.kind === "haplan";
  const place = { machine: name, unit: loadBalancerUnitName, address };
  const facts = await (runsHaplan ? startWatched(context, place, ensure) : ensure());
  if (holder !== null) await untilItServes(context, name);
  return hosts.length === 0 ? facts : { ...facts, ...(await carriedCertificate(context, address, blueprint)) };
}

export async function stopLoadBalancer(
  context: StepContext,
  action: StepAction & { readonly kind: "stopLoadBalancer" },
): Promise<StepOutputs> {
  const { ports, signal } = context;
  const name = balancerOf(action);
  await ports.loadBalancer.remove(name, hasVirtualAddress(context, name), signal);
  return {};
}

/** Whether another machine takes its place, at another address: what the spec says of keepalived is for that one. */
function leavesItsHost({ plan, keeper }: StepContext, name: string): boolean {
  const { hosts } = plan.spec.loadBalancer;
  const known = keeper.find(resourceAddress("haplan_machine", name))?.attributes["address"];
  const wanted = hosts?.find((host) => host.name === name)?.address;
  return typeof known === "string" && wanted !== undefined && known !== wanted;
}

/** Where the state was lost, it is taken to be as the spec has it: what removes it is idempotent. */
function hasVirtualAddress({ plan, keeper }: StepContext, name: string): boolean {
  const known = keeper.find(resourceAddress("haplan_load_balancer", name));
  if (known === undefined) return plan.spec.loadBalancer.virtual !== undefined;
  return known.attributes["routerId"] !== undefined;
}

/** The next one is changed only once this one could take over. */
async function untilItServes({ ports, signal, detail, warn }: StepContext, name: string): Promise<void> {
  const deadlineMs = ports.clock.monotonicMs() + virtualAddressTimeoutMs;
  for (;;) {
    const state = await ports.loadBalancer.virtualAddress(name, signal);
    if (state === "holder" || state === "backup") return;
    if (ports.clock.monotonicMs() >= deadlineMs) {
      warn(`${name} cannot take the virtual address yet: keepalived's state is ${state ?? "unknown"}`);
      return;
    }
    detail(`keepalived of ${name} finds that it serves`);
    await ports.clock.sleep(pollIntervalMs, signal);
  }
}
