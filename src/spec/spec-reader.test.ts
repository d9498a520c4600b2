import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { providerSchemas } from "../providers/registry.ts";
import { specReader } from "../providers/spec-reader.ts";
import { editorSchema, renderEditorSchema } from "./cluster-schema.ts";
import { specBytesMax } from "./read-source.ts";

const { load: loadSpec, parse: parseSpec } = specReader;

const root = new URL("../..", import.meta.url).pathname;
const directory = mkdtempSync(join(tmpdir(), "haplan-spec-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const minimal = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: local }
  controlPlane: { members: 3 }
`;

/** The minimal spec with some text replaced. */
function changed(from: string | RegExp, to: string): string {
  const text = minimal.replace(from, to);
  if (text === minimal) throw new Error(`nothing to replace: ${from}`);
  return text;
}

/** Diagnostics as `code line:column`. */
function places(text: string): readonly string[] {
  return parseSpec("cluster.yaml", text).diagnostics.map(
    ({ code, range }) => `${code} ${range?.start.line}:${range?.start.column}`,
  );
}

function written(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe("the etcd that masters run", () => {
  const withEtcd = (engine: string, etcd: string): string =>
    minimal.replace("members: 3 }", `members: 3, engine: ${engine}, etcd: ${etcd} }`);

  it("is a path and a version", () => {
    const { spec } = parseSpec("cluster.yaml", withEtcd("etcd", "{ binary: /opt/etcd, version: 3.6.14 }"));
    expect(spec?.controlPlane.etcd).toEqual({ binary: "/opt/etcd", version: "3.6.14" });
  });

  it.each([
    ["agent", "{ binary: /opt/etcd, version: 3.6.14 }", "spec/etcd-without-engine 6:52"],
    ["etcd", "{ binary: etcd, version: 3.6.14 }", "spec/bad-value 6:61"],
    ["etcd", "{ binary: /opt/etcd, version: v3.6 }", "spec/bad-value 6:81"],
    ["etcd", "{ binary: /opt/etcd }", "spec/missing-key 6:45"],
    ["etcd", "{ version: 3.6.14 }", "spec/etcd-place 6:51"],
    ["etcd", "{ binary: /opt/etcd, version: 3.5.7, httpPort: 2383 }", "spec/etcd-http-port 6:98"],
    ["etcd", "{ binary: /opt/etcd, version: 3.5.8, httpPort: 2380 }", "spec/duplicate-port 6:98"],
    // The fixture's provider is local: the file is there already.
    ["etcd", `{ archive: { file: a.tgz, sha256: ${"a".repeat(64)} }, version: 3.6.14 }`, "spec/etcd-archive 6:62"],
  ])("rejects %s with %s", (engine, etcd, place) => {
    expect(places(withEtcd(engine, etcd))).toEqual([place]);
  });
});

describe("a good spec", () => {
  it("the example has three masters, a load balancer and two workers", () => {
    const { spec, diagnostics, sourceDigest } = loadSpec(join(root, "examples/ha-3-masters.yaml"));
    expect(diagnostics).toEqual([]);
    expect(sourceDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(spec).toEqual({
      name: "demo",
      provider: { type: "local" },
      state: { backend: { type: "local" }, encryption: null },
      controlPlane: {
        members: 3,
        engine: "agent",
        clientPort: 2379,
        peerPort: 2380,
        tls: { enabled: true },
        electionTimeoutMs: 1000,
        heartbeatIntervalMs: 100,
        masters: [
          { name: "m1", zone: "a", address: "127.0.1.1" },
          { name: "m2", zone: "b", address: "127.0.1.2" },
          { name: "m3", zone: "c", address: "127.0.1.3" },
        ],
      },
      workers: [
        { name: "w1", zone: null, address: "127.0.1.11" },
        { name: "w2", zone: null, address: "127.0.1.12" },
      ],
      loadBalancer: { type: "embedded", address: "127.0.1.100", ports: [2379] },
      policy: {
        maxLearnerLagEntries: 1000,
        healthSamples: 3,
        joinTimeoutMs: 300_000,
        upgradeWatchMs: 10_000,
        backupBeforeMembershipChange: false,
        allowEvenSteps: false,
        renewBeforeDays: 90,
      },
    });
  });

  it("a local spec that lists no masters gets them derived", () => {
    const spec = parseSpec("f", changed("3 }", "5 }")).spec;
    expect(spec?.controlPlane.masters.map(({ name, address }) => `${name} ${address}`)).toEqual([
      "m1 127.0.1.1",
      "m2 127.0.1.2",
      "m3 127.0.1.3",
      "m4 127.0.1.4",
      "m5 127.0.1.5",
    ]);
  });

  it("the load balancer listens on the client port unless told otherwise", () => {
    const spec = parseSpec("f", changed("members: 3 }", "members: 3, clientPort: 4001 }")).spec;
    expect(spec?.loadBalancer).toEqual({ type: "embedded", address: "127.0.1.100", ports: [4001] });
  });

  it("listed masters need no members beside them", () => {
    const masters = [1, 2, 3].map((index) => `{ name: a${index}, address: 127.0.9.${index} }`).join(", ");
    const { spec, diagnostics } = parseSpec("f", changed("members: 3", `masters: [${masters}]`));
    expect(diagnostics).toEqual([]);
    expect(spec?.controlPlane.members).toBe(3);
  });

  it("aliases are expanded", () => {
    const text = `${changed("{ name: demo }", "{ name: &name demo }")}  workers: [{ name: *name, address: 127.0.1.9 }]\n`;
    expect(parseSpec("f", text).spec?.workers).toEqual([{ name: "demo", zone: null, address: "127.0.1.9" }]);
  });
});

describe("member counts", () => {
  it.each([
    [0, "spec/too-few-members", "Write 3"],
    [1, "spec/too-few-members", "Write 3"],
    [2, "spec/too-few-members", "Write 3"],
    [4, "spec/even-members", "Write 3 or 5"],
    [6, "spec/even-members", "Write 5 or 7"],
    [8, "spec/too-many-members", "Write 7, 5 or 3"],
    [9, "spec/too-many-members", "Write 7, 5 or 3"],
    [-3, "spec/too-few-members", "Write 3"],
    [1_000_000_000, "spec/too-many-members", "Write 7, 5 or 3"],
  ])("%i is rejected with a reason, the table and what to write", (members, code, advice) => {
    const { spec, diagnostics } = parseSpec("cluster.yaml", changed("members: 3", `members: ${members}`));
    expect(spec).toBeNull();
    expect(diagnostics).toHaveLength(1);
    const [diagnostic] = diagnostics;
    expect(diagnostic).toMatchObject({ code, address: "spec.controlPlane.members" });
    expect(diagnostic?.range?.start).toMatchObject({ line: 6, column: 28 });
    expect(diagnostic?.snippet).toContain(`members: ${members}`);
    expect(diagnostic?.detail).toMatch(/instances +quorum +fault tolerance/);
    expect(diagnostic?.detail).toContain(advice);
  });

  it("the number of listed masters must be the number asked for", () => {
    const text = changed("members: 3", "members: 3, masters: [{ name: a, address: 127.0.9.1 }]");
    expect(places(text)).toEqual(["spec/members-mismatch 6:28"]);
  });

  it("listed masters are counted when members is not given", () => {
    const text = changed("members: 3", "masters: [{ name: a, address: 127.0.9.1 }]");
    expect(places(text)).toEqual(["spec/too-few-members 6:28"]);
  });

  it.each(['"3"', "3.5", "three", "[3]", "", "true", ".nan"])("members: %s has the wrong type", (value) => {
    expect(places(changed("members: 3", `members: ${value}`))).toEqual([expect.stringContaining("spec/wrong-type 6:")]);
  });
});

describe("mistakes", () => {
  it.each([
    [
      "an unknown key with a neighbor",
      changed("members", "membres"),
      ["spec/missing-key 6:3", "spec/unknown-key 6:19"],
    ],
    ["an unknown provider", changed("local", "gcp"), ["spec/bad-value 5:21"]],
    ["a wrong apiVersion", changed("dev/v1", "dev/v2"), ["spec/newer-version 1:13"]],
    ["a wrong kind", changed("Cluster", "Custer"), ["spec/bad-value 2:7"]],
    ["a bad cluster name", changed("demo", "../demo"), ["spec/bad-value 3:19"]],
    ["a list instead of a mapping", changed("{ members: 3 }", "[3]"), ["spec/wrong-type 6:17"]],
    ["a key without a value", `${minimal}  workers:\n`, ["spec/wrong-type 7:3"]],
    ["a duplicate key", `${minimal}kind: Cluster\n`, ["spec/duplicate-key 7:1"]],
    ["two documents", `${minimal}---\n${minimal}`, ["spec/several-documents 7:1"]],
    ["a tab", changed("  provider", "\tprovider"), ["spec/tab 5:1"]],
    ["an unknown alias", changed("demo", "*demo"), ["spec/unknown-anchor 3:19"]],
    ["one and the same port", changed("3 }", "3, peerPort: 2379 }"), ["spec/duplicate-port 6:41"]],
    ["a port out of range", changed("3 }", "3, peerPort: 70000 }"), ["spec/bad-value 6:41"]],
    ["a hasty election", changed("3 }", "3, electionTimeoutMs: 400 }"), ["spec/election-timeout 6:50"]],
    ["a slow election", changed("3 }", "3, electionTimeoutMs: 50001 }"), ["spec/bad-value 6:50"]],
    ["nothing but a text", "hello", ["spec/wrong-type 1:1"]],
    ["an empty file", "", ["spec/empty 1:1"]],
    ["nothing but comments", "# hello\n", ["spec/empty 1:1"]],
    ["no member count at all", changed("members: 3", ""), ["spec/missing-key 6:3"]],
    ["an unknown control character", changed("demo", "de\u0000mo"), [expect.stringMatching(/^spec\//)]],
  ])("%s is found at its place", (_, text, expected) => {
    expect(parseSpec("cluster.yaml", text).spec).toBeNull();
    expect(places(text)).toEqual(expected);
  });

  it("a misspelt key gets the right one suggested", () => {
    const { diagnostics } = parseSpec("f", changed("members", "membres"));
    expect(diagnostics.map(({ detail }) => detail).join()).toContain('Did you mean "members"?');
  });

  it("names are shared by masters, workers and the load balancer", () => {
    const text = `${minimal}  workers:
    - { name: m1, address: 127.0.1.11 }
    - { name: load-balancer, address: 127.0.1.12 }
    - { name: w1, address: 127.0.1.13 }
    - { name: w1, address: 127.0.1.14 }
    - { name: admin, address: 127.0.1.15 }
    - { name: root, address: 127.0.1.16 }
`;
    expect(places(text)).toEqual([
      "spec/duplicate-name 8:15",
      "spec/duplicate-name 9:15",
      "spec/duplicate-name 11:15",
      "spec/duplicate-name 12:15",
      "spec/duplicate-name 13:15",
    ]);
  });

  it("addresses belong to one machine each and to the loopback network", () => {
    const text = `${minimal}  workers:
    - { name: w1, address: 127.0.1.3 }
    - { name: w2, address: 127.0.1.100 }
    - { name: w3, address: 10.0.0.1 }
    - { name: w4, address: localhost }
    - { name: w5, address: "127.0.1.9:2379" }
`;
    expect(places(text)).toEqual([
      "spec/duplicate-address 8:28",
      "spec/duplicate-address 9:28",
      "spec/bad-address 10:28",
      "spec/bad-address 11:28",
      "spec/bad-address 12:28",
    ]);
  });

  it("all of them are told in one go, in the order of the file", () => {
    const text = `${minimal.replace("dev/v1", "dev/one").replace("demo", "Demo").replace("3", "4")}  polcy: {}\n  workers: 7\n`;
    expect(places(text)).toEqual([
      "spec/bad-value 1:13",
      "spec/bad-value 3:19",
      "spec/even-members 6:28",
      "spec/unknown-key 7:3",
      "spec/wrong-type 8:12",
    ]);
  });

  it.each([
    ["kind: Cluster\n", "", "Add `kind: Cluster`."],
    ["metadata: { name: demo }", "metadata: {}", /^Add `name: demo`, a DNS label: /],
    ["controlPlane: { members: 3 }", "controlPlan: { members: 3 }", /^Add `controlPlane:`, the masters and /],
    ["members: 3", "members: 3, adopt: {}", /^Add `endpoints:`, a list of client URLs/],
  ])("without %j give a line to add", (from, to, detail) => {
    const { diagnostics } = parseSpec("f", changed(from, to));
    const missing = diagnostics.filter(({ code }) => code === "spec/missing-key");
    expect(missing.map((each) => each.detail)).toEqual([expect.stringMatching(detail)]);
  });

  it("every one says what to write instead", () => {
    const text = `${minimal.replace("dev/v1", "dev/one").replace("demo", "Demo").replace("3", "4")}  polcy: {}\n  workers: 7\n`;
    for (const { detail } of parseSpec("f", text).diagnostics) expect(detail).toMatch(/Write|Known keys/);
  });
});

describe("hostile files", () => {
  it("a missing file is named", () => {
    expect(loadSpec(join(directory, "none.yaml")).diagnostics).toMatchObject([{ code: "spec/missing-file" }]);
  });

  it("a directory is not a spec", () => {
    expect(loadSpec(directory).diagnostics).toMatchObject([{ code: "spec/not-a-file" }]);
  });

  it("a file of 10 MB is rejected before it is parsed", () => {
    const path = written("large.yaml", minimal);
    truncateSync(path, 10_000_000);
    expect(loadSpec(path)).toMatchObject({ spec: null, sourceDigest: null, diagnostics: [{ code: "spec/too-large" }] });
  });

  it("an endless file is rejected", () => {
    expect(loadSpec("/dev/zero").diagnostics).toMatchObject([{ code: "spec/too-large" }]);
  });

  it("a text that is not UTF-8 is rejected", () => {
    const path = written("latin.yaml", Buffer.from("metadata: { name: caf\xe9 }\n", "latin1"));
    expect(loadSpec(path).diagnostics).toMatchObject([{ code: "spec/not-utf8" }]);
  });

  it("an alias bomb is rejected before it unfolds", () => {
    const levels = Array.from({ length: 20 }, (_, level) => {
      const item = level === 0 ? "lol" : `*a${level - 1}`;
      return `a${level}: &a${level} [${Array(9).fill(item).join(", ")}]`;
    });
    expect(parseSpec("f", levels.join("\n")).diagnostics).toMatchObject([{ code: "spec/too-many-values" }]);
  });

  it("an alias inside its own anchor is rejected", () => {
    expect(parseSpec("f", "a: &a [*a]").diagnostics).toContainEqual(
      expect.objectContaining({ code: "spec/unknown-anchor" }),
    );
  });

  it("deep nesting is rejected", () => {
    expect(parseSpec("f", "[".repeat(100_000)).diagnostics[0]?.code).toMatch(/^spec\/(too-deep|yaml)$/);
    expect(parseSpec("f", `${"[".repeat(200)}${"]".repeat(200)}`).diagnostics).toMatchObject([
      { code: "spec/too-deep" },
    ]);
  });

  it("a flood of unknown keys is cut short", () => {
    const text = `${minimal}${Array.from({ length: 10_000 }, (_, index) => `key${index}: 1\n`).join("")}`;
    const { diagnostics } = parseSpec("f", text);
    expect(diagnostics).toHaveLength(51);
    expect(diagnostics.at(-1)?.summary).toBe("... and 9950 more");
  });

  it("no text makes the loader throw, and a spec comes without diagnostics or not at all", () => {
    const scraps = fc.constantFrom(
      ..."&a *a [ ] { } : - ? | > ' \" # ! % @ ` \t \n , ~ << 3 members spec".split(" "),
      "\n",
      " ",
    );
    const mutated = fc
      .tuple(fc.nat(minimal.length), fc.nat(20), fc.array(scraps, { maxLength: 6 }))
      .map(([at, length, inserted]) => minimal.slice(0, at) + inserted.join("") + minimal.slice(at + length));
    fc.assert(
      fc.property(
        fc.oneof(
          mutated,
          fc.array(scraps, { maxLength: 40 }).map((all) => all.join(" ")),
        ),
        (text) => {
          const { spec, diagnostics } = parseSpec("f", text);
          expect(spec === null).toBe(diagnostics.length > 0);
          for (const { range } of diagnostics) expect(range?.start.line).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("the limit is 1 MiB", () => {
    expect(specBytesMax).toBe(1_048_576);
    const padded = `${minimal}#${" ".repeat(specBytesMax - minimal.length - 1)}`;
    expect(loadSpec(written("full.yaml", padded)).diagnostics).toEqual([]);
    expect(loadSpec(written("over.yaml", `${padded} `)).diagnostics).toMatchObject([{ code: "spec/too-large" }]);
  });
});

describe("the schema", () => {
  it("is the one that editors load (`haplan schema > schema/cluster.schema.json` renews it)", () => {
    expect(readFileSync(join(root, "schema/cluster.schema.json"), "utf8")).toBe(renderEditorSchema(providerSchemas));
  });

  it("refuses unknown keys at every level", () => {
    const objects: unknown[] = [];
    const walk = (schema: unknown): void => {
      if (typeof schema !== "object" || schema === null) return;
      if ("properties" in schema) objects.push((schema as { additionalProperties?: unknown }).additionalProperties);
      // A condition says which provider the rest is for: it refuses nothing.
      for (const [key, value] of Object.entries(schema)) if (key !== "if") walk(value);
    };
    walk(editorSchema(providerSchemas));
    expect(objects.length).toBeGreaterThan(7);
    expect(new Set(objects)).toEqual(new Set([false]));
  });
});

describe("members to be adopted", () => {
  const example = readFileSync(join(root, "examples/2-to-3.yaml"), "utf8");
  const codes = (text: string): string[] => parseSpec("f", text).diagnostics.map(({ code }) => code);

  it("are masters with the endpoint where they answer", () => {
    const { spec, diagnostics } = parseSpec("f", example);
    expect(diagnostics).toEqual([]);
    expect(spec?.controlPlane.masters).toEqual([
      { name: "m1", zone: null, address: "127.0.2.1", adoptedAt: "http://127.0.2.1:2379" },
      { name: "m2", zone: null, address: "127.0.2.2", adoptedAt: "http://127.0.2.2:2379" },
      { name: "m3", zone: null, address: "127.0.2.3" },
    ]);
    expect(spec?.controlPlane.engine).toBe("etcd");
  });

  it.each([
    ["with TLS", "enabled: false", "enabled: true", "spec/adopt-tls"],
    ["at an address that no master has", "http://127.0.2.2:2379", "http://127.0.2.9:2379", "spec/adopt-unlisted"],
    ["twice at one address", "http://127.0.2.2:2379", "http://127.0.2.1:2399", "spec/adopt-twice"],
    ["without a port", "http://127.0.2.2:2379", "http://127.0.2.2", "spec/bad-value"],
  ])("are refused %s", (_, from, to, code) => {
    expect(codes(example.replace(from, to))).toContain(code);
  });
});

describe("zones", () => {
  const zonesOf = (controlPlane: string): unknown => {
    const head =
      "apiVersion: haplan.dev/v1\nkind: Cluster\nmetadata: { name: z }\nspec:\n  provider: { type: local }\n";
    const { spec, diagnostics } = parseSpec("f", `${head}  controlPlane: ${controlPlane}\n`);
    return spec?.controlPlane.masters.map(({ zone }) => zone).join(" ") ?? diagnostics;
  };

  it.each([
    ["are filled in turn", "{ members: 5, zones: [a, b, c] }", "a b c a b"],
    [
      "take what masters say themselves into account",
      "{ zones: [a, b], masters: [{ name: m1, address: 127.0.1.1, zone: a }, { name: m2, address: 127.0.1.2, zone: a }, { name: m3, address: 127.0.1.3 }] }",
      "a a b",
    ],
  ])("%s", (_, controlPlane, expected) => {
    expect(zonesOf(controlPlane)).toBe(expected);
  });
});
