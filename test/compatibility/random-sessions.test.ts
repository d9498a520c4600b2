/**
 * Random sessions with a real etcd and with our agent. By hand, for as long as wanted, each session with a seed of its
 * own from the first one on: `HAPLAN_SESSION_SECONDS=600 HAPLAN_SESSION_SEED=7 HAPLAN_SESSION_MEMBERS=3`. `npm run
 * test:long` runs them with an etcd 3.6 and 3.7 as well.
 */
import { describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { isEtcdInstalled } from "./member-processes.ts";
import { expectEqualSessions, shrinkMs } from "./random-sessions.ts";

/** Without it, one session is run. */
const seconds = Number(process.env["HAPLAN_SESSION_SECONDS"] ?? 0);
const seed = Number(process.env["HAPLAN_SESSION_SEED"] ?? 1);
const members = Number(process.env["HAPLAN_SESSION_MEMBERS"] ?? 1);
const timeout = seconds * 1_000 + 2 * shrinkMs;
const what = { members: members, seed: seed, seconds: seconds };
const isLong = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;

function tell({ requests, held }: { readonly requests: number; readonly held: number }): void {
  expect(requests).toBeGreaterThan(0);
  if (seconds > 0) console.info(`${requests} requests in ${held} sessions had equal replies`);
}

it.skipIf(!isEtcdInstalled())(
  "the agent and a real etcd give the same replies in random sessions, and hold the same data at the end",
  { timeout },
  async () => {
    tell(await expectEqualSessions({ ...what, etcd: { version: "3.4", path: "etcd" } }));
  },
);

describe.each(isLong ? (["3.6", "3.7"] as const) : [])("the agent and an etcd %s", (version) => {
  it("give the same replies in random sessions", { timeout }, async ({ skip }) => {
    const etcd = await findEtcdProgram(version, "etcd");
    if ("missing" in etcd) return skip(etcd.missing);
    tell(await expectEqualSessions({ ...what, etcd: { version, path: etcd.path } }));
  });
});
