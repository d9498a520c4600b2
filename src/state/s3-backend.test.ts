/** The state in a bucket: the SDK is the real one, the store behind HTTP is scripted and knows conditional writes. */
import { createHash } from "node:crypto";
import nock from "nock";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../base/clock.ts";
import { lockLeaseMs } from "./lock-holder.ts";
import { createS3Backend } from "./s3-backend.ts";
import { stateWith } from "./state.fixture.ts";
import type { StateBackend } from "./state-backend.ts";
import { stateBytesMax } from "./state-size.ts";
import { createStateStore, type StateStore } from "./state-store.ts";

const endpoint = "http://127.77.23.20:9000";
const objects = new Map<string, string>();
let requests: string[] = [];
/** Number of answers that get lost after the store has done what was asked. */
let lostAnswers = 0;
let knowsConditionalDeletes = true;
/** What happens in the store just before it deletes. */
let beforeDelete = (): void => {};
let ahead = 0;
const clock: Clock = {
  now: () => systemClock.now() + ahead,
  monotonicMs: () => systemClock.monotonicMs() + ahead,
  sleep: async (ms) => {
    ahead += ms;
  },
};

const credentials = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret", AWS_EC2_METADATA_DISABLED: "true" };
beforeAll(() => {
  Object.assign(process.env, credentials);
  if (!nock.isActive()) nock.activate();
  nock.disableNetConnect();
  nock(endpoint)
    .persist()
    .get(/.*/)
    .reply((uri) => {
      const text = objects.get(keyOf(uri));
      if (text === undefined) return [404, errorBody("NoSuchKey"), { "content-type": "application/xml" }];
      return [200, text, { etag: etagOf(text) }];
    })
    .put(/.*/)
    .reply(function (uri, body) {
      const answer = putObject(keyOf(uri), textOf(body), this.req.headers);
      requests.push(`PUT ${keyOf(uri)} ${answer[0]}`);
      if (answer[0] === 200 && lostAnswers > 0) {
        lostAnswers--;
        return [500, errorBody("InternalError")];
      }
      return answer;
    })
    .delete(/.*/)
    .reply(function (uri) {
      const answer = deleteObject(keyOf(uri), String(this.req.headers["if-match"] ?? ""));
      requests.push(`DELETE ${keyOf(uri)} ${answer[0]}`);
      if (answer[0] === 204 && lostAnswers > 0) {
        lostAnswers--;
        return [500, errorBody("InternalError")];
      }
      return answer;
    });
});
afterAll(() => {
  nock.cleanAll();
  nock.enableNetConnect();
  // Restores Node's own HTTP for the next test in this process.
  nock.restore();
  for (const name of Object.keys(credentials)) delete process.env[name];
});
beforeEach(() => {
  objects.clear();
  requests = [];
  lostAnswers = 0;
  knowsConditionalDeletes = true;
  beforeDelete = () => {};
  ahead = 0;
});

type Answer = [number, string, Record<string, string>];

function putObject(key: string, text: string, headers: Readonly<Record<string, unknown>>): Answer {
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return value === undefined ? undefined : String(value);
  };
  const present = objects.get(key);
  const match = header("if-match");
  if (header("if-none-match") === "*" && present !== undefined) return [412, errorBody("PreconditionFailed"), {}];
  if (match !== undefined && present === undefined) return [404, errorBody("NoSuchKey"), {}];
  if (match !== undefined && match !== etagOf(present ?? "")) return [412, errorBody("PreconditionFailed"), {}];
  if (header("if-none-match") === undefined && match === undefined) return [400, errorBody("Unconditional"), {}];
  objects.set(key, text);
  return [200, "", { etag: etagOf(text) }];
}

function deleteObject(key: string, match: string): [number, string] {
  const present = objects.get(key);
  beforeDelete();
  if (match !== "" && !knowsConditionalDeletes) return [501, errorBody("NotImplemented")];
  if (match !== "" && present === undefined) return [404, errorBody("NoSuchKey")];
  if (match !== "" && match !== etagOf(objects.get(key) ?? "")) return [412, errorBody("PreconditionFailed")];
  objects.delete(key);
  return [204, ""];
}

const keyOf = (uri: string): string => decodeURIComponent(uri.split("?")[0] ?? "");
const etagOf = (text: string): string => `"${createHash("md5").update(text).digest("hex")}"`;
const errorBody = (code: string): string => `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`;
const textOf = (body: unknown): string => (typeof body === "string" ? body : JSON.stringify(body));

const spec = {
  type: "s3",
  bucket: "states",
  prefix: "haplan",
  region: "eu-central-1",
  endpoint,
  forcePathStyle: true,
} as const;

function open(): StateBackend {
  return createS3Backend({ backend: spec, clusterName: "demo", clock });
}
const store = (backend: StateBackend, more: object = {}): StateStore =>
  createStateStore({ backend, encryption: null, environment: {}, ...more });

describe("state in a bucket", () => {
  it("comes back as it was written, every write on a condition", async () => {
    const backend = open();
    expect(await store(backend).read()).toBeNull();
    await store(backend).write(stateWith(1));
    await store(backend).write(stateWith(2));
    expect(await store(backend).read()).toEqual(stateWith(2));
    expect([...objects.keys()]).toEqual(["/states/haplan/demo/state.json"]);
    expect(backend.place).toBe("s3://states/haplan/demo/state.json");
    await store(backend).remove();
    expect(await store(backend).read()).toBeNull();
  });

  it("what another client has put there is not read into all memory", async () => {
    const backend = open();
    objects.set("/states/haplan/demo/state.json", " ".repeat(stateBytesMax + 1));
    await expect(backend.read()).rejects.toThrow(`${backend.place}: it is larger than 64 MiB`);
  });

  it("a concurrent write is not overwritten", async () => {
    const backend = open();
    const first = { text: '{"n":1}', expected: null, backup: null, fencing: null };
    await backend.write(first);
    await expect(backend.write({ ...first, text: '{"n":9}' })).rejects.toMatchObject({ code: "state/conflict" });
    const { version } = (await backend.read())!;
    await backend.write({ ...first, text: '{"n":2}', expected: version });
    await expect(backend.write({ ...first, expected: version })).rejects.toMatchObject({ code: "state/conflict" });
    await backend.remove(null);
    await expect(backend.write({ ...first, expected: version })).rejects.toMatchObject({ code: "state/conflict" });
  });

  it.each([1, 5])("T18: is written when the store kept it and %i answers were lost", async (lost) => {
    const backend = open();
    lostAnswers = lost;
    const first = { text: '{"n":1}', expected: null, backup: null, fencing: null };
    await backend.write(first);
    const { version } = (await backend.read())!;
    lostAnswers = lost;
    await backend.write({ ...first, text: '{"n":2}', expected: version });
    lostAnswers = 0;
    expect((await backend.read())?.text).toBe('{"n":2}');
    expect(requests[1]).toBe("PUT /states/haplan/demo/state.json 412");
    await expect(backend.write({ ...first, text: '{"n":3}', expected: version })).rejects.toMatchObject({
      code: "state/conflict",
    });
  });

  it("T18: a failure stays a failure when the text is not there", async () => {
    const backend = createS3Backend({
      backend: { ...spec, endpoint: "http://127.77.23.22:9000" },
      clusterName: "demo",
      clock,
    });
    nock("http://127.77.23.22:9000")
      .persist()
      .put(/.*/)
      .reply(500, errorBody("InternalError"))
      .get(/.*/)
      .reply(404, errorBody("NoSuchKey"));
    const write = backend.write({ text: "{}", expected: null, backup: null, fencing: null });
    await expect(write).rejects.toMatchObject({ code: "state/unreachable" });
  });

  it.each<readonly [string, () => void]>([
    ["on the condition that it is the one that was looked at", () => {}],
    ["when the answer was lost", () => void (lostAnswers = 1)],
    ["when the store knows no condition for it", () => void (knowsConditionalDeletes = false)],
  ])("T18: is removed under the lock, %s", async (_, arrange) => {
    const backend = open();
    const lock = await backend.acquireLock({ operation: "destroy", timeoutMs: 0 });
    await store(backend, { lock }).write(stateWith(1));
    arrange();
    await store(backend, { lock }).remove();
    expect(objects.has("/states/haplan/demo/state.json")).toBe(false);
    await store(backend, { lock }).remove();
    await lock.release();
  });

  it("T18: is not removed by who has lost the lock, nor when it was written just before", async () => {
    const backend = open();
    const slept = await backend.acquireLock({ operation: "destroy", timeoutMs: 0 });
    await store(backend, { lock: slept }).write(stateWith(1));
    const { id } = (await backend.lockHolder())!;
    await backend.forceUnlock(id);
    await expect(backend.remove(slept.fencing)).rejects.toMatchObject({ code: "lock/lost" });
    const next = await open().acquireLock({ operation: "apply", timeoutMs: 0 });
    await expect(backend.remove(slept.fencing)).rejects.toMatchObject({ code: "lock/lost" });
    beforeDelete = () => void objects.set("/states/haplan/demo/state.json", "another's");
    await expect(backend.remove(next.fencing)).rejects.toMatchObject({ code: "state/conflict" });
    expect(objects.get("/states/haplan/demo/state.json")).toBe("another's");
    await next.release();
  });

  it("a sealed state tells the bucket nothing", async () => {
    const more = { encryption: { passphraseEnv: "PASS" }, environment: { PASS: "a passphrase of some length" } };
    await store(open(), more).write(stateWith(1));
    expect([...objects.values()].join()).not.toContain("haplan_machine");
    expect(await store(open(), more).read()).toEqual(stateWith(1));
  });

  it("a bucket that answers with an error says which bucket it was", async () => {
    const backend = createS3Backend({
      backend: {
        type: "s3",
        bucket: "states",
        prefix: "",
        region: "eu-central-1",
        endpoint: "http://127.77.23.21:9000",
        forcePathStyle: true,
      },
      clusterName: "demo",
      clock,
    });
    nock("http://127.77.23.21:9000").persist().get(/.*/).reply(403, errorBody("AccessDenied"));
    await expect(backend.read()).rejects.toMatchObject({ code: "state/unreachable" });
    await expect(backend.read()).rejects.toThrow("s3://states/demo/");
  });
});

describe("the lock in a bucket", () => {
  const apply = { operation: "apply", timeoutMs: 0 };

  it("is held by one at a time, names its holder, and numbers its holders", async () => {
    const lock = await open().acquireLock(apply);
    await expect(open().acquireLock(apply)).rejects.toThrow(new RegExp(`pid ${process.pid}`));
    expect(await open().lockHolder()).toMatchObject({ operation: "apply", pid: process.pid });
    await lock.release();
    expect(await open().lockHolder()).toBeNull();
    const next = await open().acquireLock(apply);
    expect([lock.fencing, next.fencing]).toEqual([1, 2]);
    await expect(lock.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    await next.release();
  });

  it("of many that come at once exactly one gets it", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => open().acquireLock(apply)));
    const [won, ...more] = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(more).toEqual([]);
    await won?.release();
  });

  it("a holder that was killed is waited for until its time is up", async () => {
    const killed = await open().acquireLock(apply);
    const started = ahead;
    const next = await open().acquireLock({ operation: "apply", timeoutMs: 60_000 });
    expect(ahead - started).toBeGreaterThanOrEqual(lockLeaseMs);
    expect(next.fencing).toBe(2);
    await expect(killed.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    await killed.release();
    expect(await open().lockHolder()).toMatchObject({ released: false });
    await next.release();
  });

  it("R small: a holder whose lease expired renews it, if no other run has taken it", async () => {
    const sleeper = await open().acquireLock(apply);
    ahead += lockLeaseMs + 60_000;
    await sleeper.assertHeld();
    await expect(open().acquireLock(apply)).rejects.toMatchObject({ code: "lock/held" });
    ahead += lockLeaseMs + 60_000;
    const next = await open().acquireLock(apply);
    await expect(sleeper.assertHeld()).rejects.toMatchObject({ code: "lock/lost" });
    await sleeper.release();
    await next.assertHeld();
    await next.release();
  });

  it("is ours when the store has written it and the answer was lost", async () => {
    lostAnswers = 1;
    const lock = await open().acquireLock(apply);
    expect(requests.filter((request) => request.includes("lock.json"))).toEqual([
      "PUT /states/haplan/demo/lock.json 200",
      "PUT /states/haplan/demo/lock.json 412",
    ]);
    await lock.assertHeld();
    await lock.release();
    expect(await open().lockHolder()).toBeNull();
  });

  it("that is forced open must be named", async () => {
    const lock = await open().acquireLock(apply);
    await expect(open().forceUnlock("another")).rejects.toMatchObject({ code: "lock/not-held" });
    const { id } = (await open().lockHolder())!;
    expect(await open().forceUnlock(id)).toMatchObject({ id });
    const next = await open().acquireLock(apply);
    await lock.release();
    await next.assertHeld();
    expect(await open().lockHolder()).not.toBeNull();
    await next.release();
  });
});
