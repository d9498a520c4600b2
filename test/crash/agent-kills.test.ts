/**
 * Agents killed with SIGKILL in a loop under write load, one or all at a time, and restarted at once: everything
 * acknowledged is present at the end, on every member, and all stores are equal.
 *
 *   HAPLAN_CRASH_KILLS=100 npx vitest run test/crash     100 rounds, for 3 and for 5 members
 *   HAPLAN_CRASH_SEED=7                                  other draws
 */

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { createRandom, type Random } from "../../src/base/random.ts";
import type { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { AcknowledgingWriter, missingWrites } from "../e2e/acknowledged-writes.ts";
import { addressOf, ClusterFixture, killAndWait, until } from "../e2e/cluster-fixture.ts";
import { settledHashes } from "../e2e/member-facts.ts";
import { type ProcessImage, readProcessImage, restartProcess } from "./process-image.ts";

const rounds = Number(process.env["HAPLAN_CRASH_KILLS"] ?? 5);
const seed = Number(process.env["HAPLAN_CRASH_SEED"] ?? 1);
const sizes = process.env["HAPLAN_CRASH_KILLS"] === undefined ? [3] : [3, 5];
const network = 25;

type Agent = { readonly id: string; readonly client: EtcdClient; readonly image: ProcessImage; pid: number };

let cluster: ClusterFixture | undefined;
afterEach(() => cluster?.teardown());

async function agentsOf(fixture: ClusterFixture): Promise<readonly Agent[]> {
  const { members } = await fixture.status();
  return members.map(({ id, pid, clientUrl }) => ({
    id,
    client: fixture.client(clientUrl),
    image: readProcessImage(pid!),
    pid: pid!,
  }));
}

/** The leader according to the first responding member, else any member. */
async function findLeader(agents: readonly Agent[]): Promise<Agent> {
  for (const { client } of agents) {
    const status = await client
      .within(500)
      .maintenance.status()
      .catch(() => undefined);
    const leader = agents.find(({ id }) => id === status?.leader);
    if (leader !== undefined) return leader;
  }
  return agents[0]!;
}

/** Half of the rounds kill the leader, some kill all members. */
async function chooseVictims(agents: readonly Agent[], random: Random): Promise<readonly Agent[]> {
  const draw = random.next();
  if (draw < 0.5) return [await findLeader(agents)];
  if (draw < 0.8) return [agents[random.below(agents.length)]!];
  return agents;
}

describe("agents killed in a loop under write load", () => {
  it.each(sizes)(
    `of %i lose no acknowledged write in ${rounds} rounds, and are equal at the end`,
    async (size) => {
      cluster = new ClusterFixture({ network, masters: size });
      await cluster.apply();
      const agents = await agentsOf(cluster);
      const random = createRandom(seed + size);
      const doors = [cluster.client(`https://${addressOf(network, 100)}:2379`), ...agents.map(({ client }) => client)];
      const writers = doors.map((door, i) => new AcknowledgingWriter(door, `/crash/${i}/`, 2));
      for (let round = 0; round < rounds; round++) {
        const victims = await chooseVictims(agents, random);
        await Promise.all(victims.map(({ pid }) => killAndWait(pid)));
        // Sometimes the next one is killed while this one is still reading its log.
        await sleep(random.below(300));
        for (const victim of victims) victim.pid = restartProcess(victim.image);
        const back = performance.now();
        await until(
          `writes continue after round ${round}`,
          () => writers.some((writer) => writer.firstAfter(back)),
          30_000,
        );
        await sleep(random.below(400));
      }
      await Promise.all(writers.map((writer) => writer.stop()));
      const { hashes } = await settledHashes(
        agents.map(({ client }) => client),
        30_000,
      );
      expect(new Set(hashes).size).toBe(1);
      const acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
      expect(acknowledged).toBeGreaterThan(rounds);
      for (const { client } of agents) {
        for (const { prefix, acknowledged: promised } of writers)
          expect(await missingWrites(client, prefix, promised)).toEqual([]);
      }
      expect((await cluster.haplan(["plan", "-detailed-exitcode"])).code).toBe(0);
    },
    60_000 + rounds * 10_000,
  );
});
