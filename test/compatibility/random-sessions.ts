/**
 * Random sessions with a real etcd and with our agent: replies, events and in the end all data must be equal. One that
 * differs is shrunk and printed.
 */
import fc from "fast-check";
import { expect } from "vitest";
import { startCluster } from "./member-processes.ts";
import { closePair, openPair } from "./pair.ts";
import { type Session, session } from "./random-session.ts";
import { holdSession, type Outcome } from "./session.ts";
import type { SessionEtcd } from "./session-differences.ts";
import { shrink } from "./shrink.ts";

export type Sessions = {
  readonly etcd: { readonly version: SessionEtcd; readonly path: string };
  readonly members: number;
  /** Of the first session; each has a seed of its own. */
  readonly seed: number;
  /** At least one session is run. */
  readonly seconds: number;
};

const host = "127.77.44.1";
const length = 120;
export const shrinkMs = 60_000;

/** How many requests had equal replies, in how many sessions. Fails the test on the first that differs. */
export async function expectEqualSessions(
  sessions: Sessions,
): Promise<{ readonly requests: number; readonly held: number }> {
  const { members, seconds } = sessions;
  const endMs = Date.now() + seconds * 1_000;
  let [requests, held] = [0, 0];
  do {
    const seed = sessions.seed + held;
    const [steps] = fc.sample(session(members, length), { seed, numRuns: 1 });
    const outcome = await hold(steps!, sessions);
    if (outcome.difference !== null) {
      console.info(`session ${seed} differs, is being shrunk: ${outcome.difference.error}`);
      expect.fail(await report(seed, steps!.slice(0, outcome.difference.steps), sessions));
    }
    requests += outcome.requests;
    held++;
  } while (Date.now() < endMs);
  return { requests, held };
}

/** Each session begins with empty clusters. */
async function hold(steps: Session, { members, etcd }: Sessions): Promise<Outcome> {
  const options = { members, flags: ["--bcrypt-cost=4"], etcdProgram: etcd.path };
  const [ours, theirs] = await Promise.all([startCluster("agent", host, options), startCluster("etcd", host, options)]);
  try {
    const pair = await openPair(ours, theirs);
    try {
      return await holdSession(steps, pair, etcd.version);
    } finally {
      await closePair(pair);
    }
  } finally {
    await Promise.all([ours.stop(), theirs.stop()]);
  }
}

/** Reports which steps reproduce it, and what differs after the last one. */
async function report(seed: number, steps: Session, sessions: Sessions): Promise<string> {
  const failsAt = async (some: Session): Promise<number | null> =>
    (await hold(some, sessions)).difference?.steps ?? null;
  const shown = await shrink(steps, { failsAt, untilMs: Date.now() + shrinkMs });
  const { difference } = await hold(shown, sessions);
  const lines = shown.map((step, at) => `${at + 1}. ${JSON.stringify(step)}`);
  return `Session ${seed} differs:\n${lines.join("\n")}\n${difference?.error ?? "but not every time"}`;
}
