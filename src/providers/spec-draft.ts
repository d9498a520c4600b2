/** What `haplan init` writes into a new spec, as a provider drafts it. */

import type { Clock } from "../base/clock.ts";
import type { Diagnostic } from "../base/diagnostic.ts";

export type DraftHost = {
  readonly name: string;
  readonly address: string;
  /** How haplan reaches it, as far as that differs from what the provider's settings say; empty if it does not. */
  readonly ssh: { readonly [key: string]: string | number };
  /** What is known of it, for a comment; empty if nothing is. */
  readonly note: string;
};

export type DraftMachines = {
  /** The lines of `spec.provider`, with comments. */
  readonly provider: readonly string[];
  readonly masters: readonly DraftHost[];
  readonly workers: readonly DraftHost[];
  /** Null where the cloud has it, and nothing is written of it. */
  readonly loadBalancer: DraftLoadBalancer | null;
  /** What to run next: `check` where hosts and their network may lack what a cluster needs. */
  readonly nextCommand: "check" | "plan";
  /** The address of a worker, for a comment. */
  readonly workerExample: string;
};

export type DraftLoadBalancer = Pick<DraftHost, "address" | "ssh"> & {
  readonly port: number;
  readonly notes: readonly string[];
  /** The virtual address of several hosts, instead of `address`; null if there is one host. */
  readonly shared: { readonly vip: string; readonly hosts: readonly DraftHost[] } | null;
};

/** How a host is reached: null leaves it to ssh's own configuration. */
export type HostReach = {
  readonly host: string;
  readonly user: string | null;
  readonly port: number | null;
  readonly identityFile: string | null;
  readonly jump: string | null;
  readonly options: readonly string[];
};

export type SurveyedHost = {
  readonly hostname: string;
  /** `Debian GNU/Linux 12 (bookworm)`. */
  readonly os: string;
  /** As `uname -m` says it. */
  readonly architecture: string;
  /** Null where the host does not run systemd. */
  readonly systemdVersion: number | null;
  readonly memoryBytes: number;
  /** IP addresses, without those that only the host itself or its link knows; the one of the default route first. */
  readonly addresses: readonly string[];
  /** Whether the user is root or becomes it without being asked. */
  readonly becomesRoot: boolean;
  /** What answers at the address that was asked about; null if nothing does, or that was not asked. */
  readonly holder: string | null;
};

/**
 * Asks a host what it is, without anything of haplan on it, and which machine has the address `sought`, unless that is null.
 * @throws HaplanError when it was not reached
 */
export type AskHost = (reach: HostReach, sought: string | null, signal: AbortSignal) => Promise<SurveyedHost>;

export type DraftRequest = {
  /** Masters that run already, and are adopted. */
  readonly members: readonly DraftHost[];
  /** The provider by its type; null leaves it to what else is said. */
  readonly provider: string | null;
  /** Hosts as they were written, with commas between; null if none were. */
  readonly hosts: string | null;
  readonly workers: string | null;
  readonly loadBalancer: string | null;
  /** The virtual address of several load balancers. */
  readonly vip: string | null;
  readonly reach: Pick<HostReach, "identityFile" | "jump" | "options">;
  /** Throws for machines that no spec may have, before any of them is asked. */
  readonly check: (machines: DraftMachines) => void;
  readonly askHost: AskHost;
  readonly warn: (warnings: readonly Diagnostic[]) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** The code of the warning of a host that was not reached: what is written of it was guessed. */
export const unreachedHost = "init/unreached";

/** Null for a request that is for another provider. @throws HaplanError `init/...` */
export type DraftProvider = (request: DraftRequest) => Promise<DraftMachines | null>;

/** The client port of members, and of a load balancer with a host of its own. */
export const draftPort = 2379;
