import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const specWith = (addresses: readonly string[], tls = "{}", more = ""): string => `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: { type: ssh }
  controlPlane:
    tls: ${tls}
    masters:
${addresses.map((address, at) => `      - { name: m${at + 1}, address: "${address}" }`).join("\n")}
${more}  loadBalancer: { address: 10.0.0.9 }
`;
const findings = (text: string): readonly string[] =>
  specReader
    .parse("cluster.yaml", text)
    .diagnostics.map(({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`);

const mixed = ["fd97::1", "10.0.0.2", "10.0.0.3"];

describe("addresses of members of both families", () => {
  it.each<[string, readonly string[], string]>([
    ["one of IPv6", mixed, "9:30 master m1 has the IPv6 address fd97::1, and master m2 the IPv4 address 10.0.0.2"],
    [
      "one of IPv4",
      ["fd97::1", "fd97::2", "10.0.0.3"],
      "11:30 master m3 has the IPv4 address 10.0.0.3, and master m1 the IPv6 address fd97::1",
    ],
    [
      "one of each, and a name",
      ["fd97::1", "10.0.0.2", "m3.example.com"],
      "10:30 master m2 has the IPv4 address 10.0.0.2, and master m1 the IPv6 address fd97::1",
    ],
  ])("are refused at the line of the odd one: %s", (_, addresses, told) => {
    expect(findings(specWith(addresses))).toEqual([told]);
  });

  it("are refused where a spare host has the other one", () => {
    const more = "  repair: { replace: { afterMs: 600000, spares: [{ name: s1, address: 'fd97::4' }] } }\n";
    const found = findings(specWith(["10.0.0.1", "10.0.0.2", "10.0.0.3"], "{}", more));
    expect(found.filter((each) => each.includes("IPv6"))).toEqual([
      expect.stringContaining("spare host s1 has the IPv6 address fd97::4, and master m1 the IPv4 address 10.0.0.1"),
    ]);
  });

  it.each<[string, readonly string[], string]>([
    ["no certificates", mixed, "{ enabled: false }"],
    ["names in the certificates that may resolve", mixed, "{ extraNames: [m1.example.com] }"],
    ["the other addresses in the certificates", mixed, "{ extraNames: [10.0.0.1, 'fd97::2', 'fd97::3'] }"],
    ["names in place of addresses", ["m1.example.com", "10.0.0.2", "10.0.0.3"], "{}"],
    ["IPv6 alone", ["fd97::1", "fd97::2", "fd97::3"], "{}"],
  ])("are not refused with %s", (_, addresses, tls) => {
    expect(findings(specWith(addresses, tls))).toEqual([]);
  });

  it("are not allowed by further names of one family", () => {
    expect(findings(specWith(mixed, "{ extraNames: [10.0.0.99] }"))).toHaveLength(1);
  });
});
