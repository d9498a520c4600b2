/**
 * etcd's `--initial-corrupt-check`: a starting member compares the data on its disk with the voters before it serves
 * clients. An etcd that differs exits. Here it requests a comparison by the leader at once, which repairs it, and
 * serves when it agrees with the majority; it takes part in consensus meanwhile. As in etcd, a member without any
 * member to compare with starts: later comparisons are the leader's.
 */
import { errorText } from "../../../base/haplan-error.ts";
import { StatusCode } from "../../api/status-code.ts";
import type { MemberId } from "../../raft/entry.ts";
import { callLeader } from "../peer-requests.ts";
import type { ServiceContext } from "../service-context.ts";
import { type CorruptionCheckOptions, comparePath, fetchHash, majorityHash } from "./corruption-check.ts";

type Finding = "agrees" | "differs" | "unknown";

const retryMs = 100;
/** Between two repair attempts, each of which is in the log. */
const repairRetryMs = 1_000;
/** A store that has never been written: its data will come from the other members. */
const emptyRevision = 1;

/** Resolves once the member may serve clients: if it differs from a majority, after its repair. */
export async function checkBeforeServing(
  context: ServiceContext,
  onNotice: CorruptionCheckOptions["onNotice"],
): Promise<void> {
  const { machine, consensus, clock, proposer } = context;
  const others = machine.membership.configuration.voters.filter((id) => id !== consensus.memberId);
  if (others.length === 0 || machine.store.revision <= emptyRevision) return;
  const deadlineMs = clock.monotonicMs() + proposer.limits.requestTimeoutMs;
  let isDamaged = false;
  for (;;) {
    const finding = await compareWith(context, others).catch((error: unknown): Finding => {
      onNotice("warn", `cannot compare this member's data with its peers': ${errorText(error)}`);
      return "unknown";
    });
    if (finding === "agrees") {
      if (isDamaged) onNotice("warn", "this member's data was repaired and agrees with the majority: serving clients");
      return;
    }
    if (finding === "differs") {
      isDamaged = true;
      onNotice("error", "this member's data differs from the majority: not serving clients until it is repaired");
      await requestRepair(context, onNotice);
    } else if (!isDamaged && clock.monotonicMs() >= deadlineMs) {
      onNotice(
        "warn",
        "no majority was found to compare this member's data with: serving clients without a comparison",
      );
      return;
    }
    await clock.sleep(finding === "differs" ? repairRetryMs : retryMs);
  }
}

async function compareWith(context: ServiceContext, others: readonly MemberId[]): Promise<Finding> {
  const { machine, consensus } = context;
  const { revision } = machine.store;
  const theirs = await Promise.all(others.map(async (id) => [id, await fetchHash(context, id, revision)] as const));
  // Hashing reads the whole store.
  if (theirs.every(([, hashed]) => hashed === null)) return "unknown";
  const own = await machine.store.hashKv(revision, "members");
  const hashes = new Map<MemberId, number>([[consensus.memberId, own.hash]]);
  for (const [id, hashed] of theirs) if (hashed?.compactRevision === own.compactRevision) hashes.set(id, hashed.hash);
  const right = majorityHash(hashes, machine.membership.configuration.voters);
  if (right === null) return "unknown";
  return right === own.hash ? "agrees" : "differs";
}

function requestRepair(context: ServiceContext, onNotice: CorruptionCheckOptions["onNotice"]): Promise<void> {
  return new Promise((resolve) => {
    callLeader(context, { path: comparePath, message: new Uint8Array(0) }, ({ code, text }) => {
      if (code !== StatusCode.ok) onNotice("warn", `the leader could not repair this member: ${text}`);
      resolve();
    });
  });
}
