/**
 * The port between haplan and machines, whatever they are: a directory with processes on this machine, a host over ssh,
 * an instance in a cloud. A machine is a place where files can be put and units can run; agents, load balancers and
 * workers are units. Every call is idempotent: doing it again after a crash adopts what is there.
 *
 * Every call takes a signal. When it is aborted, a call that waits for a machine rejects. Its effect may be there or not; the
 * next run repeats the call.
 */
import type { Diagnostic } from "../base/diagnostic.ts";
import type { ObservedMachine, ObservedOrphan, UnreachableMachine } from "../plan/observed-cluster.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import type { Attributes } from "../plan/resource.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import type { CallLimits } from "./machine-calls.ts";

export type MachineIdentity = {
  readonly name: string;
  readonly address: string;
  readonly zone: string | null;
  /** Label put on the machine, so that it can be found again when the state is lost. */
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

/** A name alone is the newest machine of that name: while a master moves there are two. */
export type MachineRef = string | { readonly name: string; readonly generation: number };

/** What a provider found. A machine in neither list is not there. */
export type FoundMachines = {
  readonly machines: readonly ObservedMachine[];
  /** Could not be looked at: a host that does not answer is not a host that is gone. */
  readonly unreachable: readonly UnreachableMachine[];
};

/** What will be put on a machine's disk. */
export type MachineSpace = { readonly machine: string; readonly bytes: number };

export type PreflightRequest = {
  readonly machines: readonly MachineIdentity[];
  readonly units: readonly UnitDefinition[];
  readonly space: readonly MachineSpace[];
};

/** A session with the machines of one cluster. */
export type Provider = {
  /** Its pure half. */
  readonly model: ProviderModel;
  /** The limits of its `MachineCalls`. */
  readonly limits: CallLimits;
  /** Finds all machines that carry `lineage`, and any of `names` whoever they belong to. Rejects for no single machine. */
  observe(lineage: string | null, names: readonly string[], signal?: AbortSignal): Promise<FoundMachines>;
  /** Finds what still runs of machines of this cluster that are not there any more. */
  observeOrphans(signal?: AbortSignal): Promise<readonly ObservedOrphan[]>;
  /**
   * Says before anything is changed what would go wrong: ports taken, directories that cannot be written, programs
   * missing, disks without room.
   */
  preflight(request: PreflightRequest, signal?: AbortSignal): Promise<readonly Diagnostic[]>;
  /**
   * Creates it. Returns the attributes that are known after apply: those that the pure half lists as unknown.
   * @throws HaplanError `provider/machine-taken` when a machine of any other lineage or generation has the name.
   */
  createMachine(machine: NewMachine, signal?: AbortSignal): Promise<Attributes>;
  /** Changes an existing machine in place to have `attributes`. Returns attributes that are known after apply. */
  updateMachine(machine: MachineRef, attributes: Attributes, signal?: AbortSignal): Promise<Attributes>;
  /** Gives all machines of the name `from` the name `to`; what runs on them goes on. No error when that is done already. */
  renameMachine(from: string, to: string, signal?: AbortSignal): Promise<void>;
  /** Stops its units, also orphaned ones, and removes everything on it, data included. A name alone: all of that name. */
  destroyMachine(machine: MachineRef, signal?: AbortSignal): Promise<void>;
  /**
   * Writes the unit's files and makes it run with exactly this definition. Does nothing when it already does; reloads
   * it when only files changed that it can reload; restarts it otherwise.
   * @throws HaplanError `provider/unit-exited` when it ends at once, with the last lines of its log.
   */
  startUnit(machine: MachineRef, unit: UnitDefinition, signal?: AbortSignal): Promise<{ readonly pid: number | null }>;
  /** SIGTERM (a leader hands over first), then SIGKILL after `graceMs`. No error when it is not running. */
  stopUnit(machine: MachineRef, unit: string, graceMs: number, signal?: AbortSignal): Promise<void>;
  /** Stops the unit and removes its files. */
  removeUnit(machine: MachineRef, unit: string, signal?: AbortSignal): Promise<void>;
  /** The last lines of the unit's log, for error messages. */
  unitLog(machine: MachineRef, unit: string, lines: number, signal?: AbortSignal): Promise<string>;
  /** A file in a unit's directory, also one that the unit wrote itself; null when it is not there. */
  readUnitFile(machine: MachineRef, unit: string, path: string, signal?: AbortSignal): Promise<string | null>;
  /** Closes connections. Nothing changes on the machines. No call may follow. */
  close(): Promise<void>;
};
