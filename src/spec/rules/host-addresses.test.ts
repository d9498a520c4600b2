import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const specWith = (first: string, balancer = "{ address: fd97::20 }"): string => `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: { type: ssh }
  controlPlane:
    tls: { extraNames: [m1.example.com] }
    masters:
      - { name: m1, address: "${first}" }
      - { name: m2, address: "fd97::c" }
      - { name: m3, address: "fd97::d" }
  loadBalancer: ${balancer}
`;
const findings = (text: string): readonly string[] =>
  specReader
    .parse("cluster.yaml", text)
    .diagnostics.map(({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`);

describe("the address of a machine", () => {
  it("is in its canonical spelling from here on", () => {
    const { spec, diagnostics } = specReader.parse("f", specWith("FD97::000B", '{ address: "fd97:0::20" }'));
    expect(diagnostics).toEqual([]);
    expect(spec?.controlPlane.masters[0]?.address).toBe("fd97::b");
    expect(spec?.loadBalancer.address).toBe("fd97::20");
  });

  it("is compared with others in whatever spelling", () => {
    expect(findings(specWith("fd97::000c"))).toEqual([expect.stringContaining("The address fd97::c is already used")]);
    const vip =
      '{ vip: "fd97::000c", hosts: [{ name: lb1, address: "fd97::21" }, { name: lb2, address: "fd97::22" }] }';
    expect(findings(specWith("fd97::b", vip))).toEqual([
      "12:24 The virtual address fd97::c is the address of a master",
    ]);
  });

  it.each([
    ["0.0.0.0", '9:30 "0.0.0.0" is the address of no machine'],
    ["::", '9:30 "::" is the address of no machine'],
    ["0::0", '9:30 "::" is the address of no machine'],
    ["224.0.0.18", '9:30 "224.0.0.18" is not the address of one machine'],
    ["255.255.255.255", '9:30 "255.255.255.255" is not the address of one machine'],
    ["ff02::12", '9:30 "ff02::12" is not the address of one machine'],
    ["fe80::1", '9:30 "fe80::1" is valid on one link only'],
    ["fe80::1%eth0", '9:30 "fe80::1%eth0" is an address of one network interface: it means nothing on other machines'],
    ["::ffff:10.0.0.1", '9:30 "::ffff:a00:1" is an IPv4 address in the form of IPv6'],
    ["10.97.19.300", '9:30 "10.97.19.300" is not an IP address'],
    ["10.97.19", '9:30 "10.97.19" is not an IP address'],
  ])("cannot be %s", (address, told) => {
    expect(findings(specWith(address))).toContain(told);
  });

  it.each(["10.0.0.11", "m1.example.com", "fd97::b", "169.254.7.1", "10-0-0-1"])("can be %s", (address) => {
    expect(findings(specWith(address))).toEqual([]);
  });
});
