/**
 * Random sessions with a real etcd and with our agent: replies, events and in the end all data must be equal. One that
 * differs is shrunk and printed. By hand, for as long as wanted, each session by a seed of its own from the first one on:
 * `HAPLAN_SESSION_SECONDS=600 HAPLAN_SESSION_SEED=7 HAPLAN_SESSION_MEMBERS=3`.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isEtcdInstalled, startCluster } from "./member-processes.ts";
import { meet, part } from "./pair.ts";
import { type Session, session } from "./random-session.ts";
import { holdSession, type Outcome } from "./session.ts";
import { shrink } from "./shrink.ts";

const HOST = "127.77.44.1";
/** Without it, one session is held. */
const SECONDS = Number(process.env["HAPLAN_SESSION_SECONDS"] ?? 0);
const SEED = Number(process.env["HAPLAN_SESSION_SEED"] ?? 1);
const MEMBERS = Number(process.env["HAPLAN_SESSION_MEMBERS"] ?? 1);
const LENGTH = 120;
const shrinkMs = 60_000;

/** Each session begins with empty clusters. */
async function hold(steps: Session): Promise<Outcome> {
  const options = { members: MEMBERS, flags: ["--bcrypt-cost=4"] };
  const [ours, theirs] = await Promise.all([startCluster("agent", HOST, options), startCluster("etcd", HOST, options)]);
  try {
    const pair = await meet(ours, theirs);
    try {
      return await holdSession(steps, pair);
    } finally {
      await part(pair);
    }
  } finally {
    await Promise.all([ours.stop(), theirs.stop()]);
  }
}

async function failsAt(steps: Session): Promise<number | null> {
  return (await hold(steps)).difference?.steps ?? null;
}

/** Says which steps show it, and what is not equal behind the last one. */
async function report(seed: number, steps: Session): Promise<string> {
  const shown = await shrink(steps, { failsAt, untilMs: Date.now() + shrinkMs });
  const { difference } = await hold(shown);
  const lines = shown.map((step, at) => `${at + 1}. ${JSON.stringify(step)}`);
  return `Session ${seed} differs:\n${lines.join("\n")}\n${difference?.error ?? "but not every time"}`;
}

describe.skipIf(!isEtcdInstalled())("the agent and a real etcd", () => {
  const timeout = SECONDS * 1_000 + 2 * shrinkMs;
  it("tell the same in random sessions, and hold the same data at their end", { timeout }, async () => {
    const endMs = Date.now() + SECONDS * 1_000;
    let requests = 0;
    let seed = SEED;
    do {
      const [steps] = fc.sample(session(MEMBERS, LENGTH), { seed, numRuns: 1 });
      const outcome = await hold(steps!);
      if (outcome.difference !== null) {
        console.info(`session ${seed} differs, is being shrunk: ${outcome.difference.error}`);
        expect.fail(await report(seed, steps!.slice(0, outcome.difference.steps)));
      }
      requests += outcome.requests;
      seed++;
    } while (Date.now() < endMs);
    if (SECONDS > 0) console.info(`${requests} requests in ${seed - SEED} sessions were answered alike`);
  });
});
