/** A member's client port while the member is stopping, as seen by a load balancer and the clients behind it. */
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { listenForTestClients } from "../../../../test/support/listening-clients.ts";
import { systemClock } from "../../../base/clock.ts";
import type { ClientListeners } from "./client-listeners.ts";

const host = "127.77.42.25";
const url = `http://${host}:2379`;

let front: ClientListeners | undefined;
afterEach(async () => {
  await front?.close();
  front = undefined;
});

async function serving(): Promise<ClientListeners> {
  front = await listenForTestClients([`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`]);
  front.serve();
  return front;
}

/** A load balancer's periodic health check, each time over a new connection. */
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

describe("a drained front end", () => {
  it("T11: listens until a call is over that a load balancer has sent before it was notified", async () => {
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
    // To a load balancer a closed port is a dead member, whose connections it cuts.
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
