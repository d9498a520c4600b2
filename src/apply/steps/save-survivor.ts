/**
 * Saves the survivor of a lost quorum that has the most. All survivors are stopped by now, so this is the moment to make sure
 * that it does: until then an election, or a leader that had not noticed its loss, may have added entries.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { Survivor } from "../../plan/recover-request.ts";
import type { StepAction } from "../../plan/step.ts";
import { exportDataCommand, showDataCommand } from "../../units/data-command.ts";
import { type MemberData, parseMemberData } from "../../units/member-data.ts";
import type { StepOutputs } from "../state-edits.ts";
import type { StepContext } from "../step-context.ts";

/** The code of the error that makes the plan worthless: another one has to be made, and nothing is lost yet. */
export const survivorsChanged = "apply/survivors-changed";

export async function saveSurvivor(
  context: StepContext,
  action: StepAction & { readonly kind: "saveSurvivor" },
): Promise<StepOutputs> {
  const { plan, ports, signal } = context;
  const { member, survivors, snapshot } = action;
  context.detail("comparing the logs of the survivors");
  const read = await Promise.all(survivors.map((survivor) => readSurvivor(context, survivor)));
  const saved = read.find(({ survivor }) => survivor.master === member);
  if (saved === undefined || isBehind(saved.data, saved.survivor)) throw changed(`${member} has less than before`);
  const ahead = read.find(({ data }) => isBehind(saved.data, data));
  if (ahead !== undefined) throw changed(`${ahead.survivor.master} has more than ${member} by now`);
  context.detail("reading its data, and copying it");
  const id = plan.restore?.token ?? "";
  await ports.provider.exportData(member, { command: exportDataCommand(plan.spec), id, file: snapshot }, signal);
  const { revision, keys } = await ports.verifySnapshot(snapshot);
  context.detail(`${keys} keys, revision ${revision}`);
  return {};
}

type ReadSurvivor = { readonly survivor: Survivor; readonly data: MemberData };

async function readSurvivor({ ports, signal }: StepContext, survivor: Survivor): Promise<ReadSurvivor> {
  const { master, memberId } = survivor;
  const data = parseMemberData(await ports.provider.readData(master, { command: showDataCommand() }, signal));
  if (data === null || data.memberId !== memberId)
    throw changed(`${master} no longer has the data of member ${memberId}`);
  if (data.running)
    throw new HaplanError("apply/survivor-runs", `A process uses the data of ${master}: stop it, and try again`);
  if (data.damage !== null) throw changed(`the data of ${master} is damaged by now: ${data.damage}`);
  return { survivor, data };
}

type LogEnd = { readonly lastTerm: number; readonly lastIndex: number };

function isBehind(one: LogEnd, other: LogEnd): boolean {
  return one.lastTerm < other.lastTerm || (one.lastTerm === other.lastTerm && one.lastIndex < other.lastIndex);
}

function changed(why: string): HaplanError {
  return new HaplanError(
    survivorsChanged,
    `The survivors are not what the plan was made for: ${why}. Run haplan recover again: it compares them anew`,
  );
}
