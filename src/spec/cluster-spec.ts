/**
 * The cluster as asked for: what `cluster.yaml` means once it is parsed, checked and every default is filled in.
 * Nothing here is optional except what is truly absent.
 */
export type MemberCount = 3 | 5 | 7;

export type MasterSpec = {
  readonly name: string;
  /** Failure domain; masters are spread over zones. */
  readonly zone: string | null;
  /** IP address or host name, without port. */
  readonly address: string;
  /** Client URL of a member that haplan did not start and takes over; absent for those that haplan makes. */
  readonly adoptedAt?: string;
};

/** The master that had the name `from` has the name `to`, and is the same one. */
export type MovedMaster = { readonly from: string; readonly to: string };

type WorkerSpec = { readonly name: string; readonly zone: string | null; readonly address: string };

/** `embedded` is our own TCP proxy; `haproxy` is the real one, configured from a template. */
type LoadBalancerSpec = {
  readonly type: "embedded" | "haproxy";
  readonly address: string;
  /** Ports that clients connect to; the first is the control plane's endpoint. */
  readonly ports: readonly number[];
};

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
  readonly engine: "agent" | "etcd";
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

type PolicySpec = {
  /** A learner is promoted only when it is at most this many entries behind the leader. */
  readonly maxLearnerLagEntries: number;
  /** How many good answers in a row make a member healthy. */
  readonly healthSamples: number;
  readonly joinTimeoutMs: number;
  /** No membership change without a snapshot before it. */
  readonly backupBeforeMembershipChange: boolean;
  /** A real etcd may pass an even number of voters on its way. */
  readonly allowEvenSteps: boolean;
  /** A certificate with fewer days left is renewed. */
  readonly renewBeforeDays: number;
};

type ProviderSpec = { readonly type: "local" };

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
  readonly encryption: { readonly passphraseEnv: string } | null;
};

export type ClusterSpec = {
  readonly name: string;
  readonly provider: ProviderSpec;
  readonly state: StateSpec;
  readonly controlPlane: ControlPlaneSpec;
  readonly workers: readonly WorkerSpec[];
  readonly loadBalancer: LoadBalancerSpec;
  readonly policy: PolicySpec;
};
