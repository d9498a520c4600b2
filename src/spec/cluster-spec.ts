/**
 * The cluster as asked for: what `cluster.yaml` means once it is parsed, checked and every default is filled in.
 * Nothing here is optional except what is truly absent.
 */
import type { Json } from "../base/json.ts";
import type { FilledPart } from "./declaration/cluster.ts";

export type MemberCount = NonNullable<FilledPart<"controlPlane">["members"]>;

/** Values of a provider's own keys, which it alone understands: each of the kind that its schema declares. */
export type ProviderSettings = { readonly [key: string]: Json };

/** The master that had the name `from` has the name `to`, and is the same one. */
export type MovedMaster = FilledPart<"movedMaster">;

type HostSpec = {
  readonly name: string;
  /** Failure domain; masters are spread over zones. */
  readonly zone: string | null;
  /** IP address or host name, without port. */
  readonly address: string;
  /** The provider's own keys of this host; absent when none is written or has a default. */
  readonly settings?: ProviderSettings;
};

export type MasterSpec = HostSpec & {
  /** Client URL of a member that haplan did not start and takes over; absent for those that haplan makes. */
  readonly adoptedAt?: string;
};

/** `embedded` is our own TCP proxy; `haproxy` is the real one, configured from a template. */
export type LoadBalancerSpec = Pick<FilledPart<"loadBalancer">, "type" | "address"> & {
  /** Ports that clients connect to; the first is the control plane's endpoint. */
  readonly ports: readonly number[];
} & Pick<HostSpec, "settings">;

/** A certificate of a master that haplan makes, from an authority whose key it does not have. Paths as written. */
export type ReadyCertificate = {
  readonly name: string;
  /** The master's: what the certificate must be for. */
  readonly address: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** For peers, when these are shown another one. */
  readonly peerCertFile: string | null;
  readonly peerKeyFile: string | null;
};

/**
 * PEM files of a cluster that was adopted, as they were written: relative to the directory that haplan is started in.
 * Only paths: what the files hold is in no plan and no state.
 */
export type AdoptedTls = {
  readonly caFile: string;
  /** What haplan shows the members. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Lets haplan issue certificates; null when those of the new masters are ready. */
  readonly caKeyFile: string | null;
  /** The authority that peers trust, when it is another. */
  readonly peerCaFile: string | null;
  readonly peerCaKeyFile: string | null;
  readonly certificates: readonly ReadyCertificate[];
};

type ControlPlaneSpec = {
  readonly members: MemberCount;
  /** What runs on each master: our Raft agent, or a real etcd. */
  readonly engine: FilledPart<"controlPlane">["engine"];
  readonly clientPort: number;
  readonly peerPort: number;
  readonly tls: {
    readonly enabled: boolean;
    /** Absent unless members are adopted that use TLS. */
    readonly adopted?: AdoptedTls;
  };
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly masters: readonly MasterSpec[];
  /** Masters that had other names, each with its present one; absent when none is told. */
  readonly moved?: readonly MovedMaster[];
};

/** `spec.provider` with the provider's own keys. */
type ProviderSpec = FilledPart<"provider">;

/** Where the state is kept. Paths are as they were written: relative to the directory that haplan is started in. */
export type BackendSpec =
  | { readonly type: "local" }
  | {
      readonly type: "etcd";
      readonly endpoints: readonly string[];
      /** Keys are `<prefix>/<cluster>/state` and `<prefix>/<cluster>/lock`. */
      readonly prefix: string;
      /** PEM files. */
      readonly tls: {
        readonly caFile: string;
        readonly certFile: string | null;
        readonly keyFile: string | null;
      } | null;
    }
  | {
      readonly type: "s3";
      readonly bucket: string;
      /** Objects are `<prefix>/<cluster>/state.json` and `<prefix>/<cluster>/lock.json`. */
      readonly prefix: string;
      /** Null leaves it to the environment. */
      readonly region: string | null;
      /** For stores that speak S3 and are not Amazon's. */
      readonly endpoint: string | null;
      readonly forcePathStyle: boolean;
    };

export type StateSpec = {
  readonly backend: BackendSpec;
  /** `passphraseEnv` names the environment variable that holds the passphrase. */
  readonly encryption: FilledPart<"encryption"> | null;
};

export type ClusterSpec = {
  readonly name: string;
  readonly provider: ProviderSpec;
  readonly state: StateSpec;
  readonly controlPlane: ControlPlaneSpec;
  readonly workers: readonly HostSpec[];
  readonly loadBalancer: LoadBalancerSpec;
  readonly policy: FilledPart<"policy">;
};
