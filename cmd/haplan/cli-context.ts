/** The context that every command gets. */

import type { ProbeWrites } from "../../src/apply/ports.ts";
import type { Clock } from "../../src/base/clock.ts";
import type { AskPresented, ConnectControlPlane, MembersRequest } from "../../src/control-plane/control-plane.ts";
import type { WatcherLease, WatcherLeaseOptions } from "../../src/control-plane/watcher-lease.ts";
import type { WorkerReport } from "../../src/control-plane/worker-reports.ts";
import type { AdoptedAuthorityOptions } from "../../src/pki/adopted-authority.ts";
import type { AuthorityOptions } from "../../src/pki/authority.ts";
import type { Authority } from "../../src/pki/authority-port.ts";
import type { OperatorAuthorityOptions } from "../../src/pki/operator-authority.ts";
import type { LoadBalancer } from "../../src/providers/load-balancer.ts";
import type { Provider } from "../../src/providers/provider.ts";
import type { ProviderOptions } from "../../src/providers/provider-options.ts";
import type { AskHost } from "../../src/providers/spec-draft.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import type { Environment } from "../../src/state/sealed-text.ts";
import type { DebugLog } from "./debug-log.ts";
import type { Invocation } from "./invocation.ts";
import type { Reporter } from "./reporter.ts";
import type { ForeignExitCode, RunInTerminal } from "./run-in-terminal.ts";
import type { StopRequests } from "./stop-requests.ts";
import type { Terminal } from "./terminal.ts";

/** Functions that open everything with side effects: processes, files, network. */
export type Dependencies = {
  readonly openProvider: (options: ProviderOptions) => Promise<Provider>;
  readonly openLoadBalancer: (spec: ClusterSpec, provider: Provider, clock: Clock) => LoadBalancer;
  readonly openAuthority: (options: AuthorityOptions) => Authority;
  readonly openOperatorAuthority: (options: OperatorAuthorityOptions) => Authority;
  readonly openAdoptedAuthority: (options: AdoptedAuthorityOptions) => Authority;
  readonly connect: ConnectControlPlane;
  readonly probeWrites: ProbeWrites;
  readonly askPresented: AskPresented;
  readonly runInTerminal: RunInTerminal;
  readonly askHost: AskHost;
  /** The program that applies in the copies of a rehearsal; null: haplan's own. */
  readonly rehearsedProgram: string | null;
  readonly openWatcherLease: (request: MembersRequest, options: WatcherLeaseOptions) => WatcherLease;
  /** Reads the reports of workers through the load balancer. @throws if no member answers within `timeoutMs` */
  readonly readWorkerReports: (request: MembersRequest, timeoutMs: number) => Promise<readonly WorkerReport[]>;
};

/** What haplan gets from its process; `run-haplan.ts` derives a context from it. */
export type RunEnvironment = Omit<CliContext, "invocation" | "reporter" | "variables" | "log" | "atEnd">;

export type CliContext = {
  /** The working directory: state is kept below it, and relative paths are resolved against it. */
  readonly cwd: string;
  readonly terminal: Terminal;
  /** The command line, and the source of commands that haplan prints. */
  readonly invocation: Invocation;
  readonly reporter: Reporter;
  /** The log of HAPLAN_LOG. */
  readonly log: DebugLog;
  readonly clock: Clock;
  /** Loads the dependencies; only commands that observe a cluster wait for this. */
  readonly loadDependencies: () => Promise<Dependencies>;
  /** Environment variables: variables of specs, and passphrases. */
  readonly environment: Environment;
  /** Variables given with `-var`; they override the environment. */
  readonly variables: Environment;
  /** haplan's own version. */
  readonly version: string;
  /** Requests to stop this run. */
  readonly stop: StopRequests;
  /** Registers a function that closes a resource when the run ends; the last one runs first. */
  readonly atEnd: (close: () => Promise<void>) => void;
};

/**
 * 0 success, 1 failure, 2 success with changes (`-detailed-exitcode`) or no fault was tried (`rehearse`), 3 not formatted
 * (`fmt -check`) or a fault was not held (`rehearse`, `drill`), 4 no quorum (`status`), 5 the budget for write gaps was spent (`apply -max-write-gap`).
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | ForeignExitCode;
