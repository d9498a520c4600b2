/** `haplan state list|show|mv|rm|pull|push`: inspects the state and repairs it by hand. */
import { errorText } from "../../../src/base/haplan-error.ts";
import type { State } from "../../../src/plan/state.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import {
  findResource,
  moveMaster,
  moveResource,
  removeResources,
  selectResources,
} from "../../../src/state/edit-resources.ts";
import { sealedContent, unseal } from "../../../src/state/sealed-text.ts";
import { parseState, renderState as renderStateText } from "../../../src/state/state-document.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type LockFlags, withLock } from "../lock-state.ts";
import { type ClusterChoice, openCluster } from "../open-cluster.ts";
import { readText } from "../read-text.ts";
import { refuse } from "../refusal.ts";
import { type Session, sessionState, sessionStore } from "../session.ts";
import { specLabel } from "../spec-source.ts";
import { renderState } from "../views/state-view.ts";

type StateFlags = ClusterChoice;
type StateEditFlags = StateFlags & LockFlags & { readonly dryRun?: boolean };
type StatePushFlags = StateFlags & LockFlags & { readonly force?: boolean };

export async function runStateList(
  context: CliContext,
  filters: readonly string[],
  flags: StateFlags,
): Promise<ExitCode> {
  const { state } = await presentState(context, flags);
  const resources = selectResources(state, filters);
  if (resources.length > 0) context.terminal.print(resources.map(({ address }) => address).join("\n"));
  return 0;
}

export async function runStateShow(context: CliContext, address: string, flags: StateFlags): Promise<ExitCode> {
  const { state } = await presentState(context, flags);
  context.terminal.print(renderState([findResource(state, address)], context.terminal.paint));
  return 0;
}

export function runStateMv(context: CliContext, from: string, to: string, flags: StateEditFlags): Promise<ExitCode> {
  // A name without a type is a master, with all its resources in the state.
  const isMaster = !from.includes(".") && !to.includes(".");
  return editState(context, "state mv", flags, (state, { spec }) => ({
    after: isMaster ? moveMaster(state, from, to) : moveResource(state, from, to),
    messages: [
      `${flags.dryRun ? "Would move" : "Moved"} "${from}" to "${to}"`,
      ...(isMaster ? moveNotes(spec, from, to) : []),
    ],
  }));
}

/** Prints what remains to be done: the state alone does not rename a master. */
function moveNotes({ controlPlane }: ClusterSpec, from: string, to: string): readonly string[] {
  const next = "renames its machine and restarts its agent; data is kept.";
  if (controlPlane.masters.some(({ name }) => name === to)) return [`The next plan ${next}`];
  return [
    `The spec does not list ${to} yet. Replace \`name: ${from}\` with \`name: ${to}\` in it: then the next plan ${next}`,
    `With the current spec, a plan renames the master back to ${from}.`,
  ];
}

export function runStateRm(
  context: CliContext,
  addresses: readonly string[],
  flags: StateEditFlags,
): Promise<ExitCode> {
  return editState(context, "state rm", flags, (state) => ({
    after: removeResources(state, addresses),
    messages: addresses.map((address) => (flags.dryRun ? `Would remove ${address}` : `Removed ${address}`)),
  }));
}

/** Prints the state as stored, decrypted. */
export async function runStatePull(context: CliContext, flags: StateFlags): Promise<ExitCode> {
  const { state } = await presentState(context, flags);
  context.terminal.print(renderStateText(state).trimEnd());
  return 0;
}

/** Replaces the state with a file; without -force only with a later serial of the same lineage. */
export async function runStatePush(context: CliContext, path: string, flags: StatePushFlags): Promise<ExitCode> {
  const session = await openCluster(context, flags);
  const state = await readStateFile(context, path);
  if (state.clusterName !== session.spec.name) {
    throw refuse(
      "state/other-cluster",
      `${path} is the state of "${state.clusterName}", but the spec describes "${session.spec.name}"`,
      "Pass the matching spec with -spec. Nothing was changed.",
    );
  }
  await withLock(context, session, "state push", flags, (lock) => {
    const store = sessionStore(context, session, lock);
    return flags.force ? store.overwrite(state) : store.write(state);
  });
  context.terminal.print(`The state of ${state.clusterName} is now serial ${state.serial}.`);
  return 0;
}

async function editState(
  context: CliContext,
  operation: string,
  flags: StateEditFlags,
  edit: (state: State, session: Session) => { readonly after: State; readonly messages: readonly string[] },
): Promise<ExitCode> {
  const { terminal } = context;
  if (flags.dryRun) {
    const { session, state } = await presentState(context, flags);
    terminal.print(edit(state, session).messages.join("\n"));
    return 0;
  }
  const session = await openCluster(context, flags);
  return withLock<ExitCode>(context, session, operation, flags, async (lock) => {
    const store = sessionStore(context, session, lock);
    const before = (await store.read()) ?? noState(session);
    const { after, messages } = edit(before, session);
    await store.write({ ...after, serial: before.serial + 1, haplanVersion: context.version });
    terminal.print(messages.join("\n"));
    return 0;
  });
}

async function presentState(
  context: CliContext,
  flags: StateFlags,
): Promise<{ readonly session: Session; readonly state: State }> {
  const session = await openCluster(context, flags);
  return { session, state: (await sessionState(context, session)) ?? noState(session) };
}

function noState(session: Session): never {
  throw refuse(
    "state/none",
    `There is no state of "${session.spec.name}" yet`,
    `haplan looked for it at ${session.backend.place}. To create it, run:`,
    [["apply"]],
  );
}

async function readStateFile(context: CliContext, path: string): Promise<State> {
  let text: string;
  try {
    // Windows PowerShell writes a byte order mark first.
    text = (await readText(context, path)).replace(/^\uFEFF/, "");
  } catch (error) {
    throw refuse("state/unreadable", `Cannot read ${path}`, errorText(error));
  }
  const opened = sealedContent(text) === null ? text : unseal(text, path, context.environment);
  return parseState(opened, path, { text: "Nothing was changed." }, `${specLabel(path)} is not a haplan state`);
}
