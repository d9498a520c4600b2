import { expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const specWith = (tls: string, more = ""): string => `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  controlPlane:
    tls: { ${tls} }
${more}    masters:
      - { name: m1, address: 127.0.2.1 }
      - { name: m2, address: 127.0.2.2 }
      - { name: m3, address: 127.0.2.3 }
`;

const authority = (text: string): string => `authority: { caFile: ca.crt, ${text} }`;
const byKey = authority("keyFile: ca.key");
const bySigner = authority("signer: { command: [sign, etcd] }");
const adopt =
  "    adopt: { endpoints: [https://127.0.2.1:2379], tls: { caFile: a, certFile: b, keyFile: c, caKeyFile: d } }\n";

it("takes an authority with its key, or with a program that signs", () => {
  const tlsOf = (text: string): unknown => specReader.parse("f", specWith(text)).spec?.controlPlane.tls;
  expect(tlsOf(byKey)).toEqual({ enabled: true, authority: { caFile: "ca.crt", keyFile: "ca.key", signer: null } });
  const signer = { command: ["sign", "etcd"], timeoutMs: 60_000 };
  expect(tlsOf(bySigner)).toEqual({ enabled: true, authority: { caFile: "ca.crt", keyFile: null, signer } });
});

it.each<[string, string, RegExp]>([
  ["neither", specWith("authority: { caFile: ca.crt }"), /The authority cannot sign/],
  ["both", specWith(authority("keyFile: k, signer: { command: [s] }")), /signs in two ways/],
  ["no TLS", specWith(`enabled: false, ${byKey}`), /An authority is given, but TLS is off/],
  ["adopted members", specWith(byKey, adopt), /given here and in `adopt.tls`/],
  ["an empty command", specWith(authority("signer: { command: [] }")), /command/],
])("refuses an authority with %s", (_, text, message) => {
  const { spec, diagnostics } = specReader.parse("f", text);
  expect(spec).toBeNull();
  expect(diagnostics.map(({ summary }) => summary).join("\n")).toMatch(message);
});
