/** Sessions with hosts that never say anything: ssh is a program on the PATH that waits. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FakeSsh } from "../../../test/support/fake-ssh.ts";
import { sshTargetTo } from "../../../test/support/ssh-target-to.ts";
import { VirtualClock } from "../../base/clock.fake.ts";
import { systemClock } from "../../base/clock.ts";
import { specReader } from "../spec-reader.ts";
import { HostSessions } from "./host-sessions.ts";

const { spec } = specReader.parse(
  "f",
  "{ apiVersion: haplan.dev/v1, kind: Cluster, metadata: { name: demo }, spec: { provider: { type: ssh }, controlPlane: { masters: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.2 }, { name: m3, address: 10.0.0.3 }] }, loadBalancer: { address: 10.0.0.9 } } }",
);
const target = sshTargetTo("m1");
const host = { key: "m1", target };

let ssh: FakeSsh;
beforeEach(() => {
  ssh = new FakeSsh();
  ssh.runs(`echo started >> ${ssh.directory}/log\nexec sleep 600`);
});
afterEach(() => ssh.remove());

function sessions(clock: VirtualClock): HostSessions {
  return new HostSessions({ spec: spec!, clock, signal: new AbortController().signal, log: () => undefined });
}

const attempts = (): number => readFileSync(join(ssh.directory, "log"), "utf8").split("\n").length - 1;

it("a host whose session does not open in time is given up, and is not tried again at once", async () => {
  const clock = new VirtualClock();
  // The time passes once ssh runs.
  clock.sleep = async () => {
    while (!existsSync(join(ssh.directory, "log")) || attempts() === 0) await systemClock.sleep(5);
  };
  const opened = sessions(clock);
  await expect(opened.find(host, undefined)).rejects.toThrow("m1 did not answer within 30 s");
  await expect(opened.find(host, undefined)).rejects.toThrow("m1 did not answer within 30 s");
  expect(attempts()).toBe(1);
  await opened.close();
});

it("the end of a run does not wait for a session that is still being opened", async () => {
  const clock = new VirtualClock();
  clock.sleep = (_, signal) =>
    new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const opened = sessions(clock);
  const found = opened.find(host, undefined);
  const failed = expect(found).rejects.toThrow("The run has ended");
  await opened.close();
  await failed;
});
