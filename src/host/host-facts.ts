/** What a host is, as far as checks and errors need to know. */

/** What the program on a host says of it. */
export type HostIdentity = {
  readonly hostname: string;
  /** Of machine-id(5); null where there is none. */
  readonly machineId: string | null;
};

/** A TCP port that a process of the host listens on. */
export type ListeningPort = {
  /** Null for all addresses. */
  readonly address: string | null;
  readonly port: number;
  /** Null where it cannot be told, as without root. */
  readonly process: ListeningProcess | null;
};

export type ListeningProcess = {
  readonly pid: number;
  readonly name: string;
  /** Its systemd unit, without `.service`. */
  readonly unit: string | null;
};

/** A unit of systemd that haplan made, of any cluster. */
export type FoundUnit = {
  /** Without `.service`. */
  readonly name: string;
  /** The unit's directory on the host, below that of its cluster. */
  readonly directory: string;
};

/** An address that a keepalived of the host has in its configuration, of any cluster or of none. */
export type ConfiguredAddress = {
  /** IPv6 in its shortest form. */
  readonly address: string;
  /** The path of the configuration. */
  readonly file: string;
};

/** The file system that a directory is on, or will be. */
export type DiskSpace = { readonly mountPoint: string; readonly freeBytes: number };

/** A path outside of haplan's directories that a unit uses. */
export type HostPath = {
  readonly path: string;
  readonly kind: "directory" | "file" | "missing";
  /** Without links; where nothing is there, the nearest parent that is. */
  readonly resolved: string;
  /** Owner of `resolved`; `ownerName` is null where no user has the id. */
  readonly ownerId: number | null;
  readonly ownerName: string | null;
  /** Whether the file system of `resolved` can be written to. */
  readonly isWritable: boolean;
  /** Of `r`, `w` and `x` those that the user of units has at `resolved`; null where that could not be tried. */
  readonly rights: string | null;
};

/** Everything that the checks of hosts need. Null: not known, because the host does not have it or did not say. */
export type HostFacts = HostIdentity & {
  /** `Linux`. */
  readonly system: string;
  readonly kernel: string;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly os: string | null;
  /** As uname(1) names it: `x86_64`, `aarch64`. */
  readonly architecture: string;
  /** `2.36`; null without glibc. */
  readonly glibc: string | null;
  readonly systemdVersion: number | null;
  /** sd_booted(3): systemd may be installed where another init runs. */
  readonly isSystemdRunning: boolean;
  readonly cgroupVersion: 1 | 2 | null;
  readonly memoryBytes: number | null;
  /** Differs between two hosts that are copies of each other, unlike the machine-id. */
  readonly bootId: string | null;
  /** Whether the facts were gathered as root. */
  readonly isRoot: boolean;
  /** Those of the programs asked for that the host has. */
  readonly programs: readonly string[];
  /** Where the data of machines is. */
  readonly dataDisk: DiskSpace | null;
  /** Where haplan's programs are. */
  readonly programsDisk: DiskSpace | null;
  /** Whether haplan's programs are there. */
  readonly isInstalled: boolean;
  /** What the data takes up of machines that are removed before others take their places. */
  readonly replacedBytes: number;
  /** The user that units run as; null before haplan has made it. */
  readonly unitUserId: number | null;
  readonly paths: readonly HostPath[];
  /** IPv6 addresses in their shortest form. */
  readonly addresses: readonly string[];
  /** Its addresses with the lengths of their networks' prefixes, as 10.0.0.11/24; empty where that cannot be told. */
  readonly networks: readonly string[];
  /** MAC addresses of its interfaces, in lower case; empty where that cannot be told. */
  readonly macs: readonly string[];
  readonly units: readonly FoundUnit[];
  readonly listening: readonly ListeningPort[];
  readonly virtualAddresses: readonly ConfiguredAddress[];
  /** How long each write took until it was on the disk of the data; empty if that was not measured. */
  readonly writeMs: readonly number[];
};
