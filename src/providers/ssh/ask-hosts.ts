/** Asks hosts over ssh what they are. */
import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText } from "../../base/haplan-error.ts";
import { MachineCalls } from "../machine-calls.ts";
import { type DraftRequest, unreachedHost } from "../spec-draft.ts";
import type { HostSurvey, SurveyedHosts } from "./draft-host.ts";
import type { HostArgument } from "./host-argument.ts";

type Three<Item> = readonly [masters: Item, workers: Item, loadBalancers: Item];
export type HostLists = Three<readonly HostArgument[]>;
export type SurveyedLists = Three<SurveyedHosts>;

const surveys = { machinesAtOnce: 10, callTimeoutMs: 30_000 };

/** Hosts that nothing is known of. */
export function unasked(lists: HostLists): SurveyedLists {
  return lists.map((hosts) => hosts.map((host) => ({ host, survey: null }))) as unknown as SurveyedLists;
}

/** Asks all hosts what they are; one that is not reached is named in a warning, and written all the same. */
export async function askHosts(
  { askHost, reach, warn, clock, signal }: DraftRequest,
  lists: HostLists,
): Promise<SurveyedLists> {
  const calls = new MachineCalls({ limits: surveys, clock, signal, log: () => undefined });
  const ask = async (host: HostArgument): Promise<HostSurvey> => {
    try {
      return await calls.run({ what: `ask ${host.host}`, signal }, (given) => askHost({ ...host, ...reach }, given));
    } catch (error) {
      return { unreached: errorText(error) };
    }
  };
  const asked = await Promise.all(
    lists.map((hosts) => Promise.all(hosts.map(async (host) => ({ host, survey: await ask(host) })))),
  );
  warn(asked.flat().flatMap(({ host, survey }) => warningOf(host, survey)));
  return asked as unknown as SurveyedLists;
}

function warningOf({ host }: HostArgument, survey: HostSurvey): readonly Diagnostic[] {
  const warn = (summary: string, detail: string, code: string = "init/host"): readonly Diagnostic[] => [
    { severity: "warning", code, summary, detail },
  ];
  if ("unreached" in survey) return warn(`The host ${host} was not reached`, survey.unreached, unreachedHost);
  if (survey.systemdVersion === null)
    return warn(`The host ${host} does not run systemd`, "haplan starts its programs as systemd units.");
  if (!survey.becomesRoot)
    return warn(
      `The user cannot become root on ${host}`,
      "haplan needs sudo without a password there, or to log in as root.",
    );
  return [];
}
