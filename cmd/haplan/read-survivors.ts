/** Reads the data of all masters over the provider: members without a quorum need not answer, and their disks do. */
import { errorText, HaplanError } from "../../src/base/haplan-error.ts";
import { isUnreachable, readClusterView } from "../../src/plan/cluster-view.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";
import type { FoundData } from "../../src/plan/recover-request.ts";
import type { Provider } from "../../src/providers/provider.ts";
import { showDataCommand } from "../../src/units/data-command.ts";
import { parseMemberData } from "../../src/units/member-data.ts";

/** Nothing is said of a machine that cannot be reached. */
export async function readSurvivors(
  { spec, state, observed }: PlannerInput,
  provider: Pick<Provider, "readData">,
  signal: AbortSignal,
): Promise<readonly FoundData[]> {
  const view = readClusterView(spec, state, observed);
  const reached = spec.controlPlane.masters.filter(
    ({ name, adoptedAt }) => adoptedAt === undefined && !isUnreachable(view, name),
  );
  return await Promise.all(
    reached.map(async ({ name: master }): Promise<FoundData> => {
      const machine = view.machines.get(master);
      if (machine === undefined) return { kind: "none", master };
      try {
        const { generation } = machine;
        const printed = await provider.readData({ name: master, generation }, { command: showDataCommand() }, signal);
        const data = parseMemberData(printed);
        return data === null ? { kind: "none", master } : { kind: "data", master, data };
      } catch (error) {
        // A disk that fails is a member that is lost; a call that failed says nothing of the disk.
        if (!(error instanceof HaplanError) || error.code !== "provider/data-unreadable") throw error;
        return { kind: "unreadable", master, reason: errorText(error) };
      }
    }),
  );
}
