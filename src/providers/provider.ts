/**
 * The port between haplan and machines, whatever they are: a directory with processes on this machine, a host over ssh,
 * an instance in a cloud. A machine is a place where files can be put and units can run; agents, load balancers and
 * workers are units. Every call is idempotent: doing it again after a crash adopts what is there.
 *
 * Every call takes a signal. When it is aborted, a call that waits for a machine rejects. Its effect may be there or not; the
 * next run repeats the call.
 */
import type { Diagnostic, Severity } from "../base/diagnostic.ts";
import type { ChangingRun } from "../host/changing-run.ts";
import type { HostFacts } from "../host/host-facts.ts";
import type { LabeledObject, ObservedMachine, ObservedOrphan, UnreachableMachine } from "../plan/observed-cluster.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import type { Attributes } from "../plan/resource.ts";
import type { StateResource } from "../plan/state.ts";
import type { HostTask, TaskReport } from "../units/host-task.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import type { LoadBalancer } from "./load-balancer.ts";
import type { LogEvent, LogRequest } from "./log-entry.ts";
import type { CallLimits } from "./machine-calls.ts";
import type { ExportDataRequest, ReadDataRequest, RestoreDataRequest } from "./restore-data.ts";

export type MachineIdentity = {
  readonly name: string;
  readonly address: string;
  readonly zone: string | null;
  /** Label of the machine, so that it can be found again if the state is lost. */
  readonly lineage: string;
  readonly generation: number;
};

export type NewMachine = Omit<MachineIdentity, "address"> & {
  /** Null if the provider chooses it: `createMachine` then returns it as `address`. */
  readonly address: string | null;
  /** The attributes from the pure half; absent if there are none. */
  readonly attributes?: Attributes;
  /** Generation of a machine of the same name that exists until this one has replaced it. */
  readonly beside?: number;
};

export type MachineChange = {
  /** Those of the pure half that it is to have. */
  readonly attributes: Attributes;
  /** Whether the plan has stopped the agent, so that another machine may take the place of this one, with its data. */
  readonly agentStopped: boolean;
};

/** A name alone is the newest machine of that name: while a master moves there are two. */
export type MachineRef = string | { readonly name: string; readonly generation: number };

/** The result of observing. A machine in neither list does not exist. */
export type FoundMachines = {
  readonly machines: readonly ObservedMachine[];
  /** Unreachable: a host that does not answer is not a host that is gone. */
  readonly unreachable: readonly UnreachableMachine[];
  /** What has the cluster's name in a cloud, of whichever cluster; absent where names are not looked for. */
  readonly labeled?: readonly LabeledObject[];
  /** What differs from the spec and stays so, for plans to show; absent if there is nothing. */
  readonly warnings?: readonly Diagnostic[];
};

/** The space needed on a machine's disk. */
export type MachineSpace = {
  readonly machine: string;
  readonly bytes: number;
  /** A machine of the same name is removed before, with its data. */
  readonly replaces?: true;
};

/** A unit, and the name of the machine that it is to run on. */
export type MachineUnit = { readonly machine: string; readonly unit: UnitDefinition };

export type PreflightRequest = {
  readonly machines: readonly MachineIdentity[];
  readonly units: readonly MachineUnit[];
  /** Names of machines that are changed, and are there already; absent if there are none. */
  readonly changed?: readonly string[];
  readonly space: readonly MachineSpace[];
  /** Connections to try. */
  readonly network: readonly NetworkPath[];
  /**
   * How old the certificates are that the machines get: on a clock that is behind by more, they are not valid yet. Null: old
   * enough for any clock, or there are none.
   */
  readonly certificateAgeMs: number | null;
  /** Absent if there is none. */
  readonly virtualAddress?: VirtualAddress;
};

/** What a plan removes. */
export type RemovalRequest = {
  readonly lineage: string;
  /** Names of machines that are removed, or that the provider puts another one in place of. */
  readonly machines: readonly string[];
  readonly loadBalancer: boolean;
};

/** An address that machines of the load balancer share, and that no other machine may have. */
export type VirtualAddress = {
  readonly address: string;
  /** A port at which it is served. */
  readonly port: number;
  /** Those of the load balancers that there are, and of those that there will be. */
  readonly machines: readonly string[];
};

/** A connection that the cluster needs. */
export type NetworkPath = {
  /** The machine that connects; null: the one that runs haplan. */
  readonly from: string | null;
  /** The machine that listens. */
  readonly to: string;
  readonly address: string;
  readonly port: number;
  /** An error where the cluster does not work without it. */
  readonly severity: Severity;
};

export type CheckedHost = {
  /** How the provider reaches it. */
  readonly host: string;
  readonly machines: readonly string[];
  readonly facts: HostFacts;
  /** How far its clock is ahead of the clock of this machine; null where that is the same, or was not measured. */
  readonly clockOffsetMs: number | null;
};

export type CheckReport = {
  /** Hosts that were reached. */
  readonly hosts: readonly CheckedHost[];
  /** What was checked besides hosts, each as a noun; absent if there is nothing. */
  readonly besides?: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
};

/** A command for a machine, as words: no shell changes them. */
export type ShellRequest = {
  /** Null: a login shell. */
  readonly command: readonly [program: string, ...given: readonly string[]] | null;
  /** Whether the command gets a terminal. */
  readonly tty: boolean;
};

/** What runs on haplan's own machine, with haplan's terminal, to run a command on another one. */
export type ShellProcess = {
  readonly file: string;
  readonly arguments: readonly string[];
  /** Null: haplan's own working directory. */
  readonly directory: string | null;
};

/** A machine whose creation was interrupted, and may have begun. */
export type BegunMachine = Pick<NewMachine, "name" | "generation" | "attributes">;

export type LeftoverRequest = {
  readonly begun: readonly BegunMachine[];
  /** On the hosts of the spec and of the state as well: the cluster ends. */
  readonly everywhere: boolean;
};

/** Why something could not be done on a host. */
export type HostFailure = { readonly host: string; readonly reason: string };

/**
 * A fault of a drill. `pause` and `stop` end by themselves after their time, and `restart` completes, whatever becomes of haplan and of
 * its connection to the machine. `resume` ends a pause or a stop early.
 */
export type UnitFault =
  | { readonly kind: "pause"; readonly forMs: number }
  | { readonly kind: "stop"; readonly forMs: number }
  | { readonly kind: "resume" }
  | { readonly kind: "restart" };

/** The spec leads to another place than the one that has the cluster, such as another region. */
export type OtherPlace = {
  /** The key of `provider` in the spec that says where. */
  readonly setting: string;
  readonly code: string;
  readonly summary: string;
  readonly detail: string;
};

/** A session with the machines of one cluster. */
export type Provider = {
  /** Its pure half. */
  readonly model: ProviderModel;
  /** The limits of its `MachineCalls`. */
  readonly limits: CallLimits;
  /** The load balancer that its cloud runs; absent where load balancers are units. */
  readonly cloudLoadBalancer?: LoadBalancer;
  /**
   * What a call waits for at present that acts on the machine or the load balancer of this name, for the progress of an apply;
   * null if it waits for nothing. Absent where no call waits.
   */
  waitsFor?(name: string): string | null;
  /**
   * Compares where the spec leads with where the state's resources are; null if that is the same, or not known. Called after `observe`, if the
   * plan observes at all. Absent where there is one place only.
   */
  otherPlace?(resources: readonly StateResource[], signal?: AbortSignal): Promise<OtherPlace | null>;
  /**
   * Says which cluster the calls that follow change; called before the first of them. Absent where no other cluster can have machines
   * of the same names.
   */
  claim?(lineage: string): void;
  /**
   * Finds all machines labeled with `lineage`, and any of `names` of any cluster. Never rejects because of a single
   * machine.
   */
  observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines>;
  /** Finds running units of this cluster whose machines no longer exist. */
  observeOrphans(signal?: AbortSignal): Promise<readonly ObservedOrphan[]>;
  /**
   * Checks before anything is changed what would fail: ports in use, unwritable directories, missing programs, full
   * disks, connections that are blocked. Changes nothing.
   */
  preflight(request: PreflightRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]>;
  /** Checks before anything is stopped what cannot be removed. Changes nothing. Absent: nothing of the provider is protected. */
  checkRemoval?(request: RemovalRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]>;
  /** Like `preflight`; returns in addition what it found out, and measures what takes longer. */
  check(request: PreflightRequest, signal?: AbortSignal): Promise<CheckReport>;
  /**
   * Creates it. Returns the attributes that are known after apply: those that the pure half lists as unknown.
   * @throws HaplanError `provider/machine-taken` when a machine of any other lineage or generation has the name.
   */
  createMachine(machine: NewMachine, signal?: AbortSignal): Promise<Attributes>;
  /**
   * Changes an existing machine to have the attributes. Returns attributes that are known after apply. Ends nothing that runs, and
   * removes no machine, unless the agent is stopped for it.
   */
  updateMachine(machine: MachineRef, change: MachineChange, signal?: AbortSignal): Promise<Attributes>;
  /** Renames all machines of the name `from` to `to`; their units keep running. No error if that is done already. */
  renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void>;
  /** Stops its units, also orphaned ones, and removes everything on it, data included. A name alone: all of that name. */
  destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void>;
  /**
   * Writes the unit's files and makes it run with exactly this definition. Does nothing if it already does; reloads it
   * if only files changed that it can reload; restarts it otherwise.
   * @throws HaplanError `provider/unit-exited` if it exits at once, with the last lines of its log.
   */
  startUnit(machine: MachineRef, unit: UnitDefinition, signal?: AbortSignal): Promise<{ readonly pid: number | null }>;
  /**
   * Names the version of haplan's programs that `startUnit` starts units with. Plans compare it, and a unit of another
   * version is restarted. Null if the provider does not distinguish versions.
   */
  artifact(signal?: AbortSignal): Promise<string | null>;
  /**
   * Brings a unit back that `startUnit` has given another version of haplan's programs: the former version, arguments and
   * files, running.
   * @throws HaplanError `provider/no-former-version` if there is none, or `provider/unit-exited` as `startUnit`
   */
  revertUnit(machine: MachineRef, unit: string, signal?: AbortSignal): Promise<{ readonly pid: number | null }>;
  /** SIGTERM (a leader transfers leadership first), then SIGKILL after `graceMs`. No error if it is not running. */
  stopUnit(machine: MachineRef, unit: string, graceMs: number, signal?: AbortSignal): Promise<void>;
  /**
   * Replaces the data of the machine's member by that of a snapshot; its agent does not run. The data that it replaces is
   * kept on the machine until the next restore.
   * @throws HaplanError `provider/restore-failed`; the present data is untouched then
   */
  restoreData(machine: MachineRef, request: RestoreDataRequest, signal?: AbortSignal): Promise<void>;
  /**
   * What a program prints about the data of the machine's member, which may run. Changes nothing.
   * @throws HaplanError `provider/data-unreadable` with what the program said
   */
  readData(machine: MachineRef, request: ReadDataRequest, signal?: AbortSignal): Promise<string>;
  /**
   * Has a program write all that the machine's member has to a file on the machine that runs haplan; the agent does not run. The
   * file is complete, or not there. The member's data stays as it is.
   * @throws HaplanError `provider/data-unreadable` with what the program said
   */
  exportData(machine: MachineRef, request: ExportDataRequest, signal?: AbortSignal): Promise<void>;
  /**
   * Does a fault of a drill to a unit that runs. Returns once it has begun: its process is paused, or has ended. A second one does
   * nothing while one is under way. A request to stop does not end the call, which may be the way back.
   * @throws HaplanError `provider/not-running`, or `provider/pause-too-long` where a watchdog would end the process
   */
  disturbUnit(machine: MachineRef, unit: string, fault: UnitFault): Promise<void>;
  /** Stops the unit and removes its files. */
  removeUnit(machine: MachineRef, unit: string, signal?: AbortSignal): Promise<void>;
  /** The last lines of the unit's log, for error messages. */
  unitLog(machine: MachineRef, unit: string, lines: number, signal?: AbortSignal): Promise<string>;
  /**
   * The logs of the machine's units, in the order of time. It has no time limit: it ends when the signal is aborted, or
   * without `follow` after what was logged before the call.
   * @throws HaplanError `provider/no-machine` if there is no such machine
   */
  logs(machine: MachineRef, request: LogRequest, signal: AbortSignal): AsyncIterable<LogEvent>;
  /**
   * The process that runs a command on the machine and ends with its exit code. It needs this session for as long as it runs.
   * @throws HaplanError `provider/no-machine`, or `provider/no-login` where there is nothing to log in to
   */
  shell(machine: MachineRef, request: ShellRequest): Promise<ShellProcess>;
  /** A file in a unit's directory, including those that the unit wrote; null if it does not exist. */
  readUnitFile(machine: MachineRef, unit: string, path: string, signal?: AbortSignal): Promise<string | null>;
  /**
   * What a unit answers to a line on a UNIX socket in the directory that it runs in; null if it does not run, or nothing listens
   * there.
   */
  askUnit(
    machine: MachineRef,
    unit: string,
    socket: string,
    question: string,
    signal?: AbortSignal,
  ): Promise<string | null>;
  /**
   * Whether the process of an agent's unit answers a connection that the machine itself makes to the client port at which it was
   * started, whatever is between the machine and haplan; `url` counts where that port is not known. A process that hangs accepts connections,
   * and says nothing.
   */
  answersLocally(machine: MachineRef, unit: string, url: string, signal?: AbortSignal): Promise<boolean>;
  /** Runs a short command to its end. @throws HaplanError `provider/task-failed` with what it wrote to standard error */
  runTask(machine: MachineRef, unit: string, task: HostTask, signal?: AbortSignal): Promise<string>;
  /**
   * Starts a long command, which goes on without haplan. Does nothing if it is running, or done. @throws HaplanError
   * `provider/no-tasks` on machines that are no hosts of their own
   */
  startTask(machine: MachineRef, unit: string, task: HostTask, signal?: AbortSignal): Promise<void>;
  /** What has become of a task that was started. */
  taskReport(machine: MachineRef, unit: string, task: HostTask, signal?: AbortSignal): Promise<TaskReport>;
  /**
   * Locks the cluster for a run that changes it, before it observes: on each host that is reached, and on each one that is reached
   * later. A host's lock ends with the session, so `close` releases all. Hosts that do not answer are left out.
   * @throws HaplanError `lock/held`, which names the run that has it
   */
  lock(run: ChangingRun, options: { readonly timeoutMs: number }, signal?: AbortSignal): Promise<void>;
  /**
   * Installs haplan's own programs again on hosts that have lost them, where the cluster has machines. Returns the names of those
   * hosts. `observe` reports hosts that do not answer.
   */
  reinstall(signal?: AbortSignal): Promise<readonly string[]>;
  /**
   * Brings haplan's programs to machines that exist and whose units are to run with them, so that no later call has to send anything.
   * Returns the hosts where that failed: what runs there is untouched.
   */
  prepare(machines: readonly string[], signal?: AbortSignal): Promise<readonly HostFailure[]>;
  /**
   * Removes what is left on hosts that have no machine of the cluster: parts of uploads, programs, packages. What another cluster
   * needs stays. Returns the hosts where that failed.
   */
  removeLeftovers(request: LeftoverRequest, signal?: AbortSignal): Promise<readonly HostFailure[]>;
  /** Closes connections. Nothing changes on the machines. No call may follow. */
  close(): Promise<void>;
};
