/**
 * The unit of a master: haplan's agent or a real etcd, with the same flags (etcd 3.4's "Configuration flags"). The
 * initial flags (`--initial-*`) are kept apart: they depend on when a member joined and are read only while the data
 * directory is empty, so they are not part of the configuration's digest.
 */
import { assert } from "../base/assert.ts";
import type { BucketSpec, ClusterSpec, MasterSpec } from "../spec/cluster-spec.ts";
import { bindAddress, clientUrl, hostPort, peerUrl } from "./addresses.ts";
import { healthPort, healthScheme } from "./health-port.ts";
import type { InitialCluster } from "./initial-cluster.ts";
import { hasPeerCertificate } from "./peer-certificate.ts";
import { blueprintDigest, type UnitBlueprint } from "./unit-blueprint.ts";
import {
  agentUnitName,
  dataDirPlaceholder,
  peerTlsPaths,
  tlsPaths,
  type UnitDefinition,
  unitDirPlaceholder,
} from "./unit-definition.ts";

/** `token` separates members of clusters that were created from equal specs: the state's lineage. */
export type AgentStart = InitialCluster & { readonly token: string };

/** Of the backups that a member takes by itself. */
const operatorFileFlags = { key: "--backup-key-file=", credentials: "--backup-s3-credentials-file=" } as const;

export type OperatorFile = { readonly kind: keyof typeof operatorFileFlags; readonly path: string };

/** The files of the operator that a unit reads. */
export function operatorFilesOf({ arguments: given }: Pick<UnitDefinition, "arguments">): readonly OperatorFile[] {
  return (["key", "credentials"] as const).flatMap((kind) => {
    const flag = operatorFileFlags[kind];
    return given.filter((each) => each.startsWith(flag)).map((each) => ({ kind, path: each.slice(flag.length) }));
  });
}

/** The maximum number of members of a cluster. */
const maxLearners = 7;

export function agentBlueprint(spec: ClusterSpec, name: string, start: AgentStart): UnitBlueprint {
  const base = configuredAgent(spec, masterNamed(spec, name));
  const initial = start.initialCluster.map((member) => `${member.name}=${member.peerUrl}`).join(",");
  const startArguments = [
    `--initial-cluster=${initial}`,
    `--initial-cluster-state=${start.clusterState}`,
    `--initial-cluster-token=${start.token}`,
  ];
  return {
    ...base,
    definition: { ...base.definition, arguments: [...base.definition.arguments, ...startArguments] },
  };
}

/** Digest over the part of an agent's configuration that the spec determines. */
export function agentConfigDigest(spec: ClusterSpec, name: string): string {
  return blueprintDigest(configuredAgent(spec, masterNamed(spec, name)));
}

/**
 * Whether an agent that was started with these arguments has other settings than the spec's: apart from its program, its paths, and the
 * members that it was started with.
 */
export function hasOtherSettings(spec: ClusterSpec, name: string, started: readonly string[]): boolean {
  const flagOf = (argument: string): string => argument.replace(/=.*/s, "");
  const wanted = configuredAgent(spec, masterNamed(spec, name)).definition.arguments;
  const flags = new Set(wanted.map(flagOf));
  const isPath = (argument: string): boolean =>
    argument.includes(dataDirPlaceholder) || argument.includes(unitDirPlaceholder);
  return (
    wanted.some((argument) => !isPath(argument) && !started.includes(argument)) ||
    started.some((argument) => /^--(?!initial-cluster)/.test(argument) && !flags.has(flagOf(argument)))
  );
}

function masterNamed(spec: ClusterSpec, name: string): MasterSpec {
  const master = spec.controlPlane.masters.find((candidate) => candidate.name === name);
  assert(master !== undefined, `${name} is a master of the spec`);
  return master;
}

function configuredAgent(spec: ClusterSpec, master: MasterSpec): UnitBlueprint {
  const { clientPort, peerPort, engine, tls } = spec.controlPlane;
  const scheme = tls.enabled ? "https" : "http";
  const clientListen = hostPort(bindAddress(master.address), clientPort);
  const peerListen = hostPort(bindAddress(master.address), peerPort);
  const health = healthPort(spec);
  const healthFlag = engine === "agent" ? "listen-health-urls" : "listen-metrics-urls";
  const http = spec.controlPlane.etcd?.httpPort;
  const httpListen = http === undefined ? [] : [hostPort(bindAddress(master.address), http)];
  const healthListen = health === null ? [] : [hostPort(bindAddress(master.address), health)];
  return {
    definition: {
      name: agentUnitName,
      program: engine === "agent" ? { kind: "haplan", command: "haplan-agent" } : etcdProgram(spec),
      arguments: [
        `--name=${master.name}`,
        `--data-dir=${dataDirPlaceholder}`,
        `--listen-client-urls=${scheme}://${clientListen}`,
        ...httpListen.map((place) => `--listen-client-http-urls=${scheme}://${place}`),
        `--advertise-client-urls=${clientUrl(spec, master)}`,
        `--listen-peer-urls=${scheme}://${peerListen}`,
        `--initial-advertise-peer-urls=${peerUrl(spec, master)}`,
        ...healthListen.map((place) => `--${healthFlag}=${healthScheme(spec)}://${place}`),
        `--heartbeat-interval=${spec.controlPlane.heartbeatIntervalMs}`,
        `--election-timeout=${spec.controlPlane.electionTimeoutMs}`,
        // All joining members catch up in parallel and get their votes in one joint change; a real etcd takes one at a
        // time.
        ...(engine === "agent" ? [`--max-learners=${maxLearners}`] : []),
        ...(tls.enabled ? tlsArguments(hasPeerCertificate(spec, master.name)) : []),
        ...backupArguments(spec),
      ],
      environment: {},
      files: [],
      listens: [clientListen, peerListen, ...httpListen, ...healthListen],
      ...(spec.backup?.schedule?.directory === undefined ? {} : { directories: [spec.backup.schedule.directory] }),
      ...(tls.enabled ? { reload: { signal: null, files: reloadedFiles(engine) } } : {}),
    },
    templates: [],
    certificate: tls.enabled ? master.name : null,
  };
}

/**
 * haplan's agent reloads all of its files when they change; etcd reads its certificates for every connection, but not
 * the CA.
 */
function reloadedFiles(engine: ClusterSpec["controlPlane"]["engine"]): readonly string[] {
  const sets = [tlsPaths, peerTlsPaths];
  const certificates = sets.flatMap(({ certificate, key }) => [certificate, key]);
  return [...certificates, tlsPaths.bundle, ...(engine === "agent" ? sets.map(({ authority }) => authority) : [])];
}

function etcdProgram({ controlPlane: { etcd } }: ClusterSpec): UnitDefinition["program"] {
  if (etcd === undefined) return { kind: "system", command: "etcd" };
  return { kind: "system", command: etcd.binary, version: etcd.version };
}

function backupArguments({ name, backup }: ClusterSpec): string[] {
  const { schedule, retention = {}, s3 } = backup ?? {};
  if (schedule === undefined) return [];
  const { count, maxAgeDays } = retention;
  return [
    `--backup-interval=${schedule.everyMinutes}m`,
    ...(schedule.directory === undefined ? [] : [`--backup-dir=${schedule.directory}`]),
    `--backup-cluster=${name}`,
    ...(schedule.keyFile === undefined ? [] : [`${operatorFileFlags.key}${schedule.keyFile}`]),
    ...(s3 === undefined ? [] : bucketArguments(s3, schedule.credentialsFile)),
    ...(count === undefined ? [] : [`--backup-retention-count=${count}`]),
    ...(maxAgeDays === undefined ? [] : [`--backup-retention-days=${maxAgeDays}`]),
  ];
}

function bucketArguments(s3: BucketSpec, credentialsFile: string | undefined): string[] {
  return [
    `--backup-s3-bucket=${s3.bucket}`,
    `--backup-s3-prefix=${s3.prefix}`,
    ...(s3.region === null ? [] : [`--backup-s3-region=${s3.region}`]),
    ...(s3.endpoint === null ? [] : [`--backup-s3-endpoint=${s3.endpoint}`]),
    ...(s3.forcePathStyle ? ["--backup-s3-path-style=true"] : []),
    ...(credentialsFile === undefined ? [] : [`${operatorFileFlags.credentials}${credentialsFile}`]),
  ];
}

function tlsArguments(peersApart: boolean): string[] {
  const at = (path: string): string => `${unitDirPlaceholder}/${path}`;
  const set = (prefix: string, paths: Record<keyof typeof peerTlsPaths, string>): string[] => [
    `--${prefix}cert-file=${at(paths.certificate)}`,
    `--${prefix}key-file=${at(paths.key)}`,
    `--${prefix}client-cert-auth=true`,
    `--${prefix}trusted-ca-file=${at(paths.authority)}`,
  ];
  return [...set("", tlsPaths), ...set("peer-", peersApart ? peerTlsPaths : tlsPaths)];
}
