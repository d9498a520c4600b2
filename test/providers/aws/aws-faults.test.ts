/** Faults of AWS, as its API answers them: what haplan asks, does, and says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { HaplanError } from "../../../src/base/haplan-error.ts";
import { AwsClient } from "../../../src/providers/aws/aws-client.ts";
import type { AwsContext } from "../../../src/providers/aws/aws-context.ts";
import { awsModel } from "../../../src/providers/aws/aws-model.ts";
import { clientToken } from "../../../src/providers/aws/aws-names.ts";
import { createAwsProvider } from "../../../src/providers/aws/aws-provider.ts";
import { ensureInstance, type NewInstance } from "../../../src/providers/aws/create-instance.ts";
import { parseHostKey, readHostKey } from "../../../src/providers/aws/host-key.ts";
import { ensureProfile } from "../../../src/providers/aws/instance-profile.ts";
import { type FoundInstance, untilRunning } from "../../../src/providers/aws/instances.ts";
import { ensureKept } from "../../../src/providers/aws/kept-volume.ts";
import { OwnLineage } from "../../../src/providers/aws/own-lineage.ts";
import { ensurePlacementGroup } from "../../../src/providers/aws/placement-groups.ts";
import { CurrentWaits } from "../../../src/providers/current-waits.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { Provider } from "../../../src/providers/provider.ts";
import { specReader } from "../../../src/providers/spec-reader.ts";
import type { Hosts } from "../../../src/providers/ssh/ssh-provider.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { root } from "../../structure/imports.ts";
import { emulatedEnvironment, withEnvironment } from "./emulator.ts";
import { answer, FaultyApi, failure, fakeEndpoint, instances, instanceXml, type Reply, run } from "./faulty-api.ts";

const example = readFileSync(join(root, "examples/aws-3-masters.yaml"), "utf8");
const spec = specReader.parse("cloud.yaml", example.replace("    vpc:", `    endpoint: ${fakeEndpoint}\n    vpc:`))
  .spec!;
const m1 = spec.controlPlane.masters[0]!;
const tags = {
  "haplan:cluster": "cloud",
  "haplan:lineage": "lineage-1",
  "haplan:machine": "m1",
  "haplan:generation": "1",
};
const wanted: NewInstance = {
  machine: "m1",
  lineage: "lineage-1",
  generation: 1,
  address: "10.0.1.10",
  subnetId: "subnet-0a",
  ami: "ami-0a1b2c3d",
  groupId: "sg-0a",
  volumeId: null,
  attributes: awsModel.describeMachine(spec, { ...m1, role: "master" }).attributes,
};
const token = (attempt: number): string => clientToken("lineage-1", "m1", 1, attempt);

let api: FaultyApi;
let context: AwsContext;
let restore: () => void;
beforeEach(() => {
  restore = withEnvironment(emulatedEnvironment);
  api = new FaultyApi();
  context = contextOf(spec);
});
afterEach(async () => {
  await context.client.close();
  api.close();
  restore();
});

/** Waits a thousandth of what it is asked to, and counts it whole. */
function contextOf(given: ClusterSpec): AwsContext {
  let ahead = 0;
  const clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + ahead,
    sleep: async (ms: number, signal?: AbortSignal) => {
      ahead += ms;
      await systemClock.sleep(ms / 1000, signal);
    },
  };
  return {
    spec: given,
    clock,
    waits: new CurrentWaits(),
    own: new OwnLineage(),
    log: () => undefined,
    client: new AwsClient({ spec: given, log: () => undefined }),
  };
}

async function openProvider(hosts: object, given: ClusterSpec = spec): Promise<Provider> {
  const options = {
    spec: given,
    recorded: async () => [{ name: "m1", generation: 1, attributes: {} }],
    directory: "",
    cwd: "",
    signal: new AbortController().signal,
    clock: context.clock,
    log: () => undefined,
  };
  const calls = new MachineCalls({ ...options, limits: { machinesAtOnce: 1, callTimeoutMs: null } });
  const opened = { close: async () => undefined, ...hosts } as unknown as Hosts;
  return await createAwsProvider({ ...options, calls }, async () => opened);
}

async function errorOf(work: Promise<unknown>): Promise<HaplanError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HaplanError);
  return error as HaplanError;
}

describe("an instance", () => {
  it("is asked for with its token, tags, volume and metadata options", async () => {
    const made = instanceXml("i-0a", "pending", tags);
    api.on("DescribeInstances", instances(), instances(made)).on("RunInstances", run(made));
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0a", machine: "m1", generation: 1 });
    const [request] = api.of("RunInstances");
    expect(request).toMatchObject({
      ClientToken: token(0),
      ImageId: "ami-0a1b2c3d",
      InstanceType: "m7i.large",
      MinCount: "1",
      MaxCount: "1",
      KeyName: "operators",
      PrivateIpAddress: "10.0.1.10",
      SubnetId: "subnet-0a",
      "SecurityGroupId.1": "sg-0a",
      "MetadataOptions.HttpTokens": "required",
      "MetadataOptions.HttpPutResponseHopLimit": "1",
      "BlockDeviceMapping.1.DeviceName": "/dev/sdf",
      "BlockDeviceMapping.1.Ebs.DeleteOnTermination": "false",
      "BlockDeviceMapping.1.Ebs.Encrypted": "true",
      "BlockDeviceMapping.1.Ebs.VolumeType": "gp3",
      "TagSpecification.1.ResourceType": "instance",
      "TagSpecification.2.ResourceType": "volume",
      "TagSpecification.1.Tag.2.Key": "haplan:cluster",
      "TagSpecification.1.Tag.2.Value": "cloud",
    });
    const userData = Buffer.from(request?.["UserData"] ?? "", "base64").toString("utf8");
    expect(userData).toMatch(/^#!\/bin\/sh/);
    expect(userData.length).toBeLessThan(16_384);
  });

  it("is not asked for again while it exists", async () => {
    api.on("DescribeInstances", instances(instanceXml("i-0a", "running", tags)));
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0a" });
    expect(api.of("RunInstances")).toEqual([]);
  });

  it("is waited for when AWS does not find it right after its creation", async () => {
    const made = instanceXml("i-0a", "pending", tags);
    const running = instances(instanceXml("i-0a", "running", tags));
    api
      .on("DescribeInstances", instances(), instances(), instances(), instances(made), running)
      .on("RunInstances", run(made));
    const found = await ensureInstance(context, wanted);
    expect(await untilRunning(context, found)).toMatchObject({ state: "running" });
  });

  it("says while it is waited for what it is waited for", async () => {
    const pending = instances(instanceXml("i-0a", "pending", tags));
    api.on("DescribeInstances", pending, pending, instances(instanceXml("i-0a", "running", tags)));
    const seen: (string | null)[] = [];
    const sleep = context.clock.sleep.bind(context.clock);
    const clock = {
      ...context.clock,
      sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
        seen.push(context.waits.of("m1"), context.waits.of("m2"));
        await sleep(ms, signal);
      },
    };
    await untilRunning({ ...context, clock }, { id: "i-0a", machine: "m1" });
    const waiting = "waiting for the instance of m1 to run: it is pending";
    expect(seen).toEqual([waiting, null, waiting, null]);
    expect(context.waits.of("m1")).toBeNull();
  });

  it("has another token when AWS answers with the terminated instance of the first", async () => {
    const dead = instanceXml("i-00", "terminated", tags);
    const made = instanceXml("i-0a", "pending", tags);
    api.on("DescribeInstances", instances(), instances(made)).on("RunInstances", run(dead), run(made));
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0a" });
    expect(api.of("RunInstances").map(({ ClientToken }) => ClientToken)).toEqual([token(0), token(1)]);
  });

  it("A3: in place of a former one takes over its volume, and the next token where the former had other settings", async () => {
    const made = instanceXml("i-0b", "running", tags);
    const volume = (state: string, attachment: string): Reply =>
      answer(
        "DescribeVolumes",
        `<volumeSet><item><volumeId>vol-0a</volumeId><status>${state}</status>${attachment}</item></volumeSet>`,
      );
    const attached =
      "<attachmentSet><item><instanceId>i-0b</instanceId><status>attached</status></item></attachmentSet>";
    const former = instanceXml("i-0a", "running", tags).replace("m7i.large", "m7i.medium");
    api
      .on(
        "DescribeInstances",
        instances(former),
        instances(former),
        instances(former.replace("running", "terminated")),
        instances(),
        instances(),
        instances(made),
      )
      .on("TerminateInstances", answer("TerminateInstances", "<instancesSet/>"))
      .on(
        "RunInstances",
        failure("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412),
        failure("IdempotentParameterMismatch", "Client token already used"),
        run(made),
      )
      .on("DescribeVolumes", volume("in-use", ""), volume("available", ""), volume("in-use", attached))
      .on("AttachVolume", answer("AttachVolume", "<status>attaching</status>"));
    const kept = { ...wanted, volumeId: "vol-0a", otherInstance: "isReplaced" } as const;
    expect(await ensureKept(context, kept)).toMatchObject({ id: "i-0b" });
    expect(api.of("TerminateInstances")).toMatchObject([{ "InstanceId.1": "i-0a" }]);
    const [dryRun, ...runs] = api.of("RunInstances");
    expect(dryRun).toMatchObject({ DryRun: "true", InstanceType: "m7i.large", SubnetId: "subnet-0a" });
    expect(dryRun).not.toHaveProperty("PrivateIpAddress");
    expect(runs.map(({ ClientToken }) => ClientToken)).toEqual([token(0), token(1)]);
    for (const request of runs) expect(request["BlockDeviceMapping.1.DeviceName"]).toBeUndefined();
    expect(api.of("AttachVolume")).toMatchObject([{ InstanceId: "i-0b", VolumeId: "vol-0a", Device: "/dev/sdf" }]);
  });

  it("has another token where a former instance of its name, which is gone, had other settings", async () => {
    const mismatch = failure("IdempotentParameterMismatch", "Client token already used");
    const made = instanceXml("i-0b", "pending", tags);
    const former = instances(instanceXml("i-0a", "terminated", tags));
    api
      .on("DescribeInstances", instances(), former, instances(), instances(made))
      .on("RunInstances", mismatch, mismatch, run(made));
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0b" });
    expect(api.of("RunInstances").map(({ ClientToken }) => ClientToken)).toEqual([token(0), token(1), token(2)]);
    expect(api.of("DescribeInstances")[1]).toMatchObject({
      "Filter.2.Name": "client-token",
      "Filter.2.Value.1": token(0),
    });
  });

  it("is not created a second time beside the one of a killed apply, which had other settings", async () => {
    const mismatch = failure("IdempotentParameterMismatch", "Client token already used");
    api
      .on("DescribeInstances", instances(), instances(instanceXml("i-0a", "pending", tags)))
      .on("RunInstances", mismatch);
    const error = await errorOf(ensureInstance(context, wanted));
    expect(error).toMatchObject({ code: "aws/idempotency-mismatch" });
    expect(error.message).toContain("settings of before");
    expect(api.of("RunInstances")).toHaveLength(1);
  });

  it.each(["isReplaced", "isRefused", "stays"] as const)(
    "with another data volume than recorded is not terminated, and gets no second one: %s",
    async (otherInstance) => {
      const device =
        "<blockDeviceMapping><item><deviceName>/dev/sdf</deviceName><ebs><volumeId>vol-0b</volumeId></ebs></item></blockDeviceMapping>";
      const former = instanceXml("i-0a", "running", tags).replace("m7i.large", "m7i.medium");
      api.on("DescribeInstances", instances(former.replace("<placement>", `${device}<placement>`)));
      const error = await errorOf(ensureKept(context, { ...wanted, volumeId: "vol-0a", otherInstance }));
      expect(error).toMatchObject({ code: "aws/other-volume" });
      expect(error.message).toContain("is vol-0b, another volume than recorded: vol-0a");
      expect(error.message).toContain("-replace=haplan_machine.m1");
      expect(api.requests.filter(({ Action }) => Action !== "DescribeInstances")).toEqual([]);
    },
  );

  it("that was terminated after the plan was made ends the step with what to do", async () => {
    api.on("DescribeInstances", instances());
    const provider = await openProvider({});
    provider.claim?.("lineage-1");
    const error = await errorOf(provider.updateMachine("m1", { attributes: wanted.attributes, agentStopped: false }));
    expect(error).toMatchObject({ code: "provider/no-machine" });
    expect(error.message).toContain(
      "There is no instance of m1\nIt was terminated after the plan was made. Run apply again",
    );
    await provider.close();
  });

  it("A6: is not terminated while AWS refuses the one that would take its place", async () => {
    const former = instanceXml("i-0a", "running", tags).replace("m7i.large", "m7i.medium");
    api
      .on("DescribeInstances", instances(former))
      .on("RunInstances", failure("UnauthorizedOperation", "not authorized to perform: iam:PassRole", 403));
    const error = await errorOf(ensureKept(context, { ...wanted, volumeId: "vol-0a", otherInstance: "isReplaced" }));
    expect(error).toMatchObject({ code: "aws/not-authorized" });
    expect(error.message).toContain("Cannot be sure that the instance of m1 can be created");
    expect(api.of("RunInstances")).toMatchObject([{ DryRun: "true" }]);
    expect(api.of("TerminateInstances")).toEqual([]);
  });

  it("A3: is not replaced while it has what is wanted", async () => {
    const running = instanceXml("i-0a", "running", tags).replace(
      "<placement>",
      "<keyName>operators</keyName><placement>",
    );
    const attached =
      "<blockDeviceMapping><item><deviceName>/dev/sdf</deviceName><ebs><volumeId>vol-0a</volumeId></ebs></item></blockDeviceMapping>";
    api.on("DescribeInstances", instances(running.replace("<placement>", `${attached}<placement>`)));
    expect(await ensureKept(context, { ...wanted, volumeId: "vol-0a", otherInstance: "isRefused" })).toMatchObject({
      id: "i-0a",
    });
    expect(api.requests.filter(({ Action }) => Action !== "DescribeInstances")).toEqual([]);
  });

  it("is not terminated for what it has otherwise, unless its agent was stopped for that", async () => {
    const other = instanceXml("i-0a", "running", tags).replace("m7i.large", "m7i.medium");
    api.on("DescribeInstances", instances(other));
    const kept = { ...wanted, volumeId: "vol-0a", otherInstance: "isRefused" } as const;
    const error = await errorOf(ensureKept(context, kept));
    expect(error).toMatchObject({ code: "aws/not-replaced" });
    expect(error.message).toContain("i-0a of m1 has another instance_type, key_name");
    expect(api.requests.filter(({ Action }) => Action !== "DescribeInstances")).toEqual([]);
  });

  const profileXml = (name: string, state: string): string =>
    `<item><associationId>iip-assoc-0a</associationId><instanceId>i-0a</instanceId><iamInstanceProfile><arn>arn:aws:iam::123456789012:instance-profile/own/${name}</arn></iamInstanceProfile><state>${state}</state></item>`;
  const associations = (...items: readonly string[]): Reply =>
    answer(
      "DescribeIamInstanceProfileAssociations",
      `<iamInstanceProfileAssociationSet>${items.join("")}</iamInstanceProfileAssociationSet>`,
    );
  it.each([
    ["Associate", "AssociateIamInstanceProfile", null, "b", { InstanceId: "i-0a", "IamInstanceProfile.Name": "b" }],
    [
      "Replace",
      "ReplaceIamInstanceProfileAssociation",
      "a",
      "b",
      { AssociationId: "iip-assoc-0a", "IamInstanceProfile.Name": "b" },
    ],
    ["Disassociate", "DisassociateIamInstanceProfile", "a", null, { AssociationId: "iip-assoc-0a" }],
  ])("gets another instance profile while it runs: %s", async (_, action, before, after, request) => {
    const listed = (name: string | null, state: string): Reply =>
      name === null ? associations() : associations(profileXml(name, state));
    const changing = after === null ? listed(before, "disassociating") : listed(after, "associating");
    api
      .on("DescribeIamInstanceProfileAssociations", listed(before, "associated"), changing, listed(after, "associated"))
      .on(action, answer(action, ""));
    const instance = { id: "i-0a", machine: "m1", profile: before };
    await ensureProfile(context, instance, { iam_instance_profile: after });
    expect(api.of(action)).toMatchObject([request]);
    const changes = api.requests.filter(({ Action }) => !/^Describe/.test(Action ?? ""));
    expect(changes).toHaveLength(1);
    await ensureProfile(context, { ...instance, profile: after }, { iam_instance_profile: after });
    expect(api.requests).toHaveLength(4);
  });

  it("A3: whose volume is gone ends with how to get another master", async () => {
    const running = instanceXml("i-0a", "running", tags).replace(
      "<placement>",
      "<keyName>operators</keyName><placement>",
    );
    api.on("DescribeInstances", instances(running)).on("DescribeVolumes", answer("DescribeVolumes", "<volumeSet/>"));
    const error = await errorOf(ensureKept(context, { ...wanted, volumeId: "vol-0a", otherInstance: "isRefused" }));
    expect(error).toMatchObject({ code: "aws/no-volume" });
    expect(error.message).toContain("-replace=haplan_machine.m1");
  });

  it("waits for its address while the instance before it is being terminated", async () => {
    const leaving = instanceXml("i-00", "shutting-down", { ...tags, "haplan:generation": "0" });
    const made = instanceXml("i-0a", "pending", tags);
    api
      .on("DescribeInstances", instances(), instances(leaving), instances(made))
      .on("RunInstances", failure("InvalidIPAddress.InUse", "Address 10.0.1.10 is in use."), run(made));
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0a" });
    expect(api.of("RunInstances").map(({ ClientToken }) => ClientToken)).toEqual([token(0), token(0)]);
  });

  it("is reported with AWS's state when it is terminated at its start", async () => {
    api.on("DescribeInstances", instances(instanceXml("i-0a", "terminated", tags)));
    const error = await errorOf(untilRunning(context, { id: "i-0a", machine: "m1" }));
    expect(error).toMatchObject({ code: "aws/not-running" });
    expect(error.message).toContain("KMS key");
  });

  it("is created although AWS throttles, closes a connection and fails at first", async () => {
    const made = instanceXml("i-0a", "pending", tags);
    api
      .on("DescribeInstances", instances(), instances(made))
      .on(
        "RunInstances",
        failure("RequestLimitExceeded", "Request limit exceeded.", 503),
        "cutOff",
        failure("InternalError", "try again", 500),
        run(made),
      );
    expect(await ensureInstance(context, wanted)).toMatchObject({ id: "i-0a" });
    expect(new Set(api.of("RunInstances").map(({ ClientToken }) => ClientToken))).toEqual(new Set([token(0)]));
    expect(api.of("RunInstances")).toHaveLength(4);
  });
});

describe("a call that fails", () => {
  it.each([
    ["ExpiredToken", "The security token included in the request is expired", "aws/credentials", "log in again"],
    [
      "AuthFailure",
      "AWS was not able to validate the provided access credentials",
      "aws/credentials",
      "aws sts get-caller-identity",
    ],
    ["UnauthorizedOperation", "You are not authorized to perform this operation.", "aws/not-authorized", "docs/aws.md"],
    ["InsufficientInstanceCapacity", "We currently do not have sufficient capacity", "aws/no-capacity", "another zone"],
    ["VcpuLimitExceeded", "You have requested more vCPU capacity than your limit", "aws/quota", "Service Quotas"],
    [
      "VolumeModificationRateExceeded",
      "You've reached the maximum modification rate per volume limit",
      "aws/volume-changed-lately",
      "apply again six hours after",
    ],
    ["InvalidKeyPair.NotFound", "The key pair 'operators' does not exist", "aws/not-found", "check the id"],
    ["InvalidIPAddress.InUse", "Address 10.0.1.10 is in use.", "aws/address-in-use", "an unused one"],
  ])(
    "with %s is reported with what haplan wanted, AWS's words, the request and what to do",
    async (code, message, own, advice) => {
      api.on("DescribeInstances", instances()).on("RunInstances", failure(code, message));
      const error = await errorOf(ensureInstance(context, wanted));
      expect(error.code).toBe(own);
      expect(error.message.split("\n").slice(0, 2)).toEqual([
        "Cannot create the instance of m1",
        `RunInstances failed: ${code}: ${message} (request id 4f1c-9a)`,
      ]);
      expect(error.message).toContain(advice);
    },
  );

  it("for want of credentials says where they come from", async () => {
    restore();
    restore = withEnvironment({
      ...emulatedEnvironment,
      AWS_ACCESS_KEY_ID: "",
      AWS_SECRET_ACCESS_KEY: "",
      HOME: "/nonexistent",
    });
    const error = await errorOf(ensureInstance(contextOf(spec), wanted));
    expect(error.code).toBe("aws/credentials");
    expect(error.message).toContain("AWS_PROFILE");
  });

  it("for want of a region says so", async () => {
    const { region: _, ...provider } = spec.provider;
    const without = contextOf({ ...spec, provider: provider as ClusterSpec["provider"] });
    const error = await errorOf(ensureInstance(without, wanted));
    expect(error).toMatchObject({ code: "aws/no-region" });
  });

  it("before the first apply is one error, and not one for each machine", async () => {
    const { region: _, ...provider } = spec.provider;
    const without = { ...spec, provider: provider as ClusterSpec["provider"] };
    const opened = await openProvider({ setAbsent: () => undefined }, without);
    const error = await errorOf(opened.observe(null, ["m1", "m2", "m3"]));
    expect(error).toMatchObject({ code: "aws/no-region" });
    await opened.close();
  });

  it("for all machines makes none of them absent", async () => {
    api
      .on("DescribeInstances", failure("UnauthorizedOperation", "You are not authorized", 403))
      .on("DescribeSecurityGroups", failure("UnauthorizedOperation", "no", 403));
    const absent: string[] = [];
    const provider = await openProvider({
      setAbsent: (names: ReadonlySet<string>) => absent.push(...names),
    });
    const found = await provider.observe("lineage-1", ["m1", "m2"]);
    expect(found.machines).toEqual([]);
    expect(found.unreachable.map(({ name }) => name)).toEqual(["m1", "m2"]);
    expect(found.unreachable[0]?.reason).toContain("UnauthorizedOperation");
    expect(found.unreachable[1]?.reason).toBe("AWS does not tell, for the same reason as of m1");
    expect(absent).toEqual(["m1", "m2"]);
    await provider.close();
  });
});

describe("the hosts of instances", () => {
  it("are asked for a lock where an instance runs, and nowhere else", async () => {
    api.on("DescribeInstances", instances(instanceXml("i-0a", "running", tags)));
    const locked: string[] = [];
    let absent: ReadonlySet<string> = new Set();
    const provider = await openProvider({
      setAbsent: (names: ReadonlySet<string>) => {
        absent = names;
      },
      lock: async () => void locked.push(...["m1", "m2", "w1"].filter((name) => !absent.has(name))),
    });
    await provider.lock({ id: "run" } as never, { timeoutMs: 0 });
    expect(locked).toEqual(["m1"]);
    await provider.close();
  });
});

describe("placement groups", () => {
  it("that exist are used", async () => {
    api.on("CreatePlacementGroup", failure("InvalidPlacementGroup.Duplicate", "already exists"));
    await ensurePlacementGroup(context, "lineage-1", "haplan-cloud-eu-central-1a");
    expect(api.of("CreatePlacementGroup")[0]).toMatchObject({
      GroupName: "haplan-cloud-eu-central-1a",
      Strategy: "spread",
    });
  });
});

describe("the host key", () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5qzC0ZkBvXfD3XbXz0nqk4m5vQe6j9n2o0r1s2t3u4";
  const printed = `[ 12.3] cloud-init
-----BEGIN SSH HOST KEY KEYS-----
ecdsa-sha2-nistp256 AAAAE2VjZHNh root@ip-10-0-1-10
${key} root@ip-10-0-1-10
-----END SSH HOST KEY KEYS-----
`;
  const consoleOutput = (text: string): ReturnType<typeof answer> =>
    answer("GetConsoleOutput", `<instanceId>i-0a</instanceId><output>${Buffer.from(text).toString("base64")}</output>`);
  const instance = { id: "i-0a", machine: "m1" } as FoundInstance;

  it("is the Ed25519 key that cloud-init has printed last", () => {
    expect(parseHostKey(printed)).toBe(key);
    expect(parseHostKey(`${printed.replaceAll("AAAAC3", "AAAAC4")}${printed}`)).toBe(key);
    expect(parseHostKey("[ 0.1] booting")).toBeNull();
    expect(parseHostKey(printed.replace("-----END SSH HOST KEY KEYS-----", ""))).toBeNull();
  });

  it("is waited for, and asked for without what the instance type does not have", async () => {
    api.on("GetConsoleOutput", failure("UnsupportedOperation", "not Nitro"), consoleOutput(""), consoleOutput(printed));
    expect(await readHostKey(context, instance)).toBe(key);
    expect(api.of("GetConsoleOutput").map(({ Latest }) => Latest)).toEqual(["true", undefined, "true"]);
  });

  it("that is never printed ends the wait with what to do", async () => {
    api.on("GetConsoleOutput", consoleOutput("booting"));
    const error = await errorOf(readHostKey(context, instance));
    expect(error.code).toBe("aws/timed-out");
    expect(error.message).toContain("hostKeyFrom: known_hosts");
  });
});
