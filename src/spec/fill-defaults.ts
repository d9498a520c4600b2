/** A checked document → the spec with every default filled in. */
import type {
  AdoptedTls,
  BackendSpec,
  ClusterSpec,
  MasterSpec,
  MemberCount,
  MovedMaster,
  ReadyCertificate,
} from "./cluster-spec.ts";
import { deriveMasters, specDefaults } from "./draft.ts";

/** What a document looks like once it has passed the schema and all rules. */
export type CheckedDocument = {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly state?: CheckedState;
    readonly controlPlane: {
      readonly members?: number;
      readonly engine?: "agent" | "etcd";
      readonly adopt?: { readonly endpoints: readonly string[]; readonly tls?: CheckedAdoptedTls };
      readonly masters?: readonly CheckedHost[];
      readonly moved?: readonly MovedMaster[];
      readonly zones?: readonly string[];
      readonly tls?: { readonly enabled?: boolean };
      readonly clientPort?: number;
      readonly peerPort?: number;
      readonly electionTimeoutMs?: number;
      readonly heartbeatIntervalMs?: number;
    };
    readonly workers?: readonly CheckedHost[];
    readonly loadBalancer?: {
      readonly type?: "embedded" | "haproxy";
      readonly address?: string;
      readonly ports?: readonly number[];
    };
    readonly policy?: {
      readonly maxLearnerLagEntries?: number;
      readonly healthSamples?: number;
      readonly joinTimeoutMs?: number;
      readonly backupBeforeMembershipChange?: boolean;
      readonly allowEvenSteps?: boolean;
      readonly renewBeforeDays?: number;
    };
  };
};

type CheckedAdoptedTls = Pick<AdoptedTls, "caFile" | "certFile" | "keyFile"> &
  Optional<Pick<AdoptedTls, "caKeyFile" | "peerCaFile" | "peerCaKeyFile">> & {
    readonly certificates?: readonly (Pick<ReadyCertificate, "name" | "certFile" | "keyFile"> &
      Optional<Pick<ReadyCertificate, "peerCertFile" | "peerKeyFile">>)[];
  };
type Optional<T> = { readonly [Key in keyof T]?: NonNullable<T[Key]> };

type CheckedState = {
  readonly backend?: BackendSpec["type"];
  readonly etcd?: {
    readonly endpoints: readonly string[];
    readonly prefix?: string;
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
  readonly s3?: {
    readonly bucket: string;
    readonly prefix?: string;
    readonly region?: string;
    readonly endpoint?: string;
    readonly forcePathStyle?: boolean;
  };
  readonly encryption?: { readonly passphraseEnv: string };
};

type CheckedHost = { readonly name: string; readonly zone?: string; readonly address: string };

export function fillDefaults({ metadata, spec }: CheckedDocument): ClusterSpec {
  const { controlPlane, loadBalancer, policy } = spec;
  const listed = (controlPlane.masters ?? deriveMasters(controlPlane.members ?? 0)).map(fillHost);
  const masters = spreadOverZones(listed, controlPlane.zones ?? []).map((master) =>
    withAdoption(master, controlPlane.adopt?.endpoints ?? []),
  );
  const clientPort = controlPlane.clientPort ?? specDefaults.clientPort;
  return {
    name: metadata.name,
    provider: { type: "local" },
    state: { backend: fillBackend(spec.state ?? {}), encryption: spec.state?.encryption ?? null },
    controlPlane: {
      members: masters.length as MemberCount,
      engine: controlPlane.engine ?? "agent",
      clientPort,
      peerPort: controlPlane.peerPort ?? specDefaults.peerPort,
      tls: { enabled: controlPlane.tls?.enabled ?? true, ...fillAdoptedTls(controlPlane.adopt?.tls, masters) },
      electionTimeoutMs: controlPlane.electionTimeoutMs ?? specDefaults.electionTimeoutMs,
      heartbeatIntervalMs: controlPlane.heartbeatIntervalMs ?? specDefaults.heartbeatIntervalMs,
      masters,
      ...fillMoved(controlPlane.moved ?? []),
    },
    workers: (spec.workers ?? []).map(fillHost),
    loadBalancer: {
      type: loadBalancer?.type ?? "embedded",
      address: loadBalancer?.address ?? specDefaults.loadBalancerAddress,
      ports: loadBalancer?.ports ?? [clientPort],
    },
    policy: {
      maxLearnerLagEntries: policy?.maxLearnerLagEntries ?? specDefaults.maxLearnerLagEntries,
      healthSamples: policy?.healthSamples ?? specDefaults.healthSamples,
      joinTimeoutMs: policy?.joinTimeoutMs ?? specDefaults.joinTimeoutMs,
      backupBeforeMembershipChange: policy?.backupBeforeMembershipChange ?? false,
      allowEvenSteps: policy?.allowEvenSteps ?? false,
      renewBeforeDays: policy?.renewBeforeDays ?? specDefaults.renewBeforeDays,
    },
  };
}

/** A master may have been renamed more than once: each former name leads to the present one. */
function fillMoved(moved: readonly MovedMaster[]): { readonly moved?: readonly MovedMaster[] } {
  if (moved.length === 0) return {};
  return { moved: moved.map(({ from }) => ({ from, to: presentName(from, moved) })) };
}

/** The name that is left when every entry of `moved` is followed; `name` itself in a circle. */
export function presentName(name: string, moved: readonly MovedMaster[]): string {
  let at = name;
  for (let hops = 0; hops <= moved.length; hops += 1) {
    const next = moved.find(({ from }) => from === at)?.to;
    if (next === undefined) return at;
    at = next;
  }
  return name;
}

function fillHost(host: CheckedHost): MasterSpec {
  return { name: host.name, zone: host.zone ?? null, address: host.address };
}

/** Each master without a zone goes to the zone that has the fewest so far; the order of the lists decides between equals. */
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
  const endpoint = endpoints.find((url) => new URL(url).hostname === master.address);
  return endpoint === undefined ? master : { ...master, adoptedAt: endpoint };
}

function fillAdoptedTls(
  tls: CheckedAdoptedTls | undefined,
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

function fillBackend({ backend, etcd, s3 }: CheckedState): BackendSpec {
  if (backend === "etcd" && etcd !== undefined) {
    const { endpoints, caFile, certFile, keyFile } = etcd;
    const prefix = etcd.prefix ?? specDefaults.etcdStatePrefix;
    const tls = caFile === undefined ? null : { caFile, certFile: certFile ?? null, keyFile: keyFile ?? null };
    return { type: "etcd", endpoints, prefix: prefix.replace(/\/+$/, ""), tls };
  }
  if (backend === "s3" && s3 !== undefined) {
    return {
      type: "s3",
      bucket: s3.bucket,
      prefix: (s3.prefix ?? specDefaults.s3StatePrefix).replace(/^\/+|\/+$/g, ""),
      region: s3.region ?? null,
      endpoint: s3.endpoint ?? null,
      // A bucket's own host name needs a name server that knows it, which stores at a given address rarely have.
      forcePathStyle: s3.forcePathStyle ?? s3.endpoint !== undefined,
    };
  }
  return { type: "local" };
}
