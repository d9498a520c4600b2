/**
 * A unit of a machine as a value: program, arguments, environment, files. Derived only from the spec; apply adds
 * secrets as files, so that a definition can be compared, digested and shown.
 */
export type UnitFile = {
  /** Relative to the unit's directory on the machine, for example `tls/server.key`. */
  readonly path: string;
  readonly content: string | Uint8Array;
  readonly mode: number;
};

export type UnitCopy = {
  /** `path` of the unit's file. */
  readonly file: string;
  /** An absolute path. */
  readonly to: string;
};

/** Placeholders that a provider replaces inside `arguments`, `environment` and text files. */
export const unitDirPlaceholder = "@UNIT@";
export const dataDirPlaceholder = "@DATA@";

/** The name of the network interface that has `address`. */
export function interfacePlaceholder(address: string): string {
  return `@INTERFACE(${address})@`;
}

export const interfacePlaceholders: RegExp = /@INTERFACE\(([^)]*)\)@/g;

/** Privileges of a unit that manages addresses of its host. Others have none, but for ports below 1024. */
export type UnitCapability = "CAP_NET_ADMIN" | "CAP_NET_RAW" | "CAP_SETGID";

/** A version of haplan's programs on a machine. */
export type UnitArtifact = {
  /** As plans show it. Two with one name are the same. */
  readonly name: string;
  /** Its directory of programs there, with one directory for each. */
  readonly programsDir: string;
};

export type UnitDefinition = {
  readonly name: string;
  /**
   * The program to run: one of haplan's own, or a system program on the machine's path or at an absolute path, of the
   * version that it has to be.
   */
  readonly program:
    | { readonly kind: "haplan"; readonly command: string }
    | { readonly kind: "system"; readonly command: string; readonly version?: string }
    /** Nothing runs: the unit is its files. */
    | { readonly kind: "none" };
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly UnitFile[];
  /** Listen addresses of the unit, `host:port`; checked to be free before anything is changed. */
  readonly listens: readonly string[];
  /**
   * Files (by path) that the running program reloads on a signal, or by itself if `signal` is null. A change of only
   * these files does not restart it, so that its connections stay open. Absent: every change restarts it.
   */
  readonly reload?: { readonly signal: "SIGHUP" | "SIGUSR2" | null; readonly files: readonly string[] };
  /** Files of the unit that are also placed elsewhere on the machine, as root's, for programs that are not haplan's. */
  readonly copies?: readonly UnitCopy[];
  /** Programs of the system that later steps run on the machine; absent: none. */
  readonly needs?: readonly string[];
  /** Paths of files that are not haplan's: observed is which of them exist. */
  readonly watches?: readonly string[];
  /** Arguments with which the program checks new files: they replace those in force only if it accepts them. */
  readonly check?: readonly string[];
  /** The virtual router (VRRP) that it takes part in: no other unit of its host may have the id. */
  readonly routerId?: number;
  /** Absent: none. */
  readonly capabilities?: readonly UnitCapability[];
  /** Absolute paths of directories outside of its own that the program writes to. They are made if they are missing, and stay when it goes. */
  readonly directories?: readonly string[];
  /** The version of its program, which the provider sets. Absent for a system program, and before a provider has the unit. */
  readonly artifact?: UnitArtifact;
};

/**
 * Unit names: a master's machine runs `agent`, a worker's runs `worker`, a load balancer's runs `load-balancer`,
 * `keepalived` if it shares a virtual address with others, and `relay` during a migration if it is HAProxy.
 */
export const agentUnitName = "agent";
export const loadBalancerUnitName = "load-balancer";
export const virtualAddressUnitName = "keepalived";
export const relayUnitName = "relay";
export const workerUnitName = "worker";
/** On masters and workers of a cluster with Kubernetes; nothing of it runs. */
export const kubeadmUnitName = "kubeadm";

/** Where apply puts certificates inside a unit's directory. */
export const tlsPaths = {
  authority: "tls/ca.crt",
  certificate: "tls/tls.crt",
  key: "tls/tls.key",
  /** Certificate and key in one file, as HAProxy requires. */
  bundle: "tls/tls.pem",
} as const;

/** The same for a member with a separate certificate for its peers. */
export const peerTlsPaths = {
  authority: "tls/peer-ca.crt",
  certificate: "tls/peer.crt",
  key: "tls/peer.key",
} as const;
