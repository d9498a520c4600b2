/** Reports no. 12: merge keys, and keys that are for the writer of a spec and not for haplan. */
import { describe, expect, it } from "vitest";
import { specReader } from "../providers/spec-reader.ts";
import { formatSpec } from "./format-spec.ts";
import { readYaml } from "./yaml-document.ts";

const parseSpec = specReader.parse;

const spec = `apiVersion: haplan.dev/v1
kind: Cluster
x-note: costs $5 a month, \${MISSING} knows why
x-host: &host { zone: a, address: 127.0.1.9 }
metadata: { name: demo, x-team: { name: platform } }
spec:
  x-ports: &ports { clientPort: 4001, peerPort: 4002 }
  controlPlane:
    <<: *ports
    clientPort: 5001
    masters:
      - { <<: *host, name: m1, address: 127.0.1.1 }
      - { name: m2, address: 127.0.1.2, <<: *host }
      - <<: [{ zone: b }, *host]
        name: m3
        address: 127.0.1.3
`;

const full = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: local }
  state: { backend: local }
  controlPlane:
    members: 3
    tls: { enabled: true }
    masters:
      - { name: m1, address: 127.0.1.1 }
      - { name: m2, address: 127.0.1.2 }
      - { name: m3, address: 127.0.1.3 }
  workers: [{ name: w1, address: 127.0.1.9 }]
  loadBalancer: { type: embedded }
  policy: { healthSamples: 5 }
`;

describe("12: a spec with merge keys and x- keys", () => {
  it("is what it unfolds to; what a mapping says itself counts, wherever the merge stands", () => {
    const { spec: read, diagnostics } = parseSpec("f.yaml", spec);
    expect(diagnostics).toEqual([]);
    expect(read?.controlPlane).toMatchObject({ clientPort: 5001, peerPort: 4002 });
    expect(read?.controlPlane.masters).toEqual([
      { name: "m1", zone: "a", address: "127.0.1.1" },
      { name: "m2", zone: "a", address: "127.0.1.2" },
      { name: "m3", zone: "b", address: "127.0.1.3" },
    ]);
  });

  it.each([
    ["the top of the file", "kind: Cluster", "kind: Cluster\nx-a: { b: [1] }"],
    ["metadata", "{ name: demo }", "{ x-a: 1, name: demo }"],
    ["spec", "spec:", "spec:\n  x-a: text"],
    ["spec.provider", "type: local", "x-a: true, type: local"],
    ["spec.state", "backend: local", "backend: local, x-a: null"],
    ["spec.controlPlane", "members: 3", "members: 3\n    x-a: { members: 4 }"],
    ["spec.controlPlane.tls", "enabled: true", "enabled: true, x-a: 1"],
    ["a master", "name: m1", "name: m1, x-a: { name: m9 }"],
    ["a worker", "name: w1", "name: w1, x-a: [m1]"],
    ["spec.loadBalancer", "type: embedded", "type: embedded, x-port: 1"],
    ["spec.policy", "healthSamples: 5", "healthSamples: 5, x-a: 1"],
  ])("may hold a key that begins with x- in %s, which changes nothing", (_, from, to) => {
    const text = full.replace(from, to);
    expect(text).not.toBe(full);
    const { spec: read, diagnostics } = parseSpec("f.yaml", text);
    expect(diagnostics).toEqual([]);
    expect(read).toEqual(parseSpec("f.yaml", full).spec);
    expect(formatSpec(text)).toContain("x-");
  });

  it.each([
    ["spec", "spec:", "spec:\n  <<: { policy: { renewBeforeDays: 7 } }", { policy: { healthSamples: 5 } }],
    [
      "spec.policy",
      "{ healthSamples: 5 }",
      "{ <<: { healthSamples: 9, renewBeforeDays: 7 }, healthSamples: 5 }",
      { policy: { healthSamples: 5, renewBeforeDays: 7 } },
    ],
    [
      "spec.loadBalancer",
      "type: embedded",
      "<<: { address: 127.0.1.77, type: haproxy }, type: embedded",
      { loadBalancer: { type: "embedded", address: "127.0.1.77" } },
    ],
    ["a worker", "name: w1,", "name: w1, <<: { zone: z },", { workers: [{ name: "w1", zone: "z" }] }],
  ])("may merge into %s", (_, from, to, expected) => {
    const text = full.replace(from, to);
    expect(text).not.toBe(full);
    const { spec: read, diagnostics } = parseSpec("f.yaml", text);
    expect(diagnostics).toEqual([]);
    expect(read).toMatchObject(expected);
  });

  it("stays what it is in form, with all of its keys", () => {
    const formatted = formatSpec(spec.replaceAll(": ", ":   "));
    expect(formatted).toBe(spec);
    expect(formatSpec(formatted ?? "")).toBe(formatted);
    expect(parseSpec("f.yaml", formatted ?? "").spec).toEqual(parseSpec("f.yaml", spec).spec);
  });

  it("of merges within merges, the nearest counts", () => {
    const text = "a: &a { one: 1, two: 1 }\nb: &b { <<: *a, two: 2, three: 2 }\nc: { <<: *b, three: 3 }\n";
    expect(readYaml(text).value).toMatchObject({ c: { one: 1, two: 2, three: 3 } });
    const list = "a: &a { one: 1 }\nb: &b { one: 2, two: 2 }\nc: { <<: [*a, *b] }\n";
    expect(readYaml(list).value).toMatchObject({ c: { one: 1, two: 2 } });
  });

  it("a variable counts where what uses it is merged", () => {
    const text = `x-a: &a { one: "\${ONE}", two: "\${TWO}" }\nb: { <<: *a }\n`;
    const { value, findings } = readYaml(text, { ONE: "1" });
    expect(value).toEqual({ b: { one: "1", two: expect.anything() } });
    expect(findings.map(({ summary }) => summary)).toEqual(["The variable TWO is not set"]);
  });

  it.each<readonly [string, string, string]>([
    ["a string", "a: { <<: text }", "spec/bad-merge"],
    ["nothing", "a:\n  <<:\n", "spec/bad-merge"],
    ["a list of texts", "a: { <<: [text] }", "spec/bad-merge"],
    ["an alias of a list", "b: &b [1]\na: { <<: *b }", "spec/bad-merge"],
    ["an unknown alias", "a: { <<: *missing }", "spec/unknown-anchor"],
    ["an alias of itself", "a: &a { <<: *a }", "spec/unknown-anchor"],
    ["two merges", "b: &b { one: 1 }\na: { <<: *b, <<: *b }", "spec/duplicate-key"],
  ])("a merge of %s is rejected by name", (_, text, code) => {
    expect(readYaml(text).findings.map((finding) => finding.code)).toContain(code);
  });

  it("a bomb of merges is rejected before it unfolds", () => {
    const levels = Array.from({ length: 20 }, (_, level) => {
      const merges =
        level === 0
          ? ""
          : `<<: [${Array(9)
              .fill(`*a${level - 1}`)
              .join(", ")}], `;
      return `x-a${level}: &a${level} { ${merges}k${level}: 1 }`;
    });
    expect(readYaml(levels.join("\n")).findings).toMatchObject([{ code: "spec/too-many-values" }]);
  });

  it("what is wrong with a merged value is shown where it is merged", () => {
    const { diagnostics } = parseSpec("f.yaml", spec.replace("zone: a,", "zone: 7,"));
    const places = diagnostics.map(({ range, address }) => `${range?.start.line}:${range?.start.column} ${address}`);
    expect(places).toContain("12:15 spec.controlPlane.masters[0].zone");
  });

  it("a merge key in quotes, and x- without a dash, are unknown keys", () => {
    const codes = (text: string): readonly string[] =>
      parseSpec("f.yaml", text).diagnostics.map(({ code, summary }) => `${code} ${summary}`);
    expect(codes(spec.replace("<<: *ports", '"<<": *ports'))).toEqual([
      'spec/unknown-key There is no key "<<" in spec.controlPlane',
    ]);
    expect(codes(spec.replace("x-team", "xteam"))).toContainEqual(expect.stringContaining('"xteam"'));
  });
});
