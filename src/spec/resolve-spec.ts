/** Converts a valid document with its defaults to the cluster that it describes. */

import { uploadedEtcd } from "../base/host-paths.ts";
import { canonicalAddress, urlHost } from "../base/ip-address.ts";
import type {
  AdoptedTls,
  BackendSpec,
  BucketSpec,
  ClusterSpec,
  EtcdProgram,
  KubernetesSpec,
  LoadBalancerSpec,
  MasterSpec,
  MemberCount,
  MovedMaster,
  OperatorAuthority,
  ProviderSettings,
} from "./cluster-spec.ts";
import type { FilledCluster, FilledPart } from "./declaration/cluster.ts";
import { presentName } from "./present-name.ts";
import type { ProviderSchema } from "./provider-schema.ts";
import { sharedBalancerName } from "./reserved-names.ts";
import { derivedRouterId } from "./router-id.ts";

/** The cluster of `document`, which has passed the schema and all rules. */
export function resolveSpec({ metadata, spec }: FilledCluster, { deriveMasters }: ProviderSchema): ClusterSpec {
  const { controlPlane, loadBalancer, kubernetes, backup, policy, repair } = spec;
  const { adopt, clientPort, engine, peerPort, electionTimeoutMs, heartbeatIntervalMs, tls } = controlPlane;
  const listed = controlPlane.masters ?? deriveMasters?.derive(controlPlane.members ?? 0) ?? [];
  const masters = spreadOverZones(listed.map(resolveHost), controlPlane.zones ?? []).map((master) =>
    withAdoption(master, adopt?.endpoints ?? []),
  );
  const workers = spec.workers.map(resolveHost);
  return {
    name: metadata.name,
    provider: spec.provider,
    state: { backend: resolveBackend(spec.state), encryption: spec.state.encryption ?? null },
    controlPlane: {
      members: masters.length as MemberCount,
      engine,
      ...(controlPlane.etcd === undefined ? {} : { etcd: resolveEtcd(controlPlane.etcd) }),
      ...(controlPlane.migrateFrom === undefined ? {} : { migrateFrom: controlPlane.migrateFrom }),
      clientPort,
      peerPort,
      tls: {
        enabled: tls.enabled,
        ...(tls.extraNames.length === 0 ? {} : { extraNames: tls.extraNames.map(canonicalName) }),
        ...resolveAuthority(tls.authority),
        ...resolveAdoptedTls(adopt?.tls, masters),
      },
      electionTimeoutMs,
      heartbeatIntervalMs,
      masters,
      ...resolveMoved(controlPlane.moved),
    },
    workers,
    loadBalancer: resolveLoadBalancer(loadBalancer, {
      cluster: metadata.name,
      clientPort,
      named: [...masters, ...workers],
    }),
    ...(kubernetes === undefined ? {} : { kubernetes: resolveKubernetes(kubernetes, metadata.name) }),
    ...(backup === undefined ? {} : { backup: resolveBackup(backup) }),
    policy,
    ...(repair === undefined ? {} : { repair: resolveRepair(repair) }),
  };
}

/** As a certificate shows it: IPv6 addresses have many spellings, and DNS names ignore case. */
function canonicalName(name: string): string {
  return canonicalAddress(name).toLowerCase();
}

/** A master may have been renamed more than once: each former name leads to the current one. */
function resolveMoved(moved: readonly MovedMaster[]): { readonly moved?: readonly MovedMaster[] } {
  if (moved.length === 0) return {};
  return { moved: moved.map(({ from }) => ({ from, to: presentName(from, moved) })) };
}

function resolveHost({ name, zone, address, ...own }: FilledPart<"host">): MasterSpec {
  return { name, zone: zone ?? null, address, ...settingsOf(own) };
}

/** `named`: the masters and workers that load balancers may be on. */
function resolveLoadBalancer(
  part: FilledPart<"loadBalancer">,
  { cluster, clientPort, named }: { cluster: string; clientPort: number; named: readonly MasterSpec[] },
): LoadBalancerSpec {
  const { type, address, ports, hosts: listed, vip, interface: device, routerId, ...own } = part;
  const shared = { type, ports: ports ?? [clientPort], ...settingsOf(own) };
  if (listed === undefined) return { ...shared, address: address ?? "" };
  const hosts = listed.map((host) => balancerHost(host, named));
  if (vip === undefined) return { ...shared, address: hosts[0]?.address ?? "", hosts };
  const virtual = { interface: device ?? null, routerId: routerId ?? derivedRouterId(cluster, vip) };
  return { ...shared, address: vip, hosts, virtual };
}

/** On the host of a master or worker the load balancer has a machine of its own, under a name of its own. */
function balancerHost(
  { name, zone, address, ...own }: FilledPart<"loadBalancerHost">,
  named: readonly MasterSpec[],
): MasterSpec {
  const shared = address === undefined ? named.find((host) => host.name === name) : undefined;
  if (shared === undefined) return { name, zone: zone ?? null, address: address ?? "", ...settingsOf(own) };
  const { settings } = shared;
  const machine = { name: sharedBalancerName(name), zone: zone ?? shared.zone, address: shared.address };
  return { ...machine, ...(settings === undefined ? {} : { settings }) };
}

/** kubeadm writes versions with a `v`. */
function resolveKubernetes(
  { version, clusterName, endpointPort, podSubnet, criSocket, ...given }: FilledPart<"kubernetes">,
  name: string,
): KubernetesSpec {
  return {
    ...given,
    version: version.startsWith("v") ? version : `v${version}`,
    clusterName: clusterName ?? name,
    endpointPort: endpointPort ?? given.apiServerPort,
    podSubnet: podSubnet ?? null,
    criSocket: criSocket ?? null,
  };
}

function resolveRepair({ replace, ...repair }: FilledPart<"repair">): NonNullable<ClusterSpec["repair"]> {
  return replace === undefined
    ? repair
    : { ...repair, replace: { ...replace, spares: replace.spares.map(resolveHost) } };
}

/** The provider's own keys of a host. */
function settingsOf(own: ProviderSettings): Pick<MasterSpec, "settings"> {
  return Object.keys(own).length === 0 ? {} : { settings: own };
}

/** Each master without a zone goes to the zone with the fewest so far; the order of the lists breaks ties. */
function spreadOverZones(masters: readonly MasterSpec[], zones: readonly string[]): readonly MasterSpec[] {
  const count = new Map(zones.map((zone) => [zone, masters.filter((master) => master.zone === zone).length]));
  return masters.map((master) => {
    if (master.zone !== null || zones.length === 0) return master;
    const zone = zones.reduce((best, candidate) => (count.get(candidate)! < count.get(best)! ? candidate : best));
    count.set(zone, count.get(zone)! + 1);
    return { ...master, zone };
  });
}

function withAdoption(master: MasterSpec, endpoints: readonly string[]): MasterSpec {
  const endpoint = endpoints.find((url) => urlHost(url) === master.address);
  return endpoint === undefined ? master : { ...master, adoptedAt: endpoint };
}

function resolveAuthority(authority: FilledPart<"authority"> | undefined): { readonly authority?: OperatorAuthority } {
  if (authority === undefined) return {};
  const { caFile, keyFile = null, signer = null } = authority;
  return { authority: { caFile, keyFile, signer } };
}

function resolveAdoptedTls(
  tls: FilledPart<"adoptedTls"> | undefined,
  masters: readonly MasterSpec[],
): { readonly adopted?: AdoptedTls } {
  if (tls === undefined) return {};
  const { caFile, certFile, keyFile, caKeyFile = null, peerCaFile = null, peerCaKeyFile = null } = tls;
  const certificates = (tls.certificates ?? []).map(({ peerCertFile = null, peerKeyFile = null, ...ready }) => {
    const address = masters.find((master) => master.name === ready.name)?.address ?? "";
    return { ...ready, address, peerCertFile, peerKeyFile };
  });
  return { adopted: { caFile, certFile, keyFile, caKeyFile, peerCaFile, peerCaKeyFile, certificates } };
}

function resolveBackend({ backend, etcd, s3 }: FilledPart<"state">): BackendSpec {
  if (backend === "etcd" && etcd !== undefined) {
    const { endpoints, prefix, caFile, certFile, keyFile } = etcd;
    const tls = caFile === undefined ? null : { caFile, certFile: certFile ?? null, keyFile: keyFile ?? null };
    return { type: "etcd", endpoints, prefix: prefix.replace(/\/+$/, ""), tls };
  }
  if (backend === "s3" && s3 !== undefined) return { type: "s3", ...resolveBucket(s3) };
  return { type: "local" };
}

function resolveBucket({ bucket, prefix, region, endpoint, forcePathStyle }: FilledPart<"bucket">): BucketSpec {
  return {
    bucket,
    prefix: prefix.replace(/^\/+|\/+$/g, ""),
    region: region ?? null,
    endpoint: endpoint ?? null,
    // A bucket's own host name needs DNS, which stores at a given address rarely have.
    forcePathStyle: forcePathStyle ?? endpoint !== undefined,
  };
}

function resolveBackup({ s3, ...backup }: FilledPart<"backup">): NonNullable<ClusterSpec["backup"]> {
  return s3 === undefined ? backup : { ...backup, s3: resolveBucket(s3) };
}

/** Either has been written: a rule checks that. */
function resolveEtcd(etcd: NonNullable<FilledCluster["spec"]["controlPlane"]["etcd"]>): EtcdProgram {
  const { binary, archive } = etcd;
  return { ...etcd, binary: binary ?? uploadedEtcd(archive?.sha256 ?? "") };
}
