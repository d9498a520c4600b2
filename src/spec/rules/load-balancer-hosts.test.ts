import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const pair = `  loadBalancer:
    vip: 10.0.0.100
    hosts:
      - { name: lb1, address: 10.0.0.8 }
      - { name: m2 }
`;

function specWith(loadBalancer: string, provider = "{ type: ssh }"): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: ${provider}
  controlPlane:
    masters:
      - { name: m1, address: 10.0.0.11 }
      - { name: m2, address: 10.0.0.12, zone: b, ssh: { port: 2222 } }
      - { name: m3, address: m3.example.com }
  workers: [{ name: w1, address: 10.0.0.21 }]
${loadBalancer}`;
}

const parse = (text: string): ReturnType<typeof specReader.parse> => specReader.parse("cluster.yaml", text);
const findings = (text: string): readonly string[] =>
  parse(text).diagnostics.map(
    ({ range, code, summary }) => `${range?.start.line}:${range?.start.column} ${code} ${summary}`,
  );

describe("hosts of load balancers", () => {
  it("are hosts with an address, or masters and workers by name, which bring theirs and how ssh reaches them", () => {
    const { spec, diagnostics, warnings } = parse(specWith(pair));
    expect([diagnostics, warnings]).toEqual([[], []]);
    expect(spec?.loadBalancer).toMatchObject({
      address: "10.0.0.100",
      ports: [2379],
      hosts: [
        { name: "lb1", zone: null, address: "10.0.0.8" },
        { name: "m2-lb", zone: "b", address: "10.0.0.12", settings: { ssh: { port: 2222 } } },
      ],
      virtual: { interface: null, routerId: expect.any(Number) },
    });
  });

  it("have the router id that the spec says, or one that follows from cluster and address", () => {
    const idOf = (text: string): number | undefined => parse(text).spec?.loadBalancer.virtual?.routerId;
    expect(idOf(specWith(pair))).toBe(idOf(specWith(pair)));
    expect(idOf(specWith(pair))).not.toBe(idOf(specWith(pair.replace(".100", ".101"))));
    expect(idOf(specWith(`${pair}    routerId: 7\n`))).toBe(7);
  });

  it("need no virtual address when there is one: the endpoint is its address", () => {
    const { spec } = parse(specWith("  loadBalancer: { hosts: [{ name: w1 }] }\n"));
    expect(spec?.loadBalancer).toMatchObject({ address: "10.0.0.21", hosts: [{ name: "w1-lb" }] });
    expect(spec?.loadBalancer.virtual).toBeUndefined();
  });

  it("have one mistake where the address of a master is mistyped that is one of them", () => {
    expect(findings(specWith(pair).replace("10.0.0.12", "10.0.0.300"))).toEqual([
      '9:30 spec/bad-address "10.0.0.300" is not an IP address',
    ]);
  });

  it.each([
    ["vip: 10.0.0.100, hosts: [{ name: w1 }]", "Only w1-lb can have the virtual address 10.0.0.100"],
    ["hosts: [{ name: w1 }]", "All clients depend on w1-lb, the only load balancer"],
  ])("are warned of when there is a single one: %s", (loadBalancer, summary) => {
    const { warnings } = parse(specWith(`  loadBalancer: { ${loadBalancer} }\n`));
    expect(warnings.map((each) => `${each.code} ${each.summary}`)).toEqual([`plan/single-load-balancer ${summary}`]);
  });

  it.each<[string, string, readonly string[]]>([
    [
      "neither hosts nor an address",
      "  loadBalancer: { type: haproxy }\n",
      ['12:3 spec/missing-key spec.loadBalancer has neither "address" nor "hosts"'],
    ],
    [
      "hosts and an address",
      pair.replace("    vip", "    address: 10.0.0.7\n    vip"),
      ["13:14 spec/address-and-hosts The load balancer has both an address and hosts"],
    ],
    [
      "a virtual address without hosts",
      "  loadBalancer: { address: 10.0.0.7, vip: 10.0.0.100, routerId: 7 }\n",
      [
        "12:43 spec/vip-without-hosts vip is for several load balancers, but there are no hosts",
        "12:65 spec/vip-without-hosts routerId is for several load balancers, but there are no hosts",
      ],
    ],
    [
      "two hosts without a virtual address",
      pair.replace("    vip: 10.0.0.100\n", ""),
      ["14:7 spec/hosts-without-vip 2 load balancers have no virtual address"],
    ],
    [
      "the virtual address of a host",
      pair.replace("10.0.0.100", "10.0.0.8"),
      ["13:10 spec/vip-in-use The virtual address 10.0.0.8 is the address of a load balancer"],
    ],
    [
      "the virtual address of a worker",
      pair.replace("10.0.0.100", "10.0.0.21"),
      ["13:10 spec/vip-in-use The virtual address 10.0.0.21 is the address of a worker"],
    ],
    [
      "a virtual address with a prefix length",
      pair.replace("10.0.0.100", "10.0.0.100/24"),
      ['13:10 spec/bad-address "10.0.0.100/24" is not an IP address'],
    ],
    [
      "a virtual address of another family",
      pair.replace("10.0.0.100", "fd00::100"),
      [
        "15:31 spec/bad-address The virtual address fd00::100 is IPv6, and 10.0.0.8 is IPv4",
        "16:17 spec/bad-address The virtual address fd00::100 is IPv6, and 10.0.0.12 is IPv4",
      ],
    ],
    [
      "a host that is known by its name alone",
      pair.replace("{ name: m2 }", "{ name: m3 }"),
      [
        '16:17 spec/bad-address "m3.example.com" is a host name: a load balancer with a virtual address needs an IP address',
        "15:7 spec/duplicate-port Master m3 listens for clients on port 2379 of the same host",
      ].sort((a, b) => Number(a.split(":")[0]) - Number(b.split(":")[0])),
    ],
    [
      "a name that no host has",
      pair.replace("{ name: m2 }", "{ name: m9 }"),
      ['16:17 spec/unknown-host "m9" is no master and no worker, and has no address'],
    ],
    [
      "one host twice",
      pair.replace("{ name: m2 }", "{ name: lb2, address: 10.0.0.8 }"),
      ["16:31 spec/duplicate-address lb2 is the host of lb1, at 10.0.0.8"],
    ],
    [
      "the name of a master with another address",
      pair.replace("{ name: m2 }", "{ name: m2, address: 10.0.0.9 }"),
      ['16:17 spec/duplicate-name The name "m2" is already taken by the master at spec.controlPlane.masters[1].name'],
    ],
    [
      "a port of the master on the same host, without a virtual address",
      "  loadBalancer: { hosts: [{ name: m2 }], ports: [12379, 2380] }\n",
      ["12:57 spec/duplicate-port Master m2 listens for peers on port 2380 of the same host"],
    ],
  ])("are told with line and column when the spec has %s", (_, loadBalancer, expected) => {
    expect(findings(specWith(loadBalancer))).toEqual(expected);
  });

  it("are not refused where it is the provider's type that is wrong", () => {
    expect(findings(specWith(pair, "{ type: shh, user: root }"))).toEqual([
      expect.stringMatching(/^5:\d+ spec\/bad-value /),
    ]);
  });

  it("are refused with provider local", () => {
    const local = specWith(pair, "{ type: local }")
      .replaceAll("10.0.0.", "127.0.1.")
      .replace("m3.example.com", "127.0.1.3")
      .replace(", ssh: { port: 2222 }", "");
    expect(findings(local)).toEqual(["15:7 spec/no-balancer-hosts This provider has one load balancer"]);
  });
});
