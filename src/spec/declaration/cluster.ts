/**
 * The spec of a cluster, `cluster.yaml`, declared once. Its JSON Schema, the types of the parsed document, the
 * defaults, the located view for the rules, and docs/spec.md are all derived from it.
 */
import type { Filled, PlainShape, Written } from "../schema/shape.ts";
import { adopt, adoptedTls, readyCertificate } from "./adopt.ts";
import { backup, backupEncryption, backupRetention, backupSchedule } from "./backup.ts";
import { bucket } from "./bucket.ts";
import { address, dnsLabel, file, host, memberUrl, port, zone } from "./common.ts";
import {
  authority,
  certificateName,
  controlPlane,
  etcdArchive,
  etcdProgram,
  masters,
  movedMaster,
  signer,
  tls,
} from "./control-plane.ts";
import { hostFields, hostList, hostsFrom } from "./hosts-from.ts";
import { kubernetes, subnets } from "./kubernetes.ts";
import { loadBalancer, loadBalancerHost } from "./load-balancer.ts";
import { migrateFrom, migrateFromTls } from "./migrate-from.ts";
import { policy } from "./policy.ts";
import { repair, repairNotify, repairReplace } from "./repair.ts";
import { encryption, etcdState, state } from "./state.ts";

const cluster = {
  type: "object",
  description: "a cluster, as haplan plans and applies it",
  keys: {
    apiVersion: {
      type: "string",
      const: "haplan.dev/v1",
      required: true,
      description: "the version of this format, haplan.dev/v1",
      example: "haplan.dev/v1",
    },
    kind: {
      type: "string",
      const: "Cluster",
      required: true,
      description: "what the file describes: Cluster",
      example: "Cluster",
    },
    metadata: { shape: "metadata", required: true },
    spec: { shape: "spec", required: true },
  },
} as const;

const metadata = {
  type: "object",
  description: "what identifies the cluster",
  keys: { name: { shape: "dnsLabel", required: true, example: "demo" } },
} as const;

const spec = {
  type: "object",
  description: "the desired cluster",
  keys: {
    provider: { shape: "provider", filledBy: "provider" },
    state: { shape: "state", default: {} },
    controlPlane: { shape: "controlPlane", required: true },
    workers: {
      type: "array",
      items: { shape: "host" },
      orFrom: "hostList",
      maxItems: 5000,
      default: [],
      description: "a list of worker hosts",
      example: [{ name: "w1", address: "10.0.0.11" }],
    },
    loadBalancer: { shape: "loadBalancer", filledBy: "provider" },
    kubernetes: { shape: "kubernetes", absent: "haplan configures no Kubernetes" },
    backup: { shape: "backup", absent: "backups are not encrypted, and only removed by hand" },
    policy: { shape: "policy", default: {} },
    repair: { shape: "repair", absent: "`haplan watch` repairs nothing, and only reports" },
  },
} as const;

const provider = {
  type: "object",
  description: "the platform of the machines",
  extendedBy: "settings",
  keys: { type: { type: "string", required: true, description: "the provider" } },
} as const;

/** Checks one shape against the vocabulary: a key that does not say what its absence means does not compile. */
type Checked<One extends PlainShape> = One;

export type ClusterShapes = {
  readonly cluster: Checked<typeof cluster>;
  readonly metadata: Checked<typeof metadata>;
  readonly spec: Checked<typeof spec>;
  readonly provider: Checked<typeof provider>;
  readonly state: Checked<typeof state>;
  readonly etcdState: Checked<typeof etcdState>;
  readonly bucket: Checked<typeof bucket>;
  readonly encryption: Checked<typeof encryption>;
  readonly controlPlane: Checked<typeof controlPlane>;
  readonly masters: Checked<typeof masters>;
  readonly movedMaster: Checked<typeof movedMaster>;
  readonly etcdArchive: Checked<typeof etcdArchive>;
  readonly etcdProgram: Checked<typeof etcdProgram>;
  readonly tls: Checked<typeof tls>;
  readonly authority: Checked<typeof authority>;
  readonly signer: Checked<typeof signer>;
  readonly certificateName: Checked<typeof certificateName>;
  readonly adopt: Checked<typeof adopt>;
  readonly adoptedTls: Checked<typeof adoptedTls>;
  readonly readyCertificate: Checked<typeof readyCertificate>;
  readonly migrateFrom: Checked<typeof migrateFrom>;
  readonly migrateFromTls: Checked<typeof migrateFromTls>;
  readonly loadBalancer: Checked<typeof loadBalancer>;
  readonly kubernetes: Checked<typeof kubernetes>;
  readonly subnets: Checked<typeof subnets>;
  readonly loadBalancerHost: Checked<typeof loadBalancerHost>;
  readonly backup: Checked<typeof backup>;
  readonly backupEncryption: Checked<typeof backupEncryption>;
  readonly backupRetention: Checked<typeof backupRetention>;
  readonly backupSchedule: Checked<typeof backupSchedule>;
  readonly policy: Checked<typeof policy>;
  readonly repair: Checked<typeof repair>;
  readonly repairReplace: Checked<typeof repairReplace>;
  readonly repairNotify: Checked<typeof repairNotify>;
  readonly host: Checked<typeof host>;
  readonly hostList: Checked<typeof hostList>;
  readonly hostsFrom: Checked<typeof hostsFrom>;
  readonly hostFields: Checked<typeof hostFields>;
  readonly dnsLabel: Checked<typeof dnsLabel>;
  readonly address: Checked<typeof address>;
  readonly zone: Checked<typeof zone>;
  readonly memberUrl: Checked<typeof memberUrl>;
  readonly port: Checked<typeof port>;
  readonly file: Checked<typeof file>;
};

export const clusterShapes: ClusterShapes = {
  cluster,
  metadata,
  spec,
  provider,
  state,
  etcdState,
  bucket,
  encryption,
  controlPlane,
  masters,
  movedMaster,
  etcdArchive,
  etcdProgram,
  tls,
  authority,
  signer,
  certificateName,
  adopt,
  adoptedTls,
  readyCertificate,
  migrateFrom,
  migrateFromTls,
  loadBalancer,
  kubernetes,
  subnets,
  loadBalancerHost,
  backup,
  backupEncryption,
  backupRetention,
  backupSchedule,
  policy,
  repair,
  repairReplace,
  repairNotify,
  host,
  hostList,
  hostsFrom,
  hostFields,
  dnsLabel,
  address,
  zone,
  memberUrl,
  port,
  file,
};

/** A spec as written: keys with a default are optional. */
export type WrittenCluster = Written<typeof cluster, ClusterShapes>;

/** A valid spec, with every default filled in. */
export type FilledCluster = Filled<typeof cluster, ClusterShapes>;

/** One of its parts, with every default filled in. */
export type FilledPart<Name extends keyof ClusterShapes> = Filled<ClusterShapes[Name], ClusterShapes>;
