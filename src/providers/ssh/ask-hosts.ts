/** Asks hosts over ssh what they are. */

import type { Diagnostic } from "../../base/diagnostic.ts";
import { errorText } from "../../base/haplan-error.ts";
import { canonicalAddress } from "../../base/ip-address.ts";
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
  { askHost, reach, vip, warn, clock, signal }: DraftRequest,
  lists: HostLists,
): Promise<SurveyedLists> {
  const calls = new MachineCalls({ limits: surveys, clock, signal, log: () => undefined });
  const ask = async (host: HostArgument, sought: string | null): Promise<HostSurvey> => {
    const what = `ask ${host.host}`;
    try {
      return await calls.run({ what, signal }, (given) => askHost({ ...host, ...reach }, sought, given));
    } catch (error) {
      return { unreached: errorText(error) };
    }
  };
  const asked = await Promise.all(
    lists.map((hosts, list) =>
      // The load balancers are in the network of their address.
      Promise.all(hosts.map(async (host) => ({ host, survey: await ask(host, list === 2 ? vip : null) }))),
    ),
  );
  warn([...asked.flat().flatMap(({ host, survey }) => warningOf(host, survey)), ...warningsOfVip(vip, asked.flat())]);
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

function warningsOfVip(vip: string | null, asked: SurveyedHosts): readonly Diagnostic[] {
  if (vip === null) return [];
  const reached = asked.flatMap(({ host, survey }) =>
    survey === null || "unreached" in survey ? [] : [{ host: host.host, survey }],
  );
  const own = reached.find(({ survey }) => survey.addresses.includes(canonicalAddress(vip)));
  const holder = own?.host ?? reached.find(({ survey }) => survey.holder !== null)?.survey.holder;
  if (holder === undefined || holder === null) return [];
  const detail = "Write an address of their network that no machine has as loadBalancer.vip.";
  return [
    {
      severity: "warning",
      code: "init/vip-in-use",
      summary: `The virtual address ${vip} is in use by ${holder}`,
      detail,
    },
  ];
}
