/** The calls that a host answers, with what they take and return. */
import type { MachineRef, NewMachine, PreflightRequest, Provider, UnitFault } from "../providers/provider.ts";
import type { ExportDataRequest, ReadDataRequest, RestoreDataRequest } from "../providers/restore-data.ts";
import type { HostTask } from "../units/host-task.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import type { ChangingRun } from "./changing-run.ts";
import type { HostIdentity } from "./host-facts.ts";

/** What a host does: the provider's calls for its own machines, and `facts`, which other versions answer with more. */
export type HostCalls = Pick<
  Provider,
  | "observe"
  | "observeOrphans"
  | "preflight"
  | "createMachine"
  | "renameMachine"
  | "destroyMachine"
  | "startUnit"
  | "revertUnit"
  | "stopUnit"
  | "disturbUnit"
  | "restoreData"
  | "readData"
  | "exportData"
  | "removeUnit"
  | "unitLog"
  | "readUnitFile"
  | "askUnit"
  | "answersLocally"
  | "runTask"
  | "startTask"
  | "taskReport"
> & {
  /** Installs programs that are missing with the host's package manager, for a machine; `destroyMachine` removes them again. */
  installPackages(machine: string, programs: readonly string[], signal?: AbortSignal): Promise<void>;
  facts(signal?: AbortSignal): Promise<HostIdentity>;
  /**
   * Takes the lock of the cluster on this host for a run, for as long as the session lasts, or renews it. Null if the run has it, else
   * the run that does.
   */
  lock(run: ChangingRun, signal?: AbortSignal): Promise<ChangingRun | null>;
};

export type HostCallName = keyof HostCalls;

export type HostArguments = {
  readonly facts: readonly [];
  readonly lock: readonly [run: ChangingRun];
  readonly observe: readonly [lineage: string | null, names: readonly string[]];
  readonly observeOrphans: readonly [];
  readonly preflight: readonly [request: PreflightRequest];
  readonly installPackages: readonly [machine: string, programs: readonly string[]];
  readonly createMachine: readonly [machine: NewMachine];
  readonly renameMachine: readonly [from: string, to: string];
  readonly destroyMachine: readonly [machine: MachineRef];
  readonly startUnit: readonly [machine: MachineRef, unit: UnitDefinition];
  readonly revertUnit: readonly [machine: MachineRef, unit: string];
  readonly stopUnit: readonly [machine: MachineRef, unit: string, graceMs: number];
  readonly disturbUnit: readonly [machine: MachineRef, unit: string, fault: UnitFault];
  readonly restoreData: readonly [machine: MachineRef, request: RestoreDataRequest];
  readonly readData: readonly [machine: MachineRef, request: ReadDataRequest];
  readonly exportData: readonly [machine: MachineRef, request: ExportDataRequest];
  readonly removeUnit: readonly [machine: MachineRef, unit: string];
  readonly unitLog: readonly [machine: MachineRef, unit: string, lines: number];
  readonly readUnitFile: readonly [machine: MachineRef, unit: string, path: string];
  readonly askUnit: readonly [machine: MachineRef, unit: string, socket: string, question: string];
  readonly answersLocally: readonly [machine: MachineRef, unit: string, url: string];
  readonly runTask: readonly [machine: MachineRef, unit: string, task: HostTask];
  readonly startTask: readonly [machine: MachineRef, unit: string, task: HostTask];
  readonly taskReport: readonly [machine: MachineRef, unit: string, task: HostTask];
};

export type HostResults = { readonly [Call in HostCallName]: Awaited<ReturnType<HostCalls[Call]>> };

export type HostRequest<Call extends HostCallName = HostCallName> = {
  readonly [Each in Call]: { readonly id: number; readonly call: Each; readonly arguments: HostArguments[Each] };
}[Call];
