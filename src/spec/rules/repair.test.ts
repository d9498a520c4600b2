import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

/** `repair` is in line 12. */
function specWith(repair: string, more = ""): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh }
  controlPlane:
    masters:
      - { name: m1, address: 10.0.0.1 }
      - { name: m2, address: 10.0.0.2 }
      - { name: m3, address: 10.0.0.3 }
  loadBalancer: { address: 10.0.0.100 }
  repair: { ${repair} }
${more}`;
}

const errors = (text: string): readonly string[] =>
  specReader
    .parse("f", text)
    .diagnostics.map(({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`);

describe("repair in a spec", () => {
  it.each<[string, string, string]>([
    ["a webhook without a scheme", "notify: { webhook: alerts/haplan }", '12:32 "alerts/haplan" is not a URL'],
    [
      "a webhook of another scheme",
      "notify: { webhook: 'ftp://alerts/haplan' }",
      '12:32 "ftp://alerts/haplan" is not a URL of HTTP',
    ],
    [
      "a webhook with a password",
      "notify: { webhook: 'https://me:secret@alerts/haplan' }",
      "12:32 The webhook's URL contains a name or a password",
    ],
    ["a command in one word", "notify: { command: [curl -d @-] }", '12:33 "curl -d @-" is not the name of a program'],
    [
      "a path with its arguments",
      "notify: { command: [/usr/bin/curl -d @-] }",
      '12:33 "/usr/bin/curl -d @-" is not the name of a program',
    ],
    ["a command without a program", "notify: { command: [' ', x] }", "12:33 The command names no program"],
    [
      "a word that no program gets",
      'notify: { command: [tell, "a\\0b"] }',
      "12:39 A word of the command contains a NUL character",
    ],
    [
      "a spare host at a master's address",
      "replace: { spares: [{ name: s1, address: 10.0.0.2 }] }",
      "12:54 The address 10.0.0.2 is already used by the master at spec.controlPlane.masters[1].address",
    ],
    [
      "a spare host at the load balancer's",
      "replace: { spares: [{ name: s1, address: 10.0.0.100 }] }",
      "12:54 The address 10.0.0.100 is already used by the load balancer at spec.loadBalancer.address",
    ],
    [
      "a spare host with a master's name",
      "replace: { spares: [{ name: m2, address: 10.0.0.9 }] }",
      '12:41 The name "m2" is already taken by the master at spec.controlPlane.masters[1].name',
    ],
    [
      "a spare host at the address of no machine",
      "replace: { spares: [{ name: s1, address: 0.0.0.0 }] }",
      '12:54 "0.0.0.0" is the address of no machine',
    ],
    ["no spare hosts", "replace: { afterMs: 60000 }", '12:13 spec.repair.replace has no "spares"'],
  ])("is refused with %s", (_, repair, message) => {
    expect(errors(specWith(repair))).toEqual([expect.stringContaining(message)]);
  });

  it("is refused with spare hosts beside Kubernetes", () => {
    const text = specWith("replace: { spares: [] }", "  kubernetes: { version: 1.35.4 }\n");
    expect(errors(text)).toEqual(["12:22 haplan watch does not replace masters that are nodes of Kubernetes"]);
  });

  it("has hosts with all that masters have, and addresses in one spelling", () => {
    const host = "{ name: s1, zone: a, address: 'FD00::0:9', ssh: { user: admin } }";
    const { spec } = specReader.parse(
      "f",
      specWith(`replace: { spares: [${host}] }, notify: { command: ["/opt/my tools/tell", x] }`).replace(
        "    masters:",
        "    tls: { extraNames: [etcd.example.com] }\n    masters:",
      ),
    );
    expect(spec?.repair?.replace).toMatchObject({
      afterMs: 600_000,
      replacementsPerDay: 1,
      spares: [{ name: "s1", zone: "a", address: "fd00::9", settings: { ssh: { user: "admin" } } }],
    });
    expect(spec?.controlPlane.masters).toHaveLength(3);
  });
});
