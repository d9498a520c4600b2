/**
 * The spec of a cluster, `cluster.yaml`, declared once. Its JSON Schema, the types of what was read, the defaults, the
 * located view that the rules look at, and docs/spec.md all follow from it.
 */
import type { Filled, PlainShape, Written } from "../schema/shape.ts";
import { adopt, adoptedTls, readyCertificate } from "./adopt.ts";
import { address, dnsLabel, file, host, port, zone } from "./common.ts";
import { controlPlane, masters, movedMaster, tls } from "./control-plane.ts";
import { loadBalancer } from "./load-balancer.ts";
import { policy } from "./policy.ts";
import { encryption, etcdState, s3State, state } from "./state.ts";

const cluster = {
  type: "object",
  description: "a cluster, as haplan plans and applies it",
  keys: {
    apiVersion: {
      type: "string",
      const: "haplan.dev/v1",
      required: true,
      description: "haplan.dev/v1",
      example: "haplan.dev/v1",
    },
    kind: { type: "string", const: "Cluster", required: true, description: "Cluster", example: "Cluster" },
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
  description: "the cluster as it should be",
  keys: {
    provider: { shape: "provider", filledBy: "provider" },
    state: { shape: "state", default: {} },
    controlPlane: { shape: "controlPlane", required: true },
    workers: {
      type: "array",
      items: { shape: "host" },
      maxItems: 5000,
      default: [],
      description: "a list of worker hosts",
    },
    loadBalancer: { shape: "loadBalancer", filledBy: "provider" },
    policy: { shape: "policy", default: {} },
  },
} as const;

const provider = {
  type: "object",
  description: "what the machines are",
  extendedBy: "settings",
  keys: { type: { type: "string", required: true, description: "the provider" } },
} as const;

/** Holds every shape against the vocabulary. */
type Checked<All extends { readonly [name: string]: PlainShape }> = All;

export type ClusterShapes = Checked<{
  readonly cluster: typeof cluster;
  readonly metadata: typeof metadata;
  readonly spec: typeof spec;
  readonly provider: typeof provider;
  readonly state: typeof state;
  readonly etcdState: typeof etcdState;
  readonly s3State: typeof s3State;
  readonly encryption: typeof encryption;
  readonly controlPlane: typeof controlPlane;
  readonly masters: typeof masters;
  readonly movedMaster: typeof movedMaster;
  readonly tls: typeof tls;
  readonly adopt: typeof adopt;
  readonly adoptedTls: typeof adoptedTls;
  readonly readyCertificate: typeof readyCertificate;
  readonly loadBalancer: typeof loadBalancer;
  readonly policy: typeof policy;
  readonly host: typeof host;
  readonly dnsLabel: typeof dnsLabel;
  readonly address: typeof address;
  readonly zone: typeof zone;
  readonly port: typeof port;
  readonly file: typeof file;
}>;

export const clusterShapes: ClusterShapes = {
  cluster,
  metadata,
  spec,
  provider,
  state,
  etcdState,
  s3State,
  encryption,
  controlPlane,
  masters,
  movedMaster,
  tls,
  adopt,
  adoptedTls,
  readyCertificate,
  loadBalancer,
  policy,
  host,
  dnsLabel,
  address,
  zone,
  port,
  file,
};

/** A spec as it is written: what may be left out is optional. */
export type WrittenCluster = Written<typeof cluster, ClusterShapes>;

/** A spec that was found right, with every default filled in. */
export type FilledCluster = Filled<typeof cluster, ClusterShapes>;

/** One of its parts, filled in the same way. */
export type FilledPart<Name extends keyof ClusterShapes> = Filled<ClusterShapes[Name], ClusterShapes>;
