import { expect, it } from "vitest";
import { configuredHolder } from "./virtual-address-checks.ts";

const own = "/var/lib/haplan/demo/machines/lb1/units/keepalived/files/keepalived.conf";
const others = "/var/lib/haplan/demo-2/machines/lb1/units/keepalived/files/keepalived.conf";

it.each<[string, string, string, string | null]>([
  ["another cluster's", "10.0.0.100", others, 'keepalived of cluster "demo-2" on lb1 (10.0.0.9)'],
  [
    "the distribution's",
    "10.0.0.100",
    "/etc/keepalived/keepalived.conf",
    "keepalived of /etc/keepalived/keepalived.conf on lb1 (10.0.0.9)",
  ],
  ["this cluster's own", "10.0.0.100", own, null],
  ["one with another address", "10.0.0.101", others, null],
])("a virtual address is taken by %s keepalived, or not", (_, address, file, holder) => {
  const there = { host: "10.0.0.9", machines: [{ name: "lb1" }], facts: { virtualAddresses: [{ address, file }] } };
  const other = { host: "10.0.0.8", machines: [], facts: { virtualAddresses: [] } };
  expect(configuredHolder("demo", "10.0.0.100", [other, there])).toBe(holder);
});

it("an IPv6 address is the same in any spelling", () => {
  const facts = { virtualAddresses: [{ address: "fd97::b", file: others }] };
  expect(configuredHolder("demo", "FD97:0::B", [{ host: "h", machines: [], facts }])).toContain("demo-2");
});
