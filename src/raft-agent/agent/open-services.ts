/** The services of one member, notified of the events of consensus, the store and the peers. */
import type { Logger } from "pino";
import { HaplanError } from "../../base/haplan-error.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import type { MemberServices } from "../services/member-services.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { AgentEvents } from "./agent-events.ts";
import type { MemberIdentity } from "./disk/member-identity.ts";
import { createServices } from "./from-config.ts";
import { announceClusterVersion } from "./loops/announce-member.ts";
import type { Consensus } from "./open-consensus.ts";

export type ServiceParts = {
  readonly identity: MemberIdentity;
  readonly machine: StateMachine;
  readonly consensus: Consensus;
};

/** @throws HaplanError `agent/auth-token` naming a key file that cannot be used. */
export function openServices(
  config: AgentConfig,
  { identity, machine, consensus }: ServiceParts,
  events: AgentEvents,
  logger: Logger,
): MemberServices {
  const { client, stateRepair, isMember } = consensus;
  const services = createServices(
    config,
    { consensus: client, machine, clusterId: identity.clusterId },
    {
      onMembershipChanged: (change) => events.emit("membershipChanged", change),
      drainClients: () => new Promise((done) => events.emit("drainRequested", done)),
      onLeaseGranted: (ttlSeconds) => events.emit("leaseGranted", ttlSeconds),
      onNotice: (level, text) => logger[level](text),
      stateRepair: {
        expect: () => {
          logger.error("the leader found that this member's data differs: this member's state is replaced");
          return stateRepair.expect();
        },
        send: stateRepair.send,
      },
    },
  );
  events.on("housekeeping", () => services.tick());
  events.on("softStateChanged", () => {
    services.leadershipChanged();
    announceClusterVersion(services);
  });
  events.on("applied", (index) => services.applied(index));
  events.on("readConfirmed", (context, index) => services.readConfirmed(context, index));
  events.on("readFailed", (context) => services.readFailed(context));
  events.on("snapshotInstalled", () => services.snapshotInstalled());
  events.on("peerRequest", ({ from, request, answer, reject }) => {
    if (isMember(from)) services.servePeer(from, request, answer);
    else reject(new HaplanError("agent/no-member", `member ${from} is not known to member ${identity.memberId}`));
  });
  return services;
}
