/** A member's client port while the member is about to stop, as a load balancer and the clients behind it see it. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { listeningFront } from "../../../../test/support/listening-front.ts";
import { systemClock } from "../../../base/clock.ts";
import type { ClientFront } from "./serve-clients.ts";

const host = "127.77.42.5";
const url = `http://${host}:2379`;

let front: ClientFront | undefined;
afterEach(async () => {
  await front?.close();
  front = undefined;
});

async function serving(): Promise<ClientFront> {
  front = await listeningFront([`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`]);
  front.serve();
  return front;
}

/** What a load balancer asks at an interval, each time over a new connection. */
async function askHealth(): Promise<void> {
  await (await fetch(`${url}/readyz`, { headers: { connection: "close" } })).text();
}

async function isListening(): Promise<boolean> {
  const socket = connect(2379, host);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe("a front that is drained", () => {
  it("T11: listens until a call is over that a load balancer has sent before it knew", async () => {
    const drained = await serving();
    for (let times = 0; times < 3; times += 1) {
      await askHealth();
      await systemClock.sleep(100);
    }
    const draining = drained.drain();
    await systemClock.sleep(20);
    const leave = new AbortController();
    const body = JSON.stringify({ create_request: { key: "YQ==" } });
    const late = await fetch(`${url}/v3/watch`, { method: "POST", body, signal: leave.signal });
    expect(late.status).toBe(200);
    await askHealth();
    await systemClock.sleep(300);
    // To a load balancer a port that is closed is a dead member, whose connections it cuts.
    expect(await isListening()).toBe(true);
    leave.abort();
    await expect.poll(isListening, { timeout: 2_000, interval: 150 }).toBe(false);
    await front?.close();
    await draining;
  });

  it("does not wait for such calls where there is no load balancer", async () => {
    await (await serving()).drain();
    expect(await isListening()).toBe(false);
  });
});
