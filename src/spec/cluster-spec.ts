/**
 * The desired cluster: the meaning of `cluster.yaml` once it is parsed, validated and completed with defaults. Nothing
 * here is optional except what is truly absent.
 */
import type { Json } from "../base/json.ts";
import type { FilledPart } from "./declaration/cluster.ts";

export type MemberCount = NonNullable<FilledPart<"controlPlane">["members"]>;

/** Values of a provider's own keys, with the types that its schema declares; only the provider interprets them. */
export type ProviderSettings = { readonly [key: string]: Json };

/** The master that was named `from` is now named `to`. */
export type MovedMaster = FilledPart<"movedMaster">;

export type HostSpec = {
  readonly name: string;
  /** Failure domain; masters are spread over zones. */
  readonly zone: string | null;
  /** IP address or host name, without port. */
  readonly address: string;
  /** The provider's own keys of this host; absent if none is written or has a default. */
  readonly settings?: ProviderSettings;
};

export type MasterSpec = HostSpec & {
  /** Client URL of an adopted member, which haplan did not start; absent for members that haplan creates. */
  readonly adoptedAt?: string;
  /** It is on a spare host instead of the one that the file says; absent if it is where the file says. */
  readonly standIn?: StandInRef;
};

/** `spare` is the name of the spare host, `instead` the address in the file. */
export type StandInRef = { readonly spare: string; readonly instead: string };

/** What `haplan watch` may do without asking. */
type RepairSpec = Omit<FilledPart<"repair">, "replace"> & {
  /** Absent if no master is replaced. */
  readonly replace?: Omit<FilledPart<"repairReplace">, "spares"> & { readonly spares: readonly HostSpec[] };
};

/** `embedded` is haplan's own TCP proxy; `haproxy` is HAProxy, configured from a template. */
export type LoadBalancerSpec = Pick<FilledPart<"loadBalancer">, "type"> & {
  /** What clients connect to: the address of its machine, or the virtual address of its `hosts`. */
  readonly address: string;
  /** Ports for clients; the first is the control plane's endpoint. */
  readonly ports: readonly number[];
  /** The hosts of the load balancers, the first holder first; absent if there is one, on a machine of its own. */
  readonly hosts?: readonly HostSpec[];
  /** `address` is a virtual address that one of `hosts` has at a time; absent if it is a machine's. */
  readonly virtual?: {
    /** The network interface for it; null: the one that has the host's address. */
    readonly interface: string | null;
    /** VRRP's virtual router id. */
    readonly routerId: number;
  };
} & Pick<HostSpec, "settings">;

/**
 * A certificate of a master that haplan creates, from an authority whose key haplan does not have. Paths as written.
 */
export type ReadyCertificate = {
  readonly name: string;
  /** The master's address, which the certificate must be valid for. */
  readonly address: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** For peers, if that is a separate certificate. */
  readonly peerCertFile: string | null;
  readonly peerKeyFile: string | null;
};

/**
 * PEM files of an adopted cluster, as written: relative to haplan's working directory. Only paths: the content of the
 * files is in no plan and no state.
 */
export type AdoptedTls = {
  readonly caFile: string;
  /** haplan's client certificate for the members. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Lets haplan issue certificates; null if the new masters' certificates are listed. */
  readonly caKeyFile: string | null;
  /** The authority that peers trust, if it is another one. */
  readonly peerCaFile: string | null;
  readonly peerCaKeyFile: string | null;
  readonly certificates: readonly ReadyCertificate[];
};

/** The operator's authority. Paths as written; no content is in any plan or state. */
export type OperatorAuthority = {
  readonly caFile: string;
  /** Null if the signer signs. */
  readonly keyFile: string | null;
  readonly signer: FilledPart<"signer"> | null;
};

type ControlPlaneSpec = {
  readonly members: MemberCount;
  /** The software of each master: haplan's Raft agent, or a real etcd. */
  readonly engine: FilledPart<"controlPlane">["engine"];
  /** The etcd that masters run; absent if it is whatever is on their path. */
  readonly etcd?: EtcdProgram;
  /** The cluster that this one replaces; absent if there is none. Paths as written. */
  readonly migrateFrom?: FilledPart<"migrateFrom">;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly tls: {
    readonly enabled: boolean;
    /** Further names of every master, for its certificates; absent if there are none. */
    readonly extraNames?: readonly string[];
    /** Absent if haplan creates the authority. */
    readonly authority?: OperatorAuthority;
    /** Absent unless members with TLS are adopted. */
    readonly adopted?: AdoptedTls;
  };
  readonly electionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly masters: readonly MasterSpec[];
  /** Renamed masters, each with its current name; absent if there are none. */
  readonly moved?: readonly MovedMaster[];
};

/** With an archive, `binary` is where haplan puts its etcd. */
export type EtcdProgram = FilledPart<"etcdProgram"> & { readonly binary: string };

/** `spec.provider` with the provider's own keys. */
type ProviderSpec = FilledPart<"provider">;

/** Where the state is stored. Paths are as written: relative to haplan's working directory. */
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
  | ({ readonly type: "s3" } & BucketSpec);

/** A bucket of S3, or of a store with the same protocol. */
export type BucketSpec = {
  readonly bucket: string;
  /** Objects are below `<prefix>/<cluster>/`, or `<cluster>/` if it is empty. */
  readonly prefix: string;
  /** Null uses the environment's. */
  readonly region: string | null;
  /** For S3-compatible stores other than Amazon's. */
  readonly endpoint: string | null;
  readonly forcePathStyle: boolean;
};

export type StateSpec = {
  readonly backend: BackendSpec;
  /** `passphraseEnv` names the environment variable of the passphrase. */
  readonly encryption: FilledPart<"encryption"> | null;
};

/** Absent values are filled in, except for subnets of pods and the runtime's socket, which may really be absent. */
export type KubernetesSpec = Omit<
  FilledPart<"kubernetes">,
  "clusterName" | "endpointPort" | "podSubnet" | "criSocket"
> & {
  readonly clusterName: string;
  readonly endpointPort: number;
  readonly podSubnet: string | null;
  readonly criSocket: string | null;
};

export type ClusterSpec = {
  readonly name: string;
  readonly provider: ProviderSpec;
  readonly state: StateSpec;
  readonly controlPlane: ControlPlaneSpec;
  readonly workers: readonly HostSpec[];
  readonly loadBalancer: LoadBalancerSpec;
  /** Absent without Kubernetes. */
  readonly kubernetes?: KubernetesSpec;
  /** Absent if nothing is said about backups. Paths are as written: relative to haplan's working directory. */
  readonly backup?: Omit<FilledPart<"backup">, "s3"> & { readonly s3?: BucketSpec };
  readonly policy: FilledPart<"policy">;
  /** Absent: `haplan watch` only reports. */
  readonly repair?: RepairSpec;
};
