/** What is there once haplan has run again after it was killed. */
import { expect } from "vitest";
import { counts, listAccount, tagOf } from "./emulated-account.ts";
import type { AwsEmulator } from "./emulator.ts";
import type { KilledHaplan } from "./killed-haplan.ts";
import type { Kill } from "./killing-proxy.ts";

/** What another apply leaves after `kill`, which failures name: one of each object, and a healthy cluster. */
export async function expectOneOfEach(cluster: KilledHaplan, aws: AwsEmulator, kill: Kill, volumes = 5): Promise<void> {
  const { code, stdout, stderr } = await cluster.run("apply -auto-approve");
  expect({ ...kill, code, said: code === 0 ? "" : stdout + stderr }).toEqual({ ...kill, code: 0, said: "" });
  const found = await listAccount(aws);
  expect({ ...kill, ...counts(found) }).toEqual({
    ...kill,
    instances: 5,
    volumes,
    groups: 3,
    balancers: 1,
    targetGroups: 1,
  });
  const plan = await cluster.run("plan -detailed-exitcode");
  expect({ ...kill, code: plan.code, said: plan.code === 0 ? "" : plan.stdout }).toEqual({
    ...kill,
    code: 0,
    said: "",
  });
  const status = JSON.parse((await cluster.run("status -json")).stdout) as { members: { healthy: boolean }[] };
  expect({ ...kill, healthy: status.members.map(({ healthy }) => healthy) }).toEqual({
    ...kill,
    healthy: [true, true, true],
  });
}

/** What masters keep when they get other instances. */
export async function keptOf(cluster: KilledHaplan, aws: AwsEmulator): Promise<object> {
  const status = JSON.parse((await cluster.run("status -json")).stdout) as { members: { name: string; id: string }[] };
  const { instances } = await listAccount(aws);
  const volumes = instances.flatMap(({ Tags, BlockDeviceMappings = [] }) => {
    const data = BlockDeviceMappings.find(({ DeviceName }) => DeviceName === "/dev/sdf")?.Ebs?.VolumeId;
    return data === undefined ? [] : [`${tagOf(Tags, "haplan:machine")} ${data}`];
  });
  return { members: status.members.map(({ name, id }) => `${name} ${id}`).toSorted(), volumes: volumes.toSorted() };
}
