/** Collects the observed cluster for the planner from all sources. */
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { ProbeListener } from "../control-plane/control-plane.ts";
import type { TlsMaterial } from "../pki/tls-material.ts";
import { lineagesFound, unitOf } from "../plan/cluster-view.ts";
import { desiredResources } from "../plan/desired-resources.ts";
import { resolveKnownAddresses } from "../plan/known-addresses.ts";
import { rememberedLoadBalancer } from "../plan/observation-from-state.ts";
import type {
  LabeledObject,
  ObservationProblem,
  ObservedCluster,
  ObservedMachine,
  ObservedMembership,
  ObservedPresentation,
  UnreachableMachine,
} from "../plan/observed-cluster.ts";
import type { State } from "../plan/state.ts";
import type { LoadBalancerObservation } from "../providers/load-balancer.ts";
import { hasKnownAddress } from "../spec/address-reference.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { ownMasters } from "../spec/machine-hosts.ts";
import { clientUrl, peerUrl } from "../units/addresses.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";
import { agentUnitName } from "../units/unit-definition.ts";
import type { ApplyPorts } from "./ports.ts";
import { uncalledMembers, withUncalled } from "./uncalled-members.ts";

export type ObservePorts = Pick<ApplyPorts, "provider" | "loadBalancer" | "authority" | "connect" | "askPresented">;

const keptOut: ReadonlySet<string> = new Set([
  "control-plane/user-needed",
  "control-plane/login-refused",
  "control-plane/not-permitted",
]);

export type ObserveRequest = {
  readonly spec: ClusterSpec;
  readonly state: State | null;
  /** Aborted when the run is to stop: machines that do not answer are no longer waited for. */
  readonly signal?: AbortSignal;
};

/** Changes nothing. What could not be observed is in `problems`. */
export async function observeCluster(
  ports: ObservePorts,
  { spec: written, state, signal }: ObserveRequest,
  onProbe?: ProbeListener,
): Promise<ObservedCluster> {
  const spec = resolveKnownAddresses(written, state?.resources ?? []);
  const problems: ObservationProblem[] = [];
  const wanted = desiredResources(spec, ports.provider.model).filter((resource) => resource.type === "haplan_machine");
  const names = wanted.map((resource) => resource.name);
  const [{ machines, unreachable, warnings = [], labeled = [] }, anyBalancer, orphans, pki] = await Promise.all([
    ports.provider.observe(state?.lineage ?? null, names, signal),
    ports.loadBalancer.observe(state?.lineage ?? null, signal),
    ports.provider.observeOrphans(signal),
    ports.authority.observe(),
  ]);
  const lineage = state?.lineage ?? lineagesFound({ machines })[0] ?? null;
  const balancer = ownBalancer(anyBalancer, lineage);
  const others = [...labeled, ...labelOf(anyBalancer)].filter((each) => each.lineage !== lineage);
  const [membership, presented] = await Promise.all([
    observeMembership(ports, spec, state, machines, problems, onProbe),
    observePresented(ports, spec, machines),
  ]);
  const uncalled = await uncalledMembers(ports.provider, {
    spec,
    state,
    machines,
    orphans,
    membership,
    presented,
    signal,
  });
  const ofBalancer = balancer.kind === "unreachable" ? [{ name: loadBalancerName, ...balancer }] : [];
  const lost = [...unreachable, ...uncalled, ...ofBalancer];
  const away = lost.length === 0 ? {} : { unreachable: inOrder(lost, names).map(unreachableOnly) };
  const found = loadBalancerFound(balancer, state);
  return {
    machines,
    ...away,
    ...found,
    orphans,
    ...pki,
    presented,
    membership: membership === null ? null : withUncalled(membership, uncalled),
    backends: knownBackends(state),
    problems,
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(others.length === 0 ? {} : { foreign: others }),
  };
}

/** In the order of `names`, whichever host answered first; others after them. */
function inOrder(machines: readonly UnreachableMachine[], names: readonly string[]): readonly UnreachableMachine[] {
  const place = ({ name }: UnreachableMachine): number => {
    const at = names.indexOf(name);
    return at === -1 ? names.length : at;
  };
  return machines.toSorted((a, b) => place(a) - place(b) || a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** Of a load balancer, what an unreachable machine has. */
function unreachableOnly({
  name,
  reason,
  programsMissing,
  refused,
  isNewHost,
  uncalled,
}: UnreachableMachine): UnreachableMachine {
  return {
    name,
    reason,
    ...(uncalled === undefined ? {} : { uncalled }),
    ...(programsMissing === undefined ? {} : { programsMissing }),
    ...(refused === undefined ? {} : { refused }),
    ...(isNewHost === undefined ? {} : { isNewHost }),
  };
}

function labelOf(balancer: LoadBalancerObservation): readonly LabeledObject[] {
  return "labeled" in balancer && balancer.labeled !== undefined ? [balancer.labeled] : [];
}

/** Without a state, one of any cluster of the name was found. */
function ownBalancer(found: LoadBalancerObservation, lineage: string | null): LoadBalancerObservation {
  return labelOf(found).every((label) => label.lineage === lineage) ? found : { kind: "absent" };
}

/** An unreachable one is assumed to be as it was left. */
function loadBalancerFound(found: LoadBalancerObservation, state: State | null): Pick<ObservedCluster, "loadBalancer"> {
  switch (found.kind) {
    case "onMachines":
      return {};
    case "absent":
      return { loadBalancer: null };
    case "unreachable":
      return { loadBalancer: rememberedLoadBalancer(state) ?? null };
    case "present": {
      const { running, address, definitionDigest } = found;
      return { loadBalancer: { running, address, definitionDigest } };
    }
  }
}

/** Queries the ports of haplan's own running masters, all at once. */
async function observePresented(
  { authority, askPresented }: ObservePorts,
  spec: ClusterSpec,
  machines: readonly ObservedMachine[],
): Promise<readonly ObservedPresentation[]> {
  const running = ownMasters(spec).filter(({ name }) =>
    machines.some((machine) => machine.name === name && unitOf(machine, agentUnitName)?.running),
  );
  if (!spec.controlPlane.tls.enabled || running.length === 0) return [];
  // Without a client certificate, a port may still present its own.
  const tls = await authority.clientMaterial().catch(() => null);
  const asked = running.flatMap((master) => [
    { master: master.name, port: "client" as const, url: clientUrl(spec, master) },
    { master: master.name, port: "peer" as const, url: peerUrl(spec, master) },
  ]);
  const found = await Promise.all(
    asked.map(async ({ url, ...where }) => {
      const shown = await askPresented(url, tls);
      return shown === null ? null : { ...where, ...shown };
    }),
  );
  return found.filter((each) => each !== null);
}

async function observeMembership(
  ports: ObservePorts,
  spec: ClusterSpec,
  state: State | null,
  machines: readonly ObservedMachine[],
  problems: ObservationProblem[],
  onProbe?: ProbeListener,
): Promise<ObservedMembership | null> {
  const known = (state?.resources ?? [])
    .filter((resource) => resource.type === "haplan_raft_member")
    .map((resource) => resource.attributes["clientUrl"])
    .filter((url): url is string => typeof url === "string");
  // Before anything of this cluster was created, a listener there is not a member of it.
  const hasAgents = machines.some((machine) => machine.units.some((unit) => unit.name === agentUnitName));
  const adopting = spec.controlPlane.masters.some((master) => master.adoptedAt !== undefined);
  if (known.length === 0 && !hasAgents && !adopting) return null;
  let tls: TlsMaterial | null;
  try {
    tls = spec.controlPlane.tls.enabled ? await ports.authority.clientMaterial() : null;
  } catch (error) {
    if (!(error instanceof HaplanError) || error.code !== "pki/not-authenticated") throw error;
    problems.push({ subject: "the membership", message: error.message, notAuthenticated: true });
    return null;
  }
  const urls = new Set([
    ...spec.controlPlane.masters.filter(hasKnownAddress).map((master) => clientUrl(spec, master)),
    ...known,
  ]);
  const controlPlane = ports.connect({ endpoints: [...urls].sort(), tls });
  try {
    return await controlPlane.observe(onProbe);
  } catch (error) {
    // Members that reject haplan exist: planning as if none answered would be wrong.
    if (error instanceof HaplanError && keptOut.has(error.code)) throw error;
    problems.push({ subject: "the membership", message: errorText(error) });
    return null;
  } finally {
    controlPlane.close();
  }
}

/**
 * The targets of the load balancer are those of its last update: its unit's digest shows whether that still holds, and
 * a changed unit is repaired as a whole.
 */
function knownBackends(state: State | null): ObservedCluster["backends"] {
  return (state?.resources ?? [])
    .filter((resource) => resource.type === "haplan_lb_backend")
    .map((resource) => ({ name: resource.name, attributes: resource.attributes }));
}
