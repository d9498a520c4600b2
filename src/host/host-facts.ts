/** What a host is, as it says itself: what checks and errors need to know of it. */
export type HostFacts = {
  readonly hostname: string;
  /** `linux`. */
  readonly platform: string;
  /** `Debian GNU/Linux 12 (bookworm)`; null where the system does not say. */
  readonly os: string | null;
  readonly kernel: string;
  /** `x64`, `arm64`, as Node.js names it. */
  readonly architecture: string;
  /** Null where systemd does not run as the init. */
  readonly systemdVersion: number | null;
  readonly isRoot: boolean;
  readonly memoryBytes: number;
  /** Free on the file system that holds, or will hold, the cluster's directory. */
  readonly freeDiskBytes: number;
  readonly machineId: string | null;
  /** Those that other machines may reach it at. */
  readonly addresses: readonly string[];
  /** The host's clock, in milliseconds since the epoch. */
  readonly timeMs: number;
};
