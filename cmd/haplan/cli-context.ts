/** What every command is given, and how a command says no. */

import type { ProbeWrites } from "../../src/apply/ports.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { AskPresented, ConnectControlPlane, MembersRequest } from "../../src/control-plane/control-plane.ts";
import type { WorkerReport } from "../../src/control-plane/worker-reports.ts";
import type { AdoptedAuthorityOptions } from "../../src/pki/adopted-authority.ts";
import type { AuthorityOptions } from "../../src/pki/authority.ts";
import type { Authority } from "../../src/pki/authority-port.ts";
import type { ProviderOptions } from "../../src/providers/open-provider.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import type { DebugLog } from "./debug-log.ts";
import type { Invocation } from "./invocation.ts";
import type { Reporter } from "./reporter.ts";
import type { StopRequests } from "./stop-requests.ts";
import type { Terminal } from "./terminal.ts";

/** The rooms that touch the world, as functions that open them. */
export type Rooms = {
  readonly openProvider: (options: ProviderOptions) => Promise<Provider>;
  readonly openAuthority: (options: AuthorityOptions) => Authority;
  readonly openAdoptedAuthority: (options: AdoptedAuthorityOptions) => Authority;
  readonly connect: ConnectControlPlane;
  readonly probeWrites: ProbeWrites;
  readonly askPresented: AskPresented;
  /** What workers report through the load balancer. @throws when nobody answers within `timeoutMs` */
  readonly readWorkerReports: (request: MembersRequest, timeoutMs: number) => Promise<readonly WorkerReport[]>;
};

/** Where haplan runs; `run-haplan.ts` makes a context of it. */
export type Surroundings = Omit<CliContext, "invocation" | "reporter" | "variables" | "log" | "atEnd">;

export type CliContext = {
  /** Where haplan was started: state lives below it, and relative paths are relative to it. */
  readonly cwd: string;
  readonly terminal: Terminal;
  /** How haplan was called, and the lines that it prints to be run. */
  readonly invocation: Invocation;
  readonly reporter: Reporter;
  /** What HAPLAN_LOG asks for. */
  readonly log: DebugLog;
  readonly clock: Clock;
  /** Loads the rooms: only commands that look at a cluster wait for them. */
  readonly openRooms: () => Promise<Rooms>;
  /** Environment variables: for what specs refer to, and passphrases. */
  readonly environment: Environment;
  /** What was given with `-var`; counts more than the environment. */
  readonly variables: Environment;
  /** haplan's own version. */
  readonly version: string;
  /** What asks this run to stop. */
  readonly stop: StopRequests;
  /** What is opened during the run is closed when it ends, the last first. */
  readonly atEnd: (close: () => Promise<void>) => void;
};

/**
 * 0 done, 1 failed, 2 done and there is something to see (`-detailed-exitcode`), 3 not in form (`fmt -check`), 4 no
 * quorum (`status`).
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;
