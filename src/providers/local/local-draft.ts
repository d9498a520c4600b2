/** A new spec for this machine, or for members that run on its loopback addresses. */
import { HaplanError } from "../../base/haplan-error.ts";
import { type DraftHost, type DraftProvider, draftPort } from "../spec-draft.ts";

const firstNetwork = "127.0.1";

export const draftLocal: DraftProvider = async (request) => {
  if (request.provider !== null && request.provider !== "local") return null;
  const { members, hosts, workers, loadBalancer, vip, reach } = request;
  if (hosts !== null || members.some(({ address }) => !/^127\./.test(address))) return null;
  if ([workers, loadBalancer, vip, reach.identityFile, reach.jump].some((flag) => flag !== null)) {
    const text = "-workers, -load-balancer, -vip, -identity-file and -jump are for hosts";
    throw new HaplanError("init/no-hosts", `${text}\nName the hosts of the masters with -hosts.`);
  }
  const network = members[0]?.address.split(".").slice(0, 3).join(".") ?? firstNetwork;
  return {
    provider: ["type: local # machines are processes on this computer, each on a loopback address of its own"],
    masters: [...members, ...newMasters(members, network)],
    workers: [],
    loadBalancer: {
      address: `${network}.100`,
      ssh: {},
      port: draftPort,
      shared: null,
      notes: ["the address for clients: any master may fail"],
    },
    nextCommand: "plan",
    workerExample: `${network}.11`,
  };
};

/** As many as make the number of masters odd, and at least three. */
function newMasters(members: readonly DraftHost[], network: string): readonly DraftHost[] {
  const taken = new Set(members.flatMap(({ name, address }) => [name, address]));
  const wanted = Math.max(3, members.length + (members.length % 2 === 0 ? 1 : 0));
  const added: DraftHost[] = [];
  for (let number = 1; members.length + added.length < wanted; number += 1) {
    const [name, address] = [`m${number}`, `${network}.${number}`];
    if (!taken.has(name) && !taken.has(address)) added.push({ name, address, ssh: {}, note: "" });
  }
  return added;
}
