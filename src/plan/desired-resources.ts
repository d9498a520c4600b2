/** The resources of a spec: the wanted half of every comparison in the planner. */

import type { Json } from "../base/json.ts";
import { apiEndpoint, apiServerNames, kubeadmPaths } from "../kubernetes/kubeadm-config.ts";
import { etcdClientName, kubeadmBlueprint, kubeadmConfigDigest } from "../kubernetes/kubeadm-unit.ts";
import type { ClusterSpec, KubernetesSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { machineHosts, ownMasters } from "../spec/machine-hosts.ts";
import { clientHostPort, clientUrl, clusterEndpoint, hostPort, peerUrl } from "../units/addresses.ts";
import { agentConfigDigest } from "../units/agent-unit.ts";
import { healthPort, healthScheme } from "../units/health-port.ts";
import { loadBalancerConfigDigest, loadBalancerName } from "../units/load-balancer-unit.ts";
import { hasPeerCertificate, peerCertificateName } from "../units/peer-certificate.ts";
import { priorityAt } from "../units/virtual-address.ts";
import { workerConfigDigest } from "../units/worker-unit.ts";
import type { ChangedWhileStopped, LoadBalancerDescription, ProviderModel } from "./provider-model.ts";
import { type Attributes, parseAddress, type ResourceAddress, type ResourceType, resourceAddress } from "./resource.ts";

export type DesiredResource = {
  readonly address: ResourceAddress;
  readonly type: ResourceType;
  readonly name: string;
  readonly attributes: Attributes;
  /** Attributes that are known only after apply. */
  readonly unknown: readonly string[];
  readonly sensitive: readonly string[];
  /** Attributes that force replacement. */
  readonly replacedBy: readonly string[];
  /** Attributes that the provider changes in place, by a step of its own. */
  readonly changedInPlace: readonly string[];
  /** Attributes that are null where a state does not have them. */
  readonly optional: readonly string[];
  /** Attributes changed in place for which the agent of a master's machine stops. */
  readonly whileStopped: ChangedWhileStopped;
  readonly dependsOn: readonly ResourceAddress[];
};

/**
 * Types whose attributes are not all compared with what was observed: a difference between state and spec means a
 * pending change, not an outdated state.
 */
export const toldByTheSpec: ReadonlySet<ResourceType> = new Set(["haplan_machine", "haplan_raft_member"]);

/** The client certificate of `haplan` and of its users' clients. */
export const adminCertificateName = "admin";

type Draft = Partial<
  Pick<
    DesiredResource,
    "unknown" | "sensitive" | "replacedBy" | "changedInPlace" | "optional" | "whileStopped" | "dependsOn"
  >
>;

function resource(type: ResourceType, name: string, attributes: Attributes, more: Draft = {}): DesiredResource {
  return {
    address: resourceAddress(type, name),
    type,
    name,
    attributes,
    unknown: more.unknown ?? [],
    sensitive: more.sensitive ?? [],
    replacedBy: more.replacedBy ?? [],
    changedInPlace: more.changedInPlace ?? [],
    optional: more.optional ?? [],
    whileStopped: more.whileStopped ?? { names: [], renews: [] },
    dependsOn: more.dependsOn ?? [],
  };
}

/**
 * All resources of a spec, in the order in which plans show them. `artifact`: the version of haplan's programs that units
 * get; null or absent if the provider does not distinguish versions.
 */
export function desiredResources(
  spec: ClusterSpec,
  provider: ProviderModel,
  artifact: string | null = null,
): readonly DesiredResource[] {
  const balancer = provider.describeLoadBalancer(spec);
  const version: Attributes = artifact === null ? {} : { artifact };
  return [
    ...(spec.controlPlane.tls.enabled ? certificates(spec, balancer) : []),
    ...machines(spec, provider, balancer),
    ...spec.controlPlane.masters.flatMap((master) => masterResources(spec, master.name, version)),
    ...loadBalancers(spec, balancer, version),
    ...spec.workers.map((worker) =>
      resource(
        "haplan_worker",
        worker.name,
        { endpoint: clusterEndpoint(spec), configDigest: workerConfigDigest(spec, worker.name), ...version },
        {
          unknown: unitFacts(issuesForClients(spec)),
          dependsOn: [resourceAddress("haplan_machine", worker.name), ...balancerAddresses(balancer)],
        },
      ),
    ),
    ...(spec.kubernetes === undefined ? [] : kubeadmConfigs(spec, spec.kubernetes)),
  ];
}

/** kubeadm's configuration of masters and workers, with what people look for in its diff. */
function kubeadmConfigs(spec: ClusterSpec, kubernetes: KubernetesSpec): readonly DesiredResource[] {
  const { version, clusterName, podSubnet, serviceSubnet, dnsDomain, apiServerPort } = kubernetes;
  const controlPlaneEndpoint = apiEndpoint(spec, kubernetes);
  const controlPlane = {
    version,
    clusterName,
    podSubnet,
    serviceSubnet,
    dnsDomain,
    apiServerPort,
    certSANs: apiServerNames(spec, kubernetes),
    etcdEndpoints: spec.controlPlane.masters.map((master) => clientUrl(spec, master)),
  };
  const config = (name: string, attributes: Attributes): DesiredResource => {
    const { certificate } = kubeadmBlueprint(spec, kubernetes, name);
    const issued = certificate === null ? [] : [resourceAddress("haplan_certificate", certificate)];
    return resource(
      "haplan_kubeadm_config",
      name,
      {
        path: kubeadmPaths.config,
        controlPlaneEndpoint,
        ...attributes,
        configDigest: kubeadmConfigDigest(spec, kubernetes, name),
      },
      {
        unknown: ["definitionDigest", ...(certificate === null ? [] : ["certificate"])],
        dependsOn: [resourceAddress("haplan_machine", name), ...issued],
      },
    );
  };
  const masters = spec.controlPlane.masters.map(({ name }) => name);
  const workers = spec.workers.map(({ name }) => name);
  const node =
    (role: string) =>
    (name: string): DesiredResource => {
      const dependsOn = [resourceAddress("haplan_kubeadm_config", name), loadBalancerAddress];
      return resource("haplan_kubernetes_node", name, { role }, { dependsOn });
    };
  return [
    ...masters.map((name) => config(name, { role: "control-plane", ...controlPlane })),
    ...workers.map((name) => config(name, { role: "worker" })),
    ...(kubernetes.bootstrap ? [...masters.map(node("control-plane")), ...workers.map(node("worker"))] : []),
  ];
}

/** Of a single load balancer. */
export const loadBalancerAddress: ResourceAddress = resourceAddress("haplan_load_balancer", loadBalancerName);

/** Known only once a unit is started; `certificate` is the fingerprint of the certificate that haplan issued for it. */
function unitFacts(issued: boolean): readonly string[] {
  return ["pid", "definitionDigest", ...(issued ? ["certificate"] : [])];
}

/** Whether workers and the load balancer use certificates issued by haplan. */
function issuesForClients({ controlPlane }: ClusterSpec): boolean {
  const { enabled, adopted } = controlPlane.tls;
  return enabled && adopted?.caKeyFile !== null;
}

/** Whether the authority is haplan's: the operator's own, and that of adopted members, are only used. */
export function createsAuthority({ controlPlane }: ClusterSpec): boolean {
  const { enabled, adopted, authority } = controlPlane.tls;
  return enabled && adopted === undefined && authority === undefined;
}

/** The authority of an adopted cluster is the operator's: it issues if its key is available, and is not a resource. */
function certificates(spec: ClusterSpec, { hosts }: LoadBalancerDescription): readonly DesiredResource[] {
  const { adopted, authority } = spec.controlPlane.tls;
  const dependsOn = createsAuthority(spec) ? [resourceAddress("haplan_ca", spec.name)] : [];
  const issued = (name: string, profile: "member" | "client", subjectAltNames: readonly string[]): DesiredResource =>
    resource(
      "haplan_certificate",
      name,
      { profile, commonName: name, subjectAltNames },
      { unknown: ["fingerprint", "notAfter"], sensitive: ["privateKey"], dependsOn },
    );
  const clients = [
    // A cloud load balancer has no certificate.
    ...hosts.map(({ name }) => issued(name, "client", [name])),
    ...spec.workers.map((worker) => issued(worker.name, "client", [worker.name])),
    ...(spec.kubernetes === undefined ? [] : [issued(etcdClientName, "client", [etcdClientName])]),
  ];
  const members = ownMasters(spec).flatMap((master) =>
    issuedNames(spec, master.name).map((name) => issued(name, "member", memberNames(spec, master))),
  );
  if (adopted !== undefined) return adopted.caKeyFile === null ? [] : [...members, ...clients];
  const created = resource(
    "haplan_ca",
    spec.name,
    { commonName: `${spec.name} haplan CA` },
    { unknown: ["fingerprint", "notAfter"], sensitive: ["privateKey"] },
  );
  return [
    ...(authority === undefined ? [created] : []),
    ...members,
    ...clients,
    issued(adminCertificateName, "client", [adminCertificateName]),
  ];
}

/** Clients reach a master at its own address, through the load balancer, or on the host itself. */
function memberNames(spec: ClusterSpec, { name, address }: MasterSpec): readonly string[] {
  const { extraNames = [] } = spec.controlPlane.tls;
  return [...new Set([address, name, "localhost", "127.0.0.1", spec.loadBalancer.address, ...extraNames])].sort();
}

function machines(
  spec: ClusterSpec,
  provider: ProviderModel,
  { hosts }: LoadBalancerDescription,
): readonly DesiredResource[] {
  return machineHosts(spec, hosts).map((host) => {
    const { name, address, zone, role } = host;
    const { attributes, unknown, replacedBy, optional, whileStopped } = provider.describeMachine(spec, host);
    return resource(
      "haplan_machine",
      name,
      { address, zone, role, ...attributes },
      {
        unknown: ["generation", ...unknown],
        replacedBy: ["address", ...replacedBy],
        changedInPlace: Object.keys(attributes).filter((each) => !replacedBy.includes(each)),
        ...(optional === undefined ? {} : { optional }),
        ...(whileStopped === undefined ? {} : { whileStopped }),
      },
    );
  });
}

function masterResources(spec: ClusterSpec, name: string, version: Attributes): readonly DesiredResource[] {
  const master = spec.controlPlane.masters.find((candidate) => candidate.name === name)!;
  if (master.adoptedAt !== undefined) return [adoptedMember(spec, master)];
  const urls = { clientUrl: clientUrl(spec, master), peerUrl: peerUrl(spec, master) };
  const agent = resourceAddress("haplan_agent", name);
  const issued = issuedNames(spec, name).map((each) => resourceAddress("haplan_certificate", each));
  return [
    resource(
      "haplan_agent",
      name,
      {
        ...agentSettings(spec, master),
        ...urls,
        configDigest: agentConfigDigest(spec, name),
        ...(spec.controlPlane.engine === "agent" ? version : {}),
      },
      {
        unknown: unitFacts(issued.length > 0),
        dependsOn: [resourceAddress("haplan_machine", name), ...issued],
      },
    ),
    resource(
      "haplan_raft_member",
      name,
      { ...urls, role: "voter" },
      { unknown: ["memberId"], replacedBy: ["peerUrl"], dependsOn: [agent] },
    ),
  ];
}

/** What the spec sets of an agent's configuration, so that a plan shows which setting changes, and not only that one does. */
function agentSettings(spec: ClusterSpec, master: MasterSpec): Attributes {
  const { engine, etcd, heartbeatIntervalMs, electionTimeoutMs } = spec.controlPlane;
  const health = healthPort(spec);
  return {
    engine,
    ...(engine === "etcd" ? { etcdBinary: etcd?.binary ?? null, etcdVersion: etcd?.version ?? null } : {}),
    ...(etcd?.httpPort === undefined ? {} : { httpPort: etcd.httpPort }),
    heartbeatIntervalMs,
    electionTimeoutMs,
    healthUrl: health === null ? null : `${healthScheme(spec)}://${hostPort(master.address, health)}`,
    backupSchedule: backupSchedule(spec),
  };
}

/** The backups that a member takes by itself; null if it takes none. */
function backupSchedule({ backup }: ClusterSpec): Json {
  const { schedule, retention, s3 } = backup ?? {};
  if (schedule === undefined) return null;
  return { ...schedule, ...retention, ...s3 };
}

/** The certificates that haplan issues for a master of its own: none if the user provides them, or without TLS. */
function issuedNames(spec: ClusterSpec, master: string): readonly string[] {
  const { enabled, adopted } = spec.controlPlane.tls;
  if (!enabled || adopted?.certificates.some(({ name }) => name === master)) return [];
  return hasPeerCertificate(spec, master) ? [master, peerCertificateName(master)] : [master];
}

/** haplan manages only the membership of an adopted master. */
function adoptedMember(spec: ClusterSpec, master: MasterSpec): DesiredResource {
  const attributes = { clientUrl: clientUrl(spec, master), role: "voter", adopted: true };
  return resource("haplan_raft_member", master.name, attributes, { unknown: ["memberId", "peerUrl"] });
}

/** A cloud load balancer runs on no host. */
function balancerAddresses({ hosts }: LoadBalancerDescription): readonly ResourceAddress[] {
  const names = hosts.length === 0 ? [loadBalancerName] : hosts.map(({ name }) => name);
  return names.map((name) => resourceAddress("haplan_load_balancer", name));
}

function loadBalancers(
  spec: ClusterSpec,
  balancer: LoadBalancerDescription,
  version: Attributes,
): readonly DesiredResource[] {
  const addresses = balancerAddresses(balancer);
  // The others are no programs of haplan's.
  const own = spec.loadBalancer.type === "embedded" && balancer.hosts.length > 0 ? version : {};
  return [
    ...addresses.map((address) => loadBalancer(spec, balancer, parseAddress(address).name, own)),
    ...spec.controlPlane.masters.map((master) =>
      resource(
        "haplan_lb_backend",
        master.name,
        { target: clientHostPort(spec, master) },
        { dependsOn: [...addresses, resourceAddress("haplan_raft_member", master.name)] },
      ),
    ),
  ];
}

function loadBalancer(
  spec: ClusterSpec,
  balancer: LoadBalancerDescription,
  name: string,
  version: Attributes,
): DesiredResource {
  const { type, address, ports, virtual, hosts: listed = [] } = spec.loadBalancer;
  const masters = spec.controlPlane.masters.map((master) => master.name);
  const { hosts, attributes, unknown, replacedBy } = balancer;
  const facts = hosts.length === 0 ? ["definitionDigest"] : unitFacts(issuesForClients(spec));
  const place = listed.findIndex((host) => host.name === name);
  return resource(
    "haplan_load_balancer",
    name,
    {
      type,
      address,
      ports,
      endpoint: clusterEndpoint(spec),
      configDigest: loadBalancerConfigDigest(spec, { balancer: name, backends: masters }),
      ...(virtual === undefined ? {} : { routerId: virtual.routerId, priority: priorityAt(place) }),
      ...version,
      ...attributes,
    },
    {
      unknown: [...facts, ...(virtual === undefined ? [] : ["virtualAddressDigest"]), ...unknown],
      replacedBy,
      changedInPlace: Object.keys(attributes).filter((each) => !replacedBy.includes(each)),
      dependsOn: hosts.filter((host) => host.name === name).map(() => resourceAddress("haplan_machine", name)),
    },
  );
}
