import { describe, expect, it } from "vitest";
import type { UnitDefinition } from "../units/unit-definition.ts";
import type { HostCallName, HostRequest } from "./host-calls.ts";
import {
  decodeAnswer,
  decodeGreeting,
  decodeRequest,
  decodeResult,
  encodeAnswer,
  encodeRequest,
} from "./host-protocol.ts";

const identity = { name: "m1", address: "10.0.0.1", zone: null, lineage: "l", generation: 1 };
const unit: UnitDefinition = {
  name: "agent",
  program: { kind: "haplan", command: "haplan-agent" },
  arguments: ["--name=m1"],
  environment: { A: "b" },
  files: [
    { path: "text", content: 'line one\nline "two"\u2028', mode: 0o600 },
    { path: "bytes", content: new Uint8Array([0, 255, 10]), mode: 0o644 },
  ],
  listens: ["10.0.0.1:2379"],
  reload: { signal: null, files: ["text"] },
};

const task = {
  name: "join",
  command: "kubeadm",
  arguments: ["join"],
  files: [{ path: "a", content: "b", mode: 0o600 }],
};

const readCommand = {
  program: { kind: "haplan", command: "haplan-agent" },
  arguments: ["data", "export", "--data-dir=@DATA@", "--out=@EXPORT@"],
} as const;

describe("a request", () => {
  const requests: { readonly [Call in HostCallName]: HostRequest<Call>["arguments"] } = {
    facts: [],
    lock: [{ id: "a", user: "admin", host: "here", pid: 1, operation: "apply", createdAt: 1_700_000_000_000 }],
    observe: [null, ["m1"]],
    observeOrphans: [],
    preflight: [
      {
        machines: [identity],
        units: [{ machine: "m1", unit }],
        space: [{ machine: "m1", bytes: 2 ** 33 }],
        network: [],
        certificateAgeMs: null,
      },
    ],
    installPackages: ["m1", ["etcd"]],
    createMachine: [{ ...identity, beside: 1, attributes: {} }],
    renameMachine: ["m1", "m2"],
    destroyMachine: [{ name: "m1", generation: 2 }],
    startUnit: ["m1", unit],
    revertUnit: ["m1", "agent"],
    stopUnit: ["m1", "agent", 5_000],
    disturbUnit: ["m1", "agent", { kind: "pause", forMs: 5_000 }],
    restoreData: [
      "m1",
      {
        id: "0123",
        snapshot: "/var/lib/haplan/.restore/m1.db",
        command: {
          programs: [{ kind: "haplan", command: "haplan-agent" }],
          arguments: ["snapshot", "restore", "@SNAPSHOT@", "--data-dir=@DATA@"],
          environment: { ETCDCTL_API: "3" },
        },
        programsDir: "/opt/haplan/x/cmd",
      },
    ],
    readData: ["m1", { command: readCommand, programsDir: "/opt/haplan/x/cmd" }],
    exportData: ["m1", { command: readCommand, id: "0123", file: "/var/lib/haplan/.restore/m1.export.db" }],
    removeUnit: ["m1", "agent"],
    unitLog: ["m1", "agent", 10],
    readUnitFile: ["m1", "agent", "tls/ca.crt"],
    answersLocally: ["m1", "agent", "https://10.0.0.1:2379"],
    askUnit: ["load-balancer", "load-balancer", "admin.sock", "show stat"],
    runTask: ["m1", "kubeadm", task],
    startTask: [{ name: "m1", generation: 2 }, "kubeadm", task],
    taskReport: ["m1", "kubeadm", { ...task, doneWhile: "/etc/kubernetes/kubelet.conf" }],
  };

  it.each(Object.entries(requests))("of %s is one line, and read as it was written", (call, given) => {
    const request = { id: 7, call, arguments: given } as HostRequest;
    const line = encodeRequest(request);
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(decodeRequest(line.trimEnd())).toEqual(request);
  });

  it.each<[string, object, string]>([
    ["an unknown call", { id: 1, call: "reboot", arguments: [] }, 'haplan-host has no call "reboot"'],
    ["a name of Object's", { id: 1, call: "toString", arguments: [] }, 'haplan-host has no call "toString"'],
    ["an argument too few", { id: 1, call: "observe", arguments: [null] }, 'The arguments of "observe" are not valid'],
    ["an argument too many", { id: 1, call: "facts", arguments: [1] }, 'The arguments of "facts" are not valid'],
    [
      "a wrong type",
      { id: 1, call: "removeUnit", arguments: ["m1", 3] },
      'The arguments of "removeUnit" are not valid',
    ],
    [
      "a file without content",
      { id: 1, call: "startUnit", arguments: ["m1", { ...unit, files: [{ path: "a", mode: 384 }] }] },
      'The arguments of "startUnit" are not valid',
    ],
    [
      "content that is neither text nor bytes",
      {
        id: 1,
        call: "startUnit",
        arguments: ["m1", { ...unit, files: [{ path: "a", mode: 384, content: { x: 1 } }] }],
      },
      'The arguments of "startUnit" are not valid',
    ],
  ])("with %s is rejected under its id", (_, request, message) => {
    expect(decodeRequest(JSON.stringify(request))).toMatchObject({ id: 1, rejected: { message } });
  });

  it.each(["", "no JSON", "[]", '{"id":-1,"call":"facts","arguments":[]}', '{"call":"facts","arguments":[]}'])(
    "without an id to answer it under is an error: %s",
    (line) => {
      expect(() => decodeRequest(line)).toThrow("A line on standard input is not a request");
    },
  );
});

describe("an answer", () => {
  it.each([
    { id: 1, result: { pid: 4 } },
    { id: 1, result: null },
    { id: 2, error: { code: "a/b", message: "c\nd" } },
  ])("is read as it was written: %j", (answer) => {
    expect(decodeAnswer(encodeAnswer(answer).trimEnd())).toEqual(answer);
  });

  it.each(["bash: warning", "{}", '{"id":1}', '{"id":1,"error":"text"}'])("is not: %s", (line) => {
    expect(() => decodeAnswer(line)).toThrow(`The host wrote a line that is not an answer: ${JSON.stringify(line)}`);
  });

  it("must have the result of its call", () => {
    expect(decodeResult("startUnit", { pid: null })).toEqual({ pid: null });
    for (const result of [null, {}, { pid: "4" }])
      expect(() => decodeResult("startUnit", result)).toThrow('The host answered "startUnit" with an invalid result');
  });
});

describe("a greeting", () => {
  it("says the protocol, the version and the process", () => {
    const greeting = { protocol: 1, version: "0.1.0", pid: 812 };
    expect(decodeGreeting(JSON.stringify(greeting))).toEqual(greeting);
  });

  it("of another protocol is rejected", () => {
    expect(() => decodeGreeting('{"protocol":2,"version":"0.9.0","pid":1}')).toThrow(
      "haplan-host 0.9.0 on the host speaks protocol 2, this haplan speaks 1",
    );
  });

  it("is not what a shell prints", () => {
    expect(() => decodeGreeting("Welcome to h1!")).toThrow(
      'The host did not start haplan-host, but wrote "Welcome to h1!"',
    );
  });
});
