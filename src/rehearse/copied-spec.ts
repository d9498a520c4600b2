/**
 * The spec of the copy: the cluster's, with machines of provider local at free loopback addresses. Everything that decides
 * the plan stays: names, members, engine, ports, policies. `notCovered` says what does not.
 */
import { isAbsolute, resolve } from "node:path";
import type { Json } from "../base/json.ts";
import type { ClusterSpec, EtcdProgram, MasterSpec } from "../spec/cluster-spec.ts";
import { clientPortOf } from "../units/addresses.ts";

/** Gives each address of the real cluster one of the copy, the same for every spec. */
export class CopyAddresses {
  readonly #network: string;
  readonly #known = new Map<string, string>();

  /** `network`: the first three numbers of free addresses. */
  constructor(network: string) {
    this.#network = network;
  }

  master({ address }: Pick<MasterSpec, "address">): string {
    return this.#of(`master ${address}`, 1);
  }

  loadBalancer({ address }: ClusterSpec["loadBalancer"]): string {
    return this.#of(`load balancer ${address}`, 150);
  }

  #of(key: string, first: number): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const address = `${this.#network}.${first + this.#known.size}`;
    this.#known.set(key, address);
    return address;
  }
}

export type CopyOptions = {
  readonly addresses: CopyAddresses;
  /** haplan's working directory, which paths of the spec are relative to. */
  readonly cwd: string;
  /** The masters that the copy has; all unless given. */
  readonly masters?: readonly string[];
};

/** A new member of a copy has little to catch up with: a fault is found in seconds instead of minutes. */
const joinTimeoutMaxMs = 15_000;
const upgradeWatchMaxMs = 3_000;
const privilegedPortMax = 1_023;

/** The spec's text. JSON is YAML. */
export function copiedSpec(spec: ClusterSpec, options: CopyOptions): string {
  return `${JSON.stringify(copiedDocument(spec, options), null, 1)}\n`;
}

function copiedDocument(spec: ClusterSpec, { addresses, cwd, masters: kept }: CopyOptions): Json {
  const { controlPlane, policy, backup } = spec;
  const { engine, etcd, electionTimeoutMs, heartbeatIntervalMs, moved = [], tls } = controlPlane;
  const masters = controlPlane.masters.filter(({ name }) => kept?.includes(name) ?? true);
  const adopted = masters.filter((master) => master.adoptedAt !== undefined);
  const artifact = spec.provider["artifact"] as { readonly file?: string } | undefined;
  return {
    apiVersion: "haplan.dev/v1",
    kind: "Cluster",
    metadata: { name: spec.name },
    spec: {
      provider: { type: "local", ...(artifact === undefined ? {} : { artifact: withAbsoluteFile(artifact, cwd) }) },
      controlPlane: {
        engine,
        ...(etcd === undefined ? {} : { etcd: copiedEtcd(etcd) }),
        tls: {
          enabled: tls.enabled && adopted.length === 0,
          ...(tls.extraNames === undefined ? {} : { extraNames: [...tls.extraNames] }),
        },
        ...(adopted.length === 0
          ? {}
          : { adopt: { endpoints: adopted.map((master) => adoptedUrl(spec, master, addresses)) } }),
        masters: masters.map((master) => ({
          name: master.name,
          address: addresses.master(master),
          ...(master.zone === null ? {} : { zone: master.zone }),
        })),
        ...(moved.length === 0 ? {} : { moved: moved.map(({ from, to }) => ({ from, to })) }),
        clientPort: copiedPort(controlPlane.clientPort),
        peerPort: copiedPort(controlPlane.peerPort),
        electionTimeoutMs,
        heartbeatIntervalMs,
      },
      loadBalancer: copiedLoadBalancer(spec, addresses),
      ...(backup?.encryption?.keyFile === undefined
        ? {}
        : { backup: { encryption: { keyFile: resolve(cwd, backup.encryption.keyFile) } } }),
      policy: {
        ...policy,
        joinTimeoutMs: Math.min(policy.joinTimeoutMs, joinTimeoutMaxMs),
        upgradeWatchMs: Math.min(policy.upgradeWatchMs, upgradeWatchMaxMs),
      },
    },
  };
}

function copiedLoadBalancer({ loadBalancer }: ClusterSpec, addresses: CopyAddresses): Json {
  const { type, ports } = loadBalancer;
  const local = type === "haproxy" && loadBalancer.virtual === undefined ? "haproxy" : "embedded";
  return { type: local, address: addresses.loadBalancer(loadBalancer), ports: ports.map(copiedPort) };
}

/** Members that haplan did not start are copied without TLS: their authority is not haplan's to use. */
export function adoptedUrl(spec: ClusterSpec, master: MasterSpec, addresses: CopyAddresses): string {
  return `http://${addresses.master(master)}:${copiedPort(clientPortOf(spec, master))}`;
}

function copiedEtcd({ httpPort, ...program }: EtcdProgram): Json {
  return { ...program, ...(httpPort === undefined ? {} : { httpPort: copiedPort(httpPort) }) };
}

/** Ports below 1024 are root's. */
export function copiedPort(port: number): number {
  return port <= privilegedPortMax ? port + 20_000 : port;
}

function withAbsoluteFile(artifact: { readonly file?: string }, cwd: string): Json {
  const { file } = artifact;
  if (file === undefined || isAbsolute(file)) return artifact as Json;
  return { ...artifact, file: resolve(cwd, file) };
}

/** What a rehearsal of this spec does not show, as sentences. */
export function notCovered(spec: ClusterSpec): readonly string[] {
  const { controlPlane, loadBalancer } = spec;
  const adoptsTls = controlPlane.tls.adopted !== undefined;
  return [
    ...(spec.provider.type === "local"
      ? ["The speed of disks and of the network between hosts: all members of the copy share this machine."]
      : [
          `The hosts: the copy's machines are processes of this computer (provider local instead of ${spec.provider.type}). Disks, the network between hosts, systemd and packages are not tried.`,
        ]),
    ...(loadBalancer.hosts === undefined
      ? []
      : ["Several load balancers and their virtual address: the copy has one load balancer."]),
    ...(loadBalancer.type === "nlb" ? ["The network load balancer: the copy has haplan's own."] : []),
    ...(adoptsTls ? ["TLS of the adopted members: their copies run without it."] : []),
    ...(controlPlane.tls.authority === undefined ? [] : ["Your certificate authority: the copy has one of its own."]),
    ...(spec.workers.length === 0 ? [] : ["Workers: the copy has none."]),
    ...(spec.backup?.schedule === undefined ? [] : ["Backups on a schedule: the members of the copy take none."]),
    ...(spec.kubernetes === undefined ? [] : ["Kubernetes: the copy is its control plane's etcd alone."]),
    "Waits for members: in the copy at most 15 s for a new member and 3 s for an upgraded one.",
    "Restarts by a supervisor: a killed member stays down until haplan starts it again.",
  ];
}
