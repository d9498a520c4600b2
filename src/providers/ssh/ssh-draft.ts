/** A new spec for hosts over ssh. */
import { HaplanError } from "../../base/haplan-error.ts";
import { yamlValue } from "../../spec/yaml-value.ts";
import {
  type DraftHost,
  type DraftLoadBalancer,
  type DraftMachines,
  type DraftProvider,
  type DraftRequest,
  draftPort,
} from "../spec-draft.ts";
import { askHosts, type SurveyedLists, unasked } from "./ask-hosts.ts";
import { draftHosts } from "./draft-host.ts";
import { type HostArgument, parseHosts } from "./host-argument.ts";

/** Of a load balancer beside a member of the same host. */
const sharedHostPort = 12_379;

export const draftSsh: DraftProvider = async (request) => {
  if (request.provider !== null && request.provider !== "ssh") return null;
  const { members } = request;
  const masters = parse("-hosts", request.hosts);
  const user = masters[0]?.user ?? null;
  const inherit = (hosts: readonly HostArgument[]): readonly HostArgument[] =>
    hosts.map((host) => ({ ...host, user: host.user ?? user }));
  const balancers = inherit(parse("-load-balancer", request.loadBalancer));
  assertVip(balancers.length, request.vip);
  const lists = [masters, inherit(parse("-workers", request.workers)), balancers] as const;
  const draft = ([ofMasters, ofWorkers, ofBalancers]: SurveyedLists): DraftMachines => {
    const taken = new Set(members.map(({ name }) => name));
    const machines = {
      masters: [...members, ...draftHosts(ofMasters, { prefix: "m", user, taken })],
      workers: draftHosts(ofWorkers, { prefix: "w", user, taken }),
    };
    const own = draftHosts(ofBalancers, { prefix: "lb", user, taken });
    return {
      provider: providerLines(user, request.reach),
      ...machines,
      loadBalancer: own.length === 0 ? besideOthers(machines, members) : ofItsOwn(own, request.vip),
      nextCommand: "check",
      workerExample: "10.0.0.11",
    };
  };
  // A mistake in their number is found before any host is asked.
  request.check(draft(unasked(lists)));
  return draft(await askHosts(request, lists));
};

function parse(flag: string, text: string | null): readonly HostArgument[] {
  return text === null ? [] : parseHosts(flag, text);
}

function providerLines(user: string | null, { identityFile, jump, options }: DraftRequest["reach"]): readonly string[] {
  const rights = "root, or a user with sudo without a password";
  return [
    "type: ssh # machines are hosts with Linux and systemd; haplan brings everything else along",
    user === null
      ? `# user: admin # ${rights}; by default that of ssh's own configuration`
      : `user: ${yamlValue(user)} # ${rights}`,
    identityFile === null
      ? "# identityFile: ~/.ssh/id_ed25519 # by default the keys of ssh's own configuration and agent"
      : `identityFile: ${yamlValue(identityFile)}`,
    ...(jump === null ? [] : [`jump: ${yamlValue(jump)}`]),
    ...(options.length === 0 ? [] : [`sshOptions: ${yamlValue([...options])}`]),
  ];
}

function assertVip(balancers: number, vip: string | null): void {
  if (balancers > 1 && vip === null) {
    const advice = "Name an unused one, which keepalived gives to one of them: -vip 10.0.0.100.";
    throw new HaplanError("init/load-balancers", `Several load balancers need a virtual address\n${advice}`);
  }
  if (balancers <= 1 && vip !== null) {
    const advice = "Name two or more hosts for them: -load-balancer 10.0.0.8,10.0.0.9.";
    throw new HaplanError("init/load-balancers", `-vip is for several load balancers\n${advice}`);
  }
}

function ofItsOwn(hosts: readonly DraftHost[], vip: string | null): DraftLoadBalancer {
  const { address, ssh, note } = hosts[0]!;
  const shared = vip === null ? null : { vip, hosts };
  return { address, ssh, port: draftPort, notes: shared !== null || note === "" ? [] : [note], shared };
}

/** On a worker, or beside a member that haplan makes, on another port. */
function besideOthers(
  { masters, workers }: Pick<DraftMachines, "masters" | "workers">,
  members: readonly DraftHost[],
): DraftLoadBalancer {
  const host = workers[0] ?? masters[members.length] ?? masters[0];
  if (host === undefined) throw new HaplanError("init/no-hosts", "There are no hosts\nName them with -hosts.");
  const { name, address, ssh } = host;
  const note = `on ${name}, whose loss makes this address unreachable: better a host of its own (-load-balancer)`;
  return { address, ssh, port: workers.length > 0 ? draftPort : sharedHostPort, notes: [note], shared: null };
}
