/**
 * The conversation of differential.test.ts with an etcd 3.6 and 3.7: equal except for what docs/etcd-differences.md
 * lists for them.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Step, speak } from "./conversation.ts";
import { findEtcdProgram } from "./etcd-programs.ts";
import { kvHttpRequest, randomHttpRequests } from "./gateway-requests.ts";
import { exchange, post } from "./http-exchange.ts";
import { holdLater, laterAlone, laterDifference } from "./later-differences.ts";
import { isReadOtherwise, laterExchange } from "./later-exchange.ts";
import { startCluster } from "./member-processes.ts";
import { closePair, openPair, type Pair, Turns } from "./pair.ts";
import { randomKvCalls } from "./random-kv.ts";
import { cornerRequests, httpRequests } from "./requests.ts";
import { apiserverScript } from "./script-apiserver.ts";
import { authScript } from "./script-auth.ts";
import { kvScript } from "./script-kv.ts";
import { leaseScript, watchScript } from "./script-lease-watch.ts";
import { lockScript } from "./script-lock-election.ts";
import { membersScript, singleMemberScript } from "./script-members.ts";

const versions = ["3.6", "3.7"] as const;
const host = "127.77.67.1";
const script: readonly Step[] = [
  ...[...kvScript, ...leaseScript, ...watchScript, ...membersScript, ...lockScript, ...apiserverScript],
  ...[...authScript, ...singleMemberScript],
];

/** Returns the ids of the differences that were observed. */
async function converse(pair: Pair, version: (typeof versions)[number]): Promise<Set<string>> {
  const shown = new Set<string>();
  const turns = new Turns(pair);
  for (const [at, step] of script.entries()) {
    const member = await turns.take(step.member ?? at);
    const [own, real] = await Promise.all([speak(step, member, pair.ours), speak(step, member, pair.theirs)]);
    const difference = laterDifference(step, version);
    const reconcile = difference?.reconcile ?? ((reply: typeof own) => reply);
    expect.soft(reconcile(own), `${at}. ${JSON.stringify(step).slice(0, 300)}`).toEqual(reconcile(real));
    if (difference !== undefined && JSON.stringify(own) !== JSON.stringify(real)) shown.add(difference.id);
  }
  return shown;
}

describe.each(versions)("the agent and an etcd %s", (version) => {
  it("give the same replies except for the listed differences, all of which occur", { timeout: 300_000 }, async ({
    skip,
  }) => {
    const etcd = await findEtcdProgram(version, "etcd");
    if ("missing" in etcd) return skip(etcd.missing);
    const options = { members: 1, flags: ["--bcrypt-cost=4"] };
    const ours = await startCluster("agent", host, options);
    const theirs = await startCluster("etcd", host, { ...options, etcdProgram: etcd.path });
    try {
      const pair = await openPair(ours, theirs);
      const shown = await converse(pair, version);
      await closePair(pair);
      expect([...shown].sort()).toEqual([...holdLater, ...laterAlone[version]].sort());
    } finally {
      await Promise.all([ours.stop(), theirs.stop()]);
    }
  });

  it("give equal responses through the JSON gateway, except for the listed differences", { timeout: 300_000 }, async ({
    skip,
  }) => {
    const etcd = await findEtcdProgram(version, "etcd");
    if ("missing" in etcd) return skip(etcd.missing);
    const options = { members: 1, flags: ["--bcrypt-cost=4"] };
    const ours = await startCluster("agent", host, options);
    const theirs = await startCluster("etcd", host, { ...options, etcdProgram: etcd.path });
    const requests = [
      ...cornerRequests.map(({ path, body }) => post(path, JSON.stringify(body))),
      ...randomKvCalls(13, 500).map(kvHttpRequest),
      ...httpRequests,
      ...[13, 14, 15].flatMap((seed) => randomHttpRequests(seed, 500)),
    ];
    try {
      for (const request of requests.filter((one) => !isReadOtherwise(one))) {
        const [own, real] = await Promise.all(
          [ours, theirs].map(async ({ urls }) => laterExchange(request, await exchange(urls[0]!, request))),
        );
        expect.soft(own, JSON.stringify(request).slice(0, 500)).toEqual(real);
      }
    } finally {
      await Promise.all([ours.stop(), theirs.stop()]);
    }
  });

  it("differ where the documentation says so for this version", () => {
    const text = readFileSync(new URL("../../docs/etcd-differences.md", import.meta.url), "utf8");
    const section = /## With etcd 3\.6 and 3\.7\n([\s\S]*?)\n## /.exec(text)?.[1] ?? "";
    const rows = [...section.matchAll(/^\| `([a-z-]+)` \| ([0-9., ]+) \|/gm)].filter(([, , held]) =>
      held?.includes(version),
    );
    expect(rows.map(([, id]) => id).sort()).toEqual([...holdLater, ...laterAlone[version]].sort());
  });
});
