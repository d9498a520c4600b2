// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how specs refer to variables
/** What was added to a plain spec: variables in its values, and the section `state`. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { specReader } from "../providers/spec-reader.ts";
import { interpolate, type Variables } from "./interpolate.ts";

const parseSpec = specReader.parse;

function specWith(lines: readonly string[]): string {
  return ["apiVersion: haplan.dev/v1", "kind: Cluster", "metadata: { name: demo }", "spec:", ...lines].join("\n");
}

const threeMasters = "  controlPlane: { members: 3 }";

describe("variables", () => {
  it.each<[string, Variables, string]>([
    ["${A}", { A: "x" }, "x"],
    ["${A}-${B}", { A: "x", B: "y" }, "x-y"],
    ["${A:-d}", {}, "d"],
    ["${A:-d}", { A: "" }, "d"],
    ["${A:-}", {}, ""],
    ["${A}", { A: "" }, ""],
    ["$${A}", { A: "x" }, "${A}"],
    ["$$$${A}", {}, "$${A}"],
    ["$A costs 5$", { A: "x" }, "$A costs 5$"],
    ["${A}", { A: "${B}", B: "never looked at again" }, "${B}"],
  ])("%s with %j is %j", (source, variables, text) => {
    expect(interpolate(source, variables)).toMatchObject({ text, missing: [], malformed: false });
  });

  it("an escaped text comes back as it was, whatever it holds", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(interpolate(text.replaceAll("$", "$$$$"), {}).text).toBe(text);
      }),
    );
  });

  it("names of things that every object has are not set", () => {
    expect(interpolate("${constructor}", {}).missing).toEqual(["constructor"]);
  });

  it("a plain value takes the type of what is put in, a quoted one stays a text", () => {
    const text = specWith(["  controlPlane:", "    members: ${COUNT}", "    tls:", "      enabled: ${TLS:-false}"]);
    const { spec, diagnostics, variables } = parseSpec("f", text, { COUNT: "5" });
    expect(diagnostics).toEqual([]);
    expect(spec?.controlPlane).toMatchObject({ members: 5, tls: { enabled: false } });
    expect(Object.fromEntries(variables ?? [])).toEqual({ COUNT: "5", TLS: "false" });
    const quoted = parseSpec("f", text.replace("${COUNT}", '"${COUNT}"'), { COUNT: "5" });
    expect(quoted.diagnostics).toMatchObject([{ code: "spec/wrong-type" }]);
  });

  it("what is put in can be no key, list or mapping", () => {
    const text = specWith([threeMasters, "  workers: ${WORKERS}"]);
    const { spec, diagnostics } = parseSpec("f", text, { WORKERS: "[{ name: w1, address: 127.0.1.11 }]" });
    expect(spec).toBeNull();
    expect(diagnostics).toMatchObject([{ code: "spec/wrong-type", address: "spec.workers" }]);
  });

  it("one that is not set is shown where it is written, with what to do", () => {
    const text = specWith([threeMasters, "  loadBalancer:", "    address: 127.0.${NET}.${HOST}"]);
    const { diagnostics } = parseSpec("cluster.yaml", text, { NET: "1" });
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      code: "spec/unset-variable",
      summary: "The variable HOST is not set",
      range: { filename: "cluster.yaml", start: { line: 7, column: 27 }, end: { line: 7, column: 34 } },
    });
    expect(diagnostics[0]?.detail).toContain("-var HOST=VALUE");
  });

  it("a reference that is none is rejected", () => {
    const text = specWith([threeMasters, '  loadBalancer: { address: "${1x}" }']);
    expect(parseSpec("f", text).diagnostics[0]).toMatchObject({ code: "spec/bad-variable" });
  });
});

describe("state", () => {
  const stateOf = (state: string): ReturnType<typeof parseSpec> =>
    parseSpec("f", specWith([threeMasters, `  state: ${state}`]));

  it.each([
    ["{}", { backend: { type: "local" }, encryption: null }],
    ["{ encryption: { passphraseEnv: PASS } }", { backend: { type: "local" }, encryption: { passphraseEnv: "PASS" } }],
    [
      "{ backend: etcd, etcd: { endpoints: [127.9.0.1:2379], prefix: /x/ } }",
      { backend: { type: "etcd", endpoints: ["127.9.0.1:2379"], prefix: "/x", tls: null }, encryption: null },
    ],
    [
      "{ backend: s3, s3: { bucket: states, endpoint: 'http://127.9.0.1:9000' } }",
      {
        backend: {
          type: "s3",
          bucket: "states",
          prefix: "haplan",
          region: null,
          endpoint: "http://127.9.0.1:9000",
          forcePathStyle: true,
        },
        encryption: null,
      },
    ],
  ])("%s is understood", (text, expected) => {
    const { spec, diagnostics } = stateOf(text);
    expect(diagnostics).toEqual([]);
    expect(spec?.state).toEqual(expected);
  });

  it.each([
    ["{ backend: etcd }", "spec/missing-backend-settings"],
    ["{ backend: s3 }", "spec/missing-backend-settings"],
    ["{ backend: pg }", "spec/bad-value"],
    ["{ s3: { bucket: states } }", "spec/unused-backend-settings"],
    ["{ backend: etcd, etcd: { endpoints: [127.9.0.1:1], certFile: a } }", "spec/incomplete-tls"],
    ["{ backend: etcd, etcd: { endpoints: [127.9.0.1:1], caFile: a, keyFile: b } }", "spec/incomplete-tls"],
    ["{ backend: etcd, etcd: { endpoints: ['https://127.0.1.1:2379'] } }", "spec/state-in-itself"],
    ["{ backend: etcd, etcd: { endpoints: [127.0.1.100:2379] } }", "spec/state-in-itself"],
    ["{ backend: s3, s3: { bucket: No_Bucket } }", "spec/bad-value"],
    ["{ encryption: { passphraseEnv: 'not a name' } }", "spec/bad-value"],
    ["{ encryption: { passphrase: hunter2 } }", "spec/unknown-key"],
  ])("%s is rejected", (text, code) => {
    const { spec, diagnostics } = stateOf(text);
    expect(spec).toBeNull();
    expect(diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
  });
});
